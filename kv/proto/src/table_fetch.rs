//! A relay's side of a stream of its own on which it asks its upstream for table files, for nodes below it: its own copy
//! is good, and goes on beside it.
//!
//! ```text
//!  Asked ─ TablesFollow ─▶ Checking ─ what is lacking ─▶ Coming ─ TablesEnd ─▶ Ended
//!    └──────── the end of the stream: there are none ─────────────────────────▶ Ended
//! ```
//! Whatever comes in between is a sign of life only.

use std::time::Duration;

use thiserror::Error;

use crate::table_receiver::TableReceiver;
use crate::{
    Epoch, Frame, OfferedTables, Pace, Position, SILENT_AFTER, TableManifestError, TablePiece, TablesWant, Version,
};

/// What has happened beside a frame that has come.
#[derive(Debug)]
pub enum FetchInput {
    /// So many bytes came, of a message that is not whole yet.
    Heard(usize),
    /// This is lacking of the files of a [`FetchAction::Begin`].
    Begun(TablesWant),
    /// The stream has ended.
    End,
}

/// What the caller must do.
#[derive(Debug, PartialEq)]
pub enum FetchAction {
    /// Send this.
    Send(Frame),
    /// Check who has signed these, and say what is lacking of them.
    Begin(Box<OfferedTables>),
    /// Put this piece, the next one, into its file.
    Write(TablePiece),
    /// All of them are there.
    Finish(Position),
    /// Nothing comes of it.
    Fail(FetchEnd),
}

/// Why nothing comes of it.
#[derive(Debug, Error)]
pub enum FetchEnd {
    /// It makes none and has none, or has no room for them.
    #[error("the upstream has no table files")]
    None,
    /// Whoever is below this relay could not go on from there.
    #[error("the table files of the upstream are at {0}, which is too old")]
    Old(Position),
    /// The stream broke off.
    #[error("the upstream ended the stream before the last table file")]
    Short,
    /// Bytes that are no manifest.
    #[error(transparent)]
    Manifest(#[from] TableManifestError),
    /// Nothing came for [`SILENT_AFTER`].
    #[error("the upstream is silent")]
    Silent,
    /// A message came more slowly than [`LEAST_RATE`](crate::LEAST_RATE) over a minute.
    #[error("the upstream sends less than {} KiB a second in the middle of a message", crate::LEAST_RATE / 1024)]
    Trickling,
    /// A frame that does not belong here.
    #[error("malformed: {0}")]
    Malformed(&'static str),
}

const MISPLACED: FetchEnd = FetchEnd::Malformed("a frame that does not belong here");

/// Two are equal when they say the same.
impl PartialEq for FetchEnd {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

/// See the module.
#[derive(Debug)]
pub struct TableFetch {
    from: (Epoch, Version),
    state: State,
    pace: Pace,
    timeout: Duration,
}

#[derive(Debug)]
enum State {
    Asked,
    Coming(TableReceiver),
    Ended,
}

impl TableFetch {
    /// Asks for files that stand at this epoch and version or later: what to send first.
    #[must_use]
    pub fn new(now: Duration, from: (Epoch, Version)) -> (Self, Frame) {
        let fetch = Self { from, state: State::Asked, pace: Pace::begin(now), timeout: now + SILENT_AFTER };
        (fetch, Frame::TablesAsk(from.0, from.1))
    }

    /// When to ask [`TableFetch::overdue`] though nothing happened.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Whether nothing has come for too long.
    pub fn overdue(&mut self, now: Duration) -> Option<FetchAction> {
        (now >= self.timeout && !matches!(self.state, State::Ended)).then(|| self.fail(FetchEnd::Silent))
    }

    /// Takes what the upstream sent; says what to do because of it.
    pub fn hear(&mut self, now: Duration, frame: Frame) -> Option<FetchAction> {
        self.timeout = now + SILENT_AFTER;
        self.pace = Pace::begin(now);
        self.frame(frame)
    }

    /// Takes what else happened; says what to do because of it.
    pub fn handle(&mut self, now: Duration, input: FetchInput) -> Option<FetchAction> {
        self.timeout = now + SILENT_AFTER;
        match input {
            FetchInput::Heard(bytes) => {
                self.pace.moved(now, bytes);
                self.pace.is_trickling(now).then(|| self.fail(FetchEnd::Trickling))
            }
            FetchInput::Begun(want) => {
                // The time that it took was not the upstream's.
                self.pace = Pace::begin(now);
                let State::Coming(tables) = &mut self.state else { return None };
                tables.begun(want.clone()).then_some(FetchAction::Send(Frame::TablesWant(want)))
            }
            FetchInput::End => match self.state {
                State::Asked => Some(self.fail(FetchEnd::None)),
                State::Coming(_) => Some(self.fail(FetchEnd::Short)),
                State::Ended => None,
            },
        }
    }

    fn frame(&mut self, frame: Frame) -> Option<FetchAction> {
        let done = match (&mut self.state, frame) {
            (State::Ended, _) | (_, Frame::Heartbeat(_) | Frame::Path(_)) => return None,
            (_, Frame::Goodbye) => Err(FetchEnd::Short),
            (State::Asked, Frame::TablesFollow(signed)) => self.offered(&signed),
            (State::Coming(tables), Frame::TablePiece(piece)) => {
                if tables.takes(&piece) {
                    Ok(FetchAction::Write(piece))
                } else {
                    Err(MISPLACED)
                }
            }
            (State::Coming(tables), Frame::TablesEnd(position)) => {
                tables.end(position).map(FetchAction::Finish).ok_or(MISPLACED)
            }
            _ => Err(MISPLACED),
        };
        if matches!(done, Ok(FetchAction::Finish(_))) {
            self.state = State::Ended;
        }
        Some(done.unwrap_or_else(|end| self.fail(end)))
    }

    fn offered(&mut self, signed: &[u8]) -> Result<FetchAction, FetchEnd> {
        let offered = OfferedTables::read(signed)?;
        let position = offered.manifest.position;
        if position.order() < self.from {
            return Err(FetchEnd::Old(position));
        }
        self.state = State::Coming(TableReceiver::new(&offered.manifest));
        Ok(FetchAction::Begin(Box::new(offered)))
    }

    fn fail(&mut self, end: FetchEnd) -> FetchAction {
        self.state = State::Ended;
        FetchAction::Fail(end)
    }
}
