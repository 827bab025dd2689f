//! Every version since the last marker, kept until it is known whether the copy was right there: a range that was not is
//! put right from what it held at the marker and what became of it since.

use zonecast_kv_proto::{ReceivedVersion, Verification};

/// Bytes that are kept: beyond them a copy that differs is fetched again as a whole. A copy of 10 GB is read in 5 minutes,
/// so this is more than 100 KB of changes a second.
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// A version is held twice: its bytes, and its operations.
const COPIES: usize = 2;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct SinceMarker {
    /// That of the marker, while its versions are kept.
    number: Option<u64>,
    versions: Vec<ReceivedVersion>,
    bytes: usize,
}

impl SinceMarker {
    /// These have been applied.
    pub(crate) fn applied(&mut self, versions: Vec<ReceivedVersion>) {
        for version in versions {
            if let Some(marker) = Verification::in_version(&version.published).marker {
                *self = Self { number: Some(marker.number), ..Self::default() };
            } else if self.number.is_some() {
                self.bytes += version.bytes.len() * COPIES;
                self.versions.push(version);
                if self.bytes > MAX_BYTES {
                    *self = Self::default();
                }
            }
        }
    }

    /// All since the marker of this number, if they are kept.
    pub(crate) fn of(&self, number: u64) -> Option<&[ReceivedVersion]> {
        (self.number == Some(number)).then_some(&*self.versions)
    }

    /// The copy was right at this marker.
    pub(crate) fn settled(&mut self, number: u64) {
        if self.number == Some(number) {
            *self = Self::default();
        }
    }

    /// Another copy has taken the place of the one that versions were applied to.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use zonecast_kv_proto::Batch;
    use zonecast_kv_proto::{
        EncodedSection, Key, KeyspaceId, Marker, Op, Position, Published, Section, SectionId, StoreId, VERIFICATION,
        Value, Version,
    };

    use super::*;

    fn version(id: SectionId, op: Op) -> ReceivedVersion {
        let batch = Batch { preconditions: vec![], sections: vec![Section { id, ops: vec![op] }] };
        let sections: Vec<EncodedSection> = batch.encode().unwrap().sections;
        let position = Position { version: Version::new(4), ..Position::origin(StoreId::new(1)) };
        Published::after(&position, 0, sections).unwrap().into()
    }

    fn marker(number: u64) -> ReceivedVersion {
        version(VERIFICATION, Marker::new(number, 1, 1).put())
    }

    fn change(len: usize) -> ReceivedVersion {
        let key = Key::new(vec![0, 1, 1]).unwrap();
        let value = Value::new(vec![7; len]).unwrap();
        version(SectionId { keyspace: KeyspaceId::DNS, partition: 1 }, Op::Put { key, value })
    }

    #[test]
    fn versions_are_kept_from_a_marker_on_until_it_is_settled_or_they_are_too_many() {
        let mut since = SinceMarker::default();
        let count = |since: &SinceMarker, number| since.of(number).map(<[_]>::len);
        since.applied(vec![change(1)]);
        assert_eq!(count(&since, 1), None);
        since.applied(vec![change(1), marker(1)]);
        since.applied(vec![change(1), change(2)]);
        assert_eq!((count(&since, 1), count(&since, 2)), (Some(2), None));
        since.applied(vec![marker(2)]);
        assert_eq!((count(&since, 1), count(&since, 2)), (None, Some(0)));
        since.settled(1);
        assert_eq!(count(&since, 2), Some(0));
        since.settled(2);
        since.applied(vec![change(1)]);
        assert_eq!(count(&since, 2), None);
        since.applied(vec![marker(3)]);
        (0..20).for_each(|_| since.applied(vec![change(1_000_000)]));
        assert_eq!(count(&since, 3), None, "they are too many");
        assert_eq!((since.bytes, since.versions.len()), (0, 0));
    }
}
