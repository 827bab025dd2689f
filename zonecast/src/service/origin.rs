//! What a zone in the store was made of, so that a restart imports only what differs.
//!
//! # Format
//! 1 (format), 32 bytes of digest, 8 bytes big-endian of records.

use zonecast_ingest::SourceDigest;

const FORMAT: u8 = 1;

/// See the module. It stands in the private value of the zone; record changes leave it as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Of the text.
    pub digest: SourceDigest,
    /// Records in the text.
    pub records: u64,
}

impl Origin {
    /// As it is stored.
    #[must_use]
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        [&[FORMAT][..], self.digest.as_bytes(), &self.records.to_be_bytes()].concat()
    }

    /// Back from [`Origin::to_bytes`]; `None` for anything else: the zone is then imported again.
    #[must_use]
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (format, rest) = bytes.split_first()?;
        let (digest, records) = rest.split_first_chunk::<32>()?;
        let records = u64::from_be_bytes(records.try_into().ok()?);
        (*format == FORMAT).then(|| Self { digest: SourceDigest::new(*digest), records })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote_and_nothing_else() {
        let origin = Origin { digest: SourceDigest::new([7; 32]), records: 1_000_000 };
        let bytes = origin.to_bytes();
        assert_eq!(Origin::from_bytes(&bytes), Some(origin));
        for cut in 0..bytes.len() {
            assert_eq!(Origin::from_bytes(&bytes[..cut]), None, "cut at {cut}");
        }
        assert_eq!(Origin::from_bytes(&[&bytes[..], &[0]].concat()), None);
    }
}
