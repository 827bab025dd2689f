//! Why a follower leaves its publisher.

use thiserror::Error;

use crate::{
    DecodeError, EntryError, Path, Position, PublishedError, SubscribeRefusal, TableManifestError, UNCONFIRMED_AFTER,
};

/// Why the follower leaves its publisher.
#[derive(Debug, Error)]
pub enum FollowerEnd {
    /// The publisher goes away in good order.
    #[error("the publisher said goodbye")]
    Goodbye,
    /// Nothing came for [`SILENT_AFTER`](crate::SILENT_AFTER), or no answer for [`ANSWER_WITHIN`](crate::ANSWER_WITHIN).
    #[error("the publisher is silent")]
    Silent,
    /// No majority has confirmed the publisher for [`UNCONFIRMED_AFTER`], and there is another one.
    #[error("no majority of the cores has confirmed it for {} s", UNCONFIRMED_AFTER.as_secs())]
    Unconfirmed,
    /// A message came more slowly than [`LEAST_RATE`](crate::LEAST_RATE) over a minute.
    #[error("the publisher sends less than {} KiB a second in the middle of a message", crate::LEAST_RATE / 1024)]
    Trickling,
    /// The publisher is behind this copy, and another one may serve it.
    #[error("the publisher is behind this copy, at {0}")]
    Behind(Position),
    /// The publisher does not hold all that this copy does, and another one may.
    #[error("the publisher does not hold all that this node's filter asks for")]
    HoldsLess,
    /// The publisher will not serve this copy.
    #[error("the publisher refused: {0}")]
    Refused(SubscribeRefusal),
    /// Bytes that are no version, a gap, or another chain.
    #[error(transparent)]
    Version(#[from] PublishedError),
    /// A version with a malformed operation.
    #[error(transparent)]
    Operation(#[from] DecodeError),
    /// A malformed entry of a snapshot.
    #[error("snapshot: {0}")]
    Entry(EntryError),
    /// A snapshot that is not what its end says.
    #[error("the count or digest of the snapshot is wrong")]
    Snapshot,
    /// Bytes that are no manifest of table files.
    #[error("snapshot: {0}")]
    Manifest(TableManifestError),
    /// Table files that cannot be taken.
    #[error("snapshot: {0}")]
    Tables(String),
    /// A snapshot or stream of another store.
    #[error("the publisher holds another store: {0}")]
    OtherStore(Position),
    /// A snapshot from before this copy.
    #[error("the snapshot is at {0}, behind this copy")]
    Back(Position),
    /// To come back for a snapshot.
    #[error("the copy is damaged; a snapshot replaces it")]
    Damaged,
    /// To come back for a snapshot of something else.
    #[error("another filter is set; a snapshot replaces the copy")]
    Filter,
    /// The publisher gets its versions from this node.
    #[error("the publisher follows this relay itself: {0}")]
    Circle(Path),
    /// A path that has no room for this node.
    #[error("the publisher is {} nodes away from a core, and no further one may follow", Path::nodes(.0).len())]
    Far(Path),
    /// A frame that does not belong here.
    #[error("malformed: {0}")]
    Malformed(&'static str),
}

/// Two are equal when they are of one kind and say the same: what is wrong with bytes is known by its words alone.
impl PartialEq for FollowerEnd {
    fn eq(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other) && self.to_string() == other.to_string()
    }
}

impl FollowerEnd {
    /// Whether an operator should look: time alone does not heal it. A publisher that is behind may catch up, but one
    /// that was restored to an older state never does.
    #[must_use]
    pub fn needs_a_hand(&self) -> bool {
        use FollowerEnd::{Behind, Circle, Damaged, Filter, Goodbye, HoldsLess, Silent, Trickling, Unconfirmed};
        !matches!(
            self,
            Goodbye | Silent | Unconfirmed | Trickling | Damaged | Filter | HoldsLess | Behind(_) | Circle(_)
        )
    }

    /// Whether data or histories disagree: tried again only after the longest wait.
    #[must_use]
    pub fn is_alarming(&self) -> bool {
        let Self::Refused(why) = self else { return self.needs_a_hand() };
        !matches!(why, SubscribeRefusal::Ahead(_) | SubscribeRefusal::Filter)
    }
}
