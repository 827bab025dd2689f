//! Where a copy of the store stands.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Chain, Epoch, StoreId, Version};

/// A point in the history of one store: carried by every frame, ack, snapshot, subscription and backup.
///
/// Two copies at the same position hold the same data. Positions of one store are ordered by (epoch, version).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The id of the store.
    pub store: StoreId,
    /// The epoch of the store; it changes with every accepted restore.
    pub epoch: Epoch,
    /// The last published version.
    pub version: Version,
    /// Hash over the content of all versions up to this position.
    pub chain: Chain,
}

impl Position {
    /// The beginning of a store: nothing published yet.
    #[must_use]
    pub fn origin(store: StoreId) -> Self {
        Self { store, epoch: Epoch::ZERO, version: Version::ZERO, chain: Chain::origin(store) }
    }

    /// The order of positions within one store; meaningless between two.
    #[must_use]
    pub fn order(&self) -> (Epoch, Version) {
        (self.epoch, self.version)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{} ({})", self.epoch, self.version, self.chain)
    }
}
