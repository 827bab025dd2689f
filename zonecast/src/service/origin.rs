//! What a zone in the store was made of, so that a restart imports only what differs.
//!
//! # Format
//! 1 (format), 32 bytes of digest, 8 bytes big-endian of records, 1 byte of what was tolerated: 1 for records that are
//! not in the zone, 2 for no NS at the apex.

use zonecast_builder::Tolerance;
use zonecast_ingest::SourceDigest;

const FORMAT: u8 = 1;

/// See the module. It stands in the private value of the zone; record changes leave it as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Of the text.
    pub digest: SourceDigest,
    /// Records in the text.
    pub records: u64,
    /// What the text was allowed to have.
    pub tolerance: Tolerance,
}

impl Origin {
    /// As it is stored.
    #[must_use]
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let Tolerance { drop_out_of_zone, serve_without_ns } = self.tolerance;
        let tolerated = u8::from(drop_out_of_zone) | u8::from(serve_without_ns) << 1;
        [&[FORMAT][..], self.digest.as_bytes(), &self.records.to_be_bytes(), &[tolerated]].concat()
    }

    /// Back from [`Origin::to_bytes`]; `None` for anything else: the zone is then imported again.
    #[must_use]
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (format, rest) = bytes.split_first()?;
        let (digest, rest) = rest.split_first_chunk::<32>()?;
        let (records, rest) = rest.split_first_chunk::<8>()?;
        let [tolerated @ 0..=3] = rest else { return None };
        let tolerance = Tolerance { drop_out_of_zone: tolerated & 1 > 0, serve_without_ns: tolerated & 2 > 0 };
        let digest = SourceDigest::new(*digest);
        (*format == FORMAT).then(|| Self { digest, records: u64::from_be_bytes(*records), tolerance })
    }

    /// Whether a zone of this digest may stay as it is, where so much is tolerated now.
    #[must_use]
    pub(crate) fn is_of(&self, digest: SourceDigest, now: Tolerance) -> bool {
        let Tolerance { drop_out_of_zone, serve_without_ns } = self.tolerance;
        self.digest == digest && drop_out_of_zone <= now.drop_out_of_zone && serve_without_ns <= now.serve_without_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote_and_nothing_else() {
        let (digest, none) = (SourceDigest::new([7; 32]), Tolerance::default());
        let tolerance = Tolerance { drop_out_of_zone: true, ..none };
        let origin = Origin { digest, records: 1_000_000, tolerance };
        assert!(origin.is_of(digest, tolerance) && !origin.is_of(digest, none));
        assert!(Origin { tolerance: none, ..origin }.is_of(digest, tolerance));
        assert!(!origin.is_of(SourceDigest::new([8; 32]), tolerance));
        let bytes = origin.to_bytes();
        assert_eq!(Origin::from_bytes(&bytes), Some(origin));
        for cut in 0..bytes.len() {
            assert_eq!(Origin::from_bytes(&bytes[..cut]), None, "cut at {cut}");
        }
        assert_eq!(Origin::from_bytes(&[&bytes[..], &[0]].concat()), None);
    }
}
