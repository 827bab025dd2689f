//! What a zone in the store was made of, so that a restart imports only files that differ.
//!
//! # Format
//! 1 (format), 32 bytes of digest, 8 bytes big-endian of records, 1 byte of what the file was allowed to have: 1 for
//! records that are not in the zone, 2 for no NS at the apex. Then nothing where the text is that of the folder's file; 0
//! where the zone never was made of a file; 1 and the 32 bytes of the file's digest where it was made of another text since.

use zonecast_builder::Tolerance;
use zonecast_ingest::SourceDigest;

const FORMAT: u8 = 1;
const NO_FILE: u8 = 0;
const OTHER_FILE: u8 = 1;

/// The digest of the text that a zone was made of. It is part of the private value of the zone; record changes keep it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Of the text that it was made of last.
    pub digest: SourceDigest,
    /// Records in that text.
    pub records: u64,
    /// The file of the folder that it was made of last; a text that came by the API leaves it as it is, so that a file
    /// that did not change does not take that text's place at the next start.
    pub file: Option<FileOrigin>,
}

/// A file of the folder of zones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileOrigin {
    /// Of its text.
    pub digest: SourceDigest,
    /// What its text was allowed to have.
    pub tolerance: Tolerance,
}

impl Origin {
    /// As it is stored.
    #[must_use]
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let Tolerance { drop_out_of_zone, serve_without_ns } = self.file.map(|file| file.tolerance).unwrap_or_default();
        let tolerated = u8::from(drop_out_of_zone) | u8::from(serve_without_ns) << 1;
        let mut bytes = [&[FORMAT][..], self.digest.as_bytes(), &self.records.to_be_bytes(), &[tolerated]].concat();
        match self.file {
            None => bytes.push(NO_FILE),
            Some(file) if file.digest == self.digest => {}
            Some(file) => {
                bytes.push(OTHER_FILE);
                bytes.extend_from_slice(file.digest.as_bytes());
            }
        }
        bytes
    }

    /// Back from [`Origin::to_bytes`]; `None` for anything else: the zone is then imported again.
    #[must_use]
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (format, rest) = bytes.split_first()?;
        let (digest, rest) = rest.split_first_chunk::<32>()?;
        let (records, rest) = rest.split_first_chunk::<8>()?;
        let (tolerated @ 0..=3, rest) = rest.split_first()? else { return None };
        let tolerance = Tolerance { drop_out_of_zone: tolerated & 1 > 0, serve_without_ns: tolerated & 2 > 0 };
        let digest = SourceDigest::new(*digest);
        let file = match rest {
            [] => Some(digest),
            [NO_FILE] => None,
            [OTHER_FILE, file @ ..] => Some(SourceDigest::new(*file.first_chunk::<32>().filter(|_| file.len() == 32)?)),
            _ => return None,
        };
        let file = file.map(|digest| FileOrigin { digest, tolerance });
        (*format == FORMAT).then(|| Self { digest, records: u64::from_be_bytes(*records), file })
    }

    /// Whether a zone whose file has this digest may stay as it is, where so much is tolerated now.
    #[must_use]
    pub(crate) fn is_of(&self, digest: SourceDigest, now: Tolerance) -> bool {
        self.file.is_some_and(|file| {
            let Tolerance { drop_out_of_zone, serve_without_ns } = file.tolerance;
            file.digest == digest
                && drop_out_of_zone <= now.drop_out_of_zone
                && serve_without_ns <= now.serve_without_ns
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote_and_nothing_else() {
        let (digest, none) = (SourceDigest::new([7; 32]), Tolerance::default());
        let tolerance = Tolerance { drop_out_of_zone: true, ..none };
        let of = |file| Origin { digest, records: 1_000_000, file };
        let origin = of(Some(FileOrigin { digest, tolerance }));
        assert!(origin.is_of(digest, tolerance) && !origin.is_of(digest, none));
        assert!(of(Some(FileOrigin { digest, tolerance: none })).is_of(digest, tolerance));
        assert!(!origin.is_of(SourceDigest::new([8; 32]), tolerance));
        let other = of(Some(FileOrigin { digest: SourceDigest::new([9; 32]), tolerance }));
        assert!(other.is_of(SourceDigest::new([9; 32]), tolerance) && !other.is_of(digest, tolerance));
        assert!(!of(None).is_of(digest, none));
        for origin in [origin, other, of(None)] {
            let bytes = origin.to_bytes();
            assert_eq!(Origin::from_bytes(&bytes), Some(origin));
            let whole = |cut: usize| Origin::from_bytes(&bytes[..cut]).is_some();
            // What was made of its file is what the others begin with.
            assert!((0..bytes.len()).all(|cut| cut == 42 || !whole(cut)));
            assert_eq!(Origin::from_bytes(&[&bytes[..], &[2]].concat()), None);
        }
    }
}
