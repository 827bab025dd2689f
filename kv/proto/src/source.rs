//! The interface from which a publisher reads: it separates the stores that hold the history from the streams that send
//! it.

use bytes::Bytes;
use thiserror::Error;

use crate::{Chain, Filter, Position, RangesGiven, RangesWant, TableManifest, TableSource, Version};

/// A store whose history cannot be read: a disk fault or damage.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("history cannot be read: {0}")]
pub struct SourceError(pub String);

/// The published history of one store. Calls may block on the disk.
pub trait BatchSource: Send + Sync + 'static {
    /// The last applied position.
    fn position(&self) -> Position;

    /// The chain at `version` if the batch log still holds it (or it is the origin or the head): what a subscriber's
    /// position is checked against.
    ///
    /// # Errors
    /// The store could not be read.
    fn chain_at(&self, version: Version) -> Result<Option<Chain>, SourceError>;

    /// The first version of the present epoch; 0 where no restore was ever accepted.
    fn began(&self) -> Version;

    /// Encoded [`Published`](crate::Published) versions right after `after`, dense and ascending, until `max_bytes`
    /// are reached (at least one if there is one). `None` when the batch log no longer reaches back that far.
    ///
    /// # Errors
    /// The store could not be read.
    fn read_after(&self, after: Version, max_bytes: usize) -> Result<Option<Vec<Bytes>>, SourceError>;

    /// Keeps the versions after `after` in the batch log until the pin is dropped, within a cap of the store: for a
    /// downstream that takes a snapshot and goes on from there. A store that trims nothing has nothing to do.
    fn pin(&self, after: Version) -> Box<dyn LogPin> {
        let _ = after;
        Box::new(())
    }

    /// What the store holds, if not all that is published.
    ///
    /// # Errors
    /// The store could not be read.
    fn holds(&self) -> Result<Option<Filter>, SourceError> {
        Ok(None)
    }

    /// Opens a snapshot at one position: of what a filter holds, or of all published keys.
    ///
    /// # Errors
    /// The store could not be read, or it does not hold all of that (any more).
    fn snapshot(&self, filter: Option<&Filter>) -> Result<Box<dyn SnapshotSource>, SourceError>;

    /// Answers a question about what was here at a marker.
    ///
    /// # Errors
    /// The store could not be read.
    fn ranges(&self, want: &RangesWant) -> Result<RangesGiven, SourceError> {
        Ok(RangesGiven::not_there(want.number))
    }

    /// Writes everything published at one position into table files, which takes its time; `None` from a source that makes
    /// none.
    ///
    /// # Errors
    /// The store could not be read, or the disk has no room for them.
    fn make_tables(&self) -> Result<Option<Box<dyn TableSource>>, SourceError> {
        Ok(None)
    }

    /// Table files that came from elsewhere and were kept, if a downstream can begin with them.
    ///
    /// # Errors
    /// The store could not be read.
    fn kept_tables(&self) -> Result<Option<Box<dyn TableSource>>, SourceError> {
        Ok(None)
    }

    /// Removes what was kept of such files and is of no use any more. Called now and then.
    fn tidy(&self) {}

    /// Whether a downstream that begins with these files now finds in the batch log what follows, and no more of it than
    /// is read sooner than new files are made.
    ///
    /// # Errors
    /// The store could not be read.
    fn is_recent(&self, tables: &TableManifest) -> Result<bool, SourceError> {
        Ok(tables.position == self.position())
    }
}

/// Keeps versions in the batch log until it is dropped.
pub trait LogPin: Send + Sync {}

impl LogPin for () {}

/// A snapshot that is being read, in ascending order of key. Its position and content must not change.
pub trait SnapshotSource: Send {
    /// Position of the snapshot, the same from the first call to the last.
    fn position(&self) -> Position;

    /// Returns the next entries, encoded by [`encode_entries`](crate::encode_entries) as one message of about
    /// `max_bytes` with at least one entry. Returns an empty message after the last entry.
    ///
    /// # Errors
    /// The store could not be read.
    fn next_message(&mut self, max_bytes: usize) -> Result<Bytes, SourceError>;
}
