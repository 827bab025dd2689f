//! What the writer of an edge does with a snapshot that comes as table files, and what it says about it.

use zonecast_kv_proto::{OfferedTables, Position, TableLoad, TablePiece, TablesWant};
use zonecast_kv_store::{EdgeStore, StoreError, TablesLoad};

use crate::EdgeError;
use crate::elsewhere::Given;

/// What the follower hands on of such a snapshot, with what it counts there.
pub(crate) enum TableWork {
    Begin(TableLoad, Box<OfferedTables>, usize),
    Piece(TablePiece, usize),
    /// A piece from elsewhere, which counts by itself.
    Given(Given),
    /// All pieces that were lacking have come from elsewhere.
    Fetched(TableLoad),
    End(Position, usize),
}

/// What has become of it.
#[derive(Debug)]
pub(crate) enum TableReport {
    /// This is lacking of it.
    Begun(TableLoad, TablesWant),
    /// All that was lacking has come from elsewhere, and is what it should be.
    Fetched(TableLoad),
    /// It is the present copy.
    Done(TableLoad),
    /// It cannot be taken.
    Failed(TableLoad, String),
}

/// The one that is loading, if there is one.
pub(crate) struct TableLoading<'s> {
    store: &'s EdgeStore,
    present: Option<(TableLoad, TablesLoad<'s>)>,
    /// What follows is of no use, until another one begins or this one is aborted.
    has_failed: bool,
    /// Files may be there that have come of it.
    keeps: bool,
}

impl<'s> TableLoading<'s> {
    pub(crate) fn new(store: &'s EdgeStore) -> Self {
        Self { store, present: None, has_failed: false, keeps: store.keeps_tables() }
    }

    /// Whether versions are not to be applied, because what they follow could not be taken.
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// It will not be completed now. What has come of it stays.
    pub(crate) fn abort(&mut self) {
        (self.present, self.has_failed) = (None, false);
    }

    /// Versions are applied to the present copy, so what has come of another one is of no use.
    pub(crate) fn forget(&mut self) {
        if self.present.is_some() || !std::mem::take(&mut self.keeps) {
            return;
        }
        if let Err(error) = self.store.forget_tables() {
            tracing::warn!(%error, "parts of a snapshot that nobody needs stay on disk");
        }
    }

    /// Does it; says what to report, and the position once the copy is replaced.
    pub(crate) fn work(&mut self, work: TableWork) -> Result<(Option<TableReport>, Option<Position>), EdgeError> {
        match work {
            TableWork::Begin(load, offered, _) => {
                self.abort();
                self.keeps = true;
                let begun = self.store.begin_tables(*offered);
                let begun = self.unless_refused(load, begun)?.map(|present| {
                    let want = present.want();
                    self.present = Some((load, present));
                    TableReport::Begun(load, want)
                });
                Ok((Some(begun.unwrap_or_else(|refused| refused)), None))
            }
            TableWork::Piece(piece, _) => self.write(&piece),
            TableWork::Given(given) => self.write(&given.piece),
            TableWork::Fetched(load) => {
                let is_present = self.present.as_ref().is_some_and(|(present, _)| *present == load);
                Ok((is_present.then_some(TableReport::Fetched(load)), None))
            }
            TableWork::End(position, _) => {
                let Some((load, present)) = self.present.take() else { return Ok((None, None)) };
                match self.unless_refused(load, present.finish(&position))? {
                    Ok(()) => {
                        self.keeps = false;
                        Ok((Some(TableReport::Done(load)), Some(position)))
                    }
                    Err(refused) => Ok((Some(refused), None)),
                }
            }
        }
    }

    fn write(&mut self, piece: &TablePiece) -> Result<(Option<TableReport>, Option<Position>), EdgeError> {
        let Some((load, present)) = &mut self.present else { return Ok((None, None)) };
        let (load, written) = (*load, present.write(piece));
        Ok((self.unless_refused(load, written)?.err(), None))
    }

    /// What is wrong with the files, or that there is no room for them, is for the follower; everything else ends the
    /// writer.
    fn unless_refused<T>(
        &mut self,
        load: TableLoad,
        result: Result<T, StoreError>,
    ) -> Result<Result<T, TableReport>, EdgeError> {
        match result {
            Ok(done) => Ok(Ok(done)),
            Err(error @ (StoreError::BadTables(_) | StoreError::NoRoom { .. })) => {
                (self.present, self.has_failed) = (None, true);
                Ok(Err(TableReport::Failed(load, error.to_string())))
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl TableWork {
    /// What it counts at the follower.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Begin(_, _, bytes) | Self::Piece(_, bytes) | Self::End(_, bytes) => *bytes,
            Self::Given(_) | Self::Fetched(_) => 0,
        }
    }
}
