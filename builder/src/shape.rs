//! What every key of one zone has in common.

use zonecast_records::{Generation, Name, Path, ZoneId};

/// Identity of a zone in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZoneIdentity {
    /// Stable identity; the partition of every section.
    pub id: ZoneId,
    /// The generation under which the keys of the zone live.
    pub generation: Generation,
}

/// A zone as keys see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// In the case of the source.
    pub(crate) apex: Name,
    pub(crate) identity: ZoneIdentity,
}

impl Shape {
    /// How many labels every owner name ends with.
    pub(crate) fn apex_labels(&self) -> usize {
        self.apex.label_count()
    }

    /// The path of a name of the zone.
    pub(crate) fn path_of(&self, name: &Name) -> Vec<u8> {
        let mut path = Vec::new();
        Path::write(name, self.apex_labels(), &mut path);
        path
    }

    /// The name at a path, in the given case if there is one. The apex where the parts do not make a name.
    pub(crate) fn name(&self, path: Path<'_>, owner: &[u8]) -> Name {
        let name = if owner.is_empty() {
            path.to_name(&self.apex)
        } else {
            Name::from_wire(&[owner, self.apex.as_wire()].concat())
        };
        name.unwrap_or(self.apex)
    }
}
