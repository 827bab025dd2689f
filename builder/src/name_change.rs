//! Changes of all records of a name.

use zonecast_records::Name;

/// One change of all records of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameChange {
    /// The name has no records afterwards; names below it stay.
    Delete {
        /// Owner.
        owner: Name,
    },
    /// The name and all names below it have no records afterwards. Refused for the apex, where it would delete the
    /// zone.
    DeleteSubtree {
        /// Topmost owner.
        owner: Name,
    },
    /// The records of this name move to another name, beside the records that are there. Names below it stay.
    Rename {
        /// Owner before.
        owner: Name,
        /// Owner afterwards.
        to: Box<Name>,
    },
}

impl NameChange {
    /// The name it is about.
    #[must_use]
    pub fn owner(&self) -> &Name {
        match self {
            Self::Delete { owner, .. } | Self::DeleteSubtree { owner, .. } | Self::Rename { owner, .. } => owner,
        }
    }
}
