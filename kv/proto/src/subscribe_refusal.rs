//! Why a publisher does not serve a downstream.

use thiserror::Error;

use crate::{Chain, Epoch, Position, StoreId, Version, positional};

/// Why a downstream gets nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SubscribeRefusal {
    /// It stands further than the publisher does: ask another, or wait.
    #[error("the subscriber is ahead of this publisher, which is at {0}")]
    Ahead(Position),
    /// It holds a copy of another store.
    #[error("this publisher holds store {0}")]
    OtherStore(StoreId),
    /// It is of the same epoch, and of another history: where it comes from the epoch was begun by another restore.
    #[error("the histories fork: epoch {epoch} begins at version {version} here")]
    ForkedAt {
        /// The epoch that both have.
        epoch: Epoch,
        /// Its first version at the publisher.
        version: Version,
    },
    /// Same position, other data: one of the two is damaged.
    #[error("the chain of the subscriber at version {version} differs from {chain}")]
    ChainDiffers {
        /// The version that the subscriber is at.
        version: Version,
        /// The chain of the publisher at that version.
        chain: Chain,
    },
    /// The subscriber speaks another protocol.
    #[error("this publisher speaks protocol {0}")]
    Protocol(u16),
    /// The subscription has a name other than that of the certificate.
    #[error("the subscriber may not subscribe under this name")]
    NotAllowed,
    /// The publisher does not hold what the subscriber asks for, or does not know such filters.
    #[error("this publisher does not hold all that the subscriber's filter asks for")]
    Filter,
    /// A reason that this release does not know.
    #[error("a reason that this release does not know: {0}")]
    Other(u8),
}

positional! {
    /// Any [`SubscribeRefusal`]: a code and what goes with it.
    #[derive(Default, PartialEq)]
    pub(crate) struct WireRefusal {
        code: u8,
        head: Option<Position>,
        store: Option<StoreId>,
        epoch: Epoch,
        version: Option<Version>,
        chain: Chain,
        protocol: u16,
    }
}

impl From<SubscribeRefusal> for WireRefusal {
    fn from(refusal: SubscribeRefusal) -> Self {
        let empty = Self::default();
        match refusal {
            SubscribeRefusal::Ahead(head) => Self { code: 1, head: Some(head), ..empty },
            SubscribeRefusal::OtherStore(store) => Self { code: 2, store: Some(store), ..empty },
            SubscribeRefusal::ForkedAt { epoch, version } => Self { code: 3, epoch, version: Some(version), ..empty },
            SubscribeRefusal::ChainDiffers { version, chain } => {
                Self { code: 4, version: Some(version), chain, ..empty }
            }
            SubscribeRefusal::Protocol(protocol) => Self { code: 5, protocol, ..empty },
            SubscribeRefusal::NotAllowed => Self { code: 6, ..empty },
            SubscribeRefusal::Filter => Self { code: 7, ..empty },
            SubscribeRefusal::Other(code) => Self { code, ..empty },
        }
    }
}

impl From<WireRefusal> for SubscribeRefusal {
    fn from(wire: WireRefusal) -> Self {
        match wire {
            WireRefusal { code: 1, head: Some(head), .. } => Self::Ahead(head),
            WireRefusal { code: 2, store: Some(store), .. } => Self::OtherStore(store),
            WireRefusal { code: 3, epoch, version: Some(version), .. } => Self::ForkedAt { epoch, version },
            WireRefusal { code: 4, version: Some(version), chain, .. } => Self::ChainDiffers { version, chain },
            WireRefusal { code: 5, protocol, .. } => Self::Protocol(protocol),
            WireRefusal { code: 6, .. } => Self::NotAllowed,
            WireRefusal { code: 7, .. } => Self::Filter,
            WireRefusal { code, .. } => Self::Other(code),
        }
    }
}
