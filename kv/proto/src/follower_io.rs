//! What goes into a [`Follower`](crate::Follower) and comes out of it.

use bytes::Bytes;
use thiserror::Error;

use crate::{
    CopyCheck, DecodeError, EntryError, Filter, Frame, OfferedTables, Path, Position, PublishedError, ReceivedVersion,
    SubscribeRefusal, TableLoad, TableManifestError, TablePiece, TablesWant, UNCONFIRMED_AFTER,
};

/// An input: an event that the caller reports.
#[derive(Debug)]
pub enum FollowerInput {
    /// A connection is made, as [`FollowerAction::Connect`] asked.
    Connected,
    /// It failed, or the connection is gone.
    Disconnected,
    /// The publisher has ended it because another process with this identity has connected.
    Replaced,
    /// It turns out that the upstream is this node itself.
    Itself,
    /// The publisher sent this frame.
    Frame(Frame),
    /// So many bytes came, of a message that is not whole yet: a sign of life on a slow link.
    Heard(usize),
    /// The versions handed on are applied up to this position.
    Applied {
        /// The position that readers see.
        position: Position,
        /// Bytes of it, as they were handed on.
        bytes: usize,
        /// From the leader's stamp to now, by two clocks, microseconds.
        two_clock_us: u64,
    },
    /// So many bytes of snapshot messages are written, or dropped after an abort, as they were handed on.
    Taken(usize),
    /// This is lacking of the table files of a [`FollowerAction::TablesBegin`].
    TablesBegun(TableLoad, TablesWant),
    /// They have replaced the copy; [`FollowerInput::Applied`] says so too.
    TablesDone(TableLoad),
    /// They are not what their manifest says, nobody who may has signed it, or there is no room for them. Nothing that was
    /// handed on after them was applied.
    TablesFailed(TableLoad, String),
    /// Table files that can be had elsewhere than at an upstream, whose signature is good: said before a connection is made.
    Elsewhere(Option<Box<OfferedTables>>),
    /// They could not be had there, or are not what their manifest says.
    ElsewhereFailed(TableLoad, String),
    /// The copy is synced to disk up to this position.
    Durable(Position),
    /// The copy turns out to be damaged: a snapshot is to replace it, though it stands at a position.
    Damaged,
    /// The node is to hold what this filter holds, or everything: a snapshot is to replace a copy of anything else.
    Filter(Option<Filter>),
    /// The copy has come to this at a marker.
    Checked(CopyCheck),
}

/// An output: an action that the caller must do.
#[derive(Debug, PartialEq)]
pub enum FollowerAction {
    /// Connect to the upstream at this place of the configuration.
    Connect(usize),
    /// Send this frame to the publisher.
    Send(Frame),
    /// Apply this version, which leads to this position; its bytes as they count
    /// against [`MAX_OUTSTANDING`](crate::MAX_OUTSTANDING).
    Apply(ReceivedVersion, Position, usize),
    /// Begin a new copy beside the present one, of what this filter holds.
    SnapshotBegin(Position, Option<Filter>),
    /// Put these checked entries into it; what they count against [`MAX_OUTSTANDING`](crate::MAX_OUTSTANDING).
    SnapshotEntries(Bytes, usize),
    /// It is complete: make it the present one; what that counts.
    SnapshotEnd(Position, usize),
    /// It will not be completed: drop it, but for what came of table files.
    SnapshotAbort,
    /// Check who has signed these table files, and begin or go on to fetch them; what that counts.
    TablesBegin(TableLoad, Box<OfferedTables>, usize),
    /// Fetch these table files elsewhere, and say that nothing is lacking when all of them are there.
    TablesElsewhere(TableLoad, Box<OfferedTables>),
    /// Put this piece, the next one, into its file; what it counts.
    TablePiece(TablePiece, usize),
    /// All that was lacking is there: make the files the present copy; what that counts.
    TablesEnd(Position, usize),
    /// Close the connection for this reason.
    Disconnect(FollowerEnd),
}

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
    /// Table files from elsewhere that cannot be taken, which is not the publisher's fault.
    #[error("snapshot from the object store: {0}")]
    Elsewhere(String),
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
        use FollowerEnd::{
            Behind, Circle, Damaged, Elsewhere, Filter, Goodbye, HoldsLess, Silent, Trickling, Unconfirmed,
        };
        let passes = matches!(self, Goodbye | Silent | Unconfirmed | Trickling | Damaged | Filter | HoldsLess);
        !passes && !matches!(self, Behind(_) | Circle(_) | Elsewhere(_))
    }

    /// Whether data or histories disagree: tried again only after the longest wait.
    #[must_use]
    pub fn is_alarming(&self) -> bool {
        // A publisher that is behind may only be late, and one that holds less may hold more soon.
        let may_pass =
            matches!(self, Self::Back(_) | Self::Refused(SubscribeRefusal::Ahead(_) | SubscribeRefusal::Filter));
        self.needs_a_hand() && !may_pass
    }
}

/// How a follower stands towards its publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowerState {
    /// The follower has no connection, or none that serves it.
    Away,
    /// The follower gets every version.
    Streaming,
    /// It is loading a snapshot.
    Loading,
}
