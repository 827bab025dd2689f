//! What a publisher does for a downstream that takes a snapshot as table files: it waits until it hears what is lacking,
//! then sends that.

use std::time::Duration;

use bytes::Bytes;

use crate::{
    Frame, MAX_TABLE_PIECE, MAX_WRITE, Position, TableCourse, TablePiece, TablePlace, TablesWant, table_piece,
};

/// So long a downstream may take to say what it lacks: it reads again what it has kept of an earlier connection, which may
/// be a large disk. Meanwhile it has one of the few places.
pub const WANT_WITHIN: Duration = Duration::from_mins(10);

/// So long a downstream may take to fetch table files elsewhere. It has no place meanwhile; the log is kept for it.
pub const ELSEWHERE_WITHIN: Duration = Duration::from_hours(1);

/// Table files that a downstream can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableOffer {
    /// Where they stand.
    pub position: Position,
    /// A [`SignedManifest`](crate::SignedManifest), encoded.
    pub signed: Bytes,
    /// The length of each.
    pub lens: Vec<u64>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct TableSender {
    position: Position,
    state: State,
}

#[derive(Debug)]
enum State {
    Offered { lens: Vec<u64>, until: Duration },
    Sending(TableCourse),
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TableStep {
    /// The downstream has not said what it lacks, and has time.
    Wait,
    /// It had enough of it.
    Overdue,
    /// Read from a file.
    Read(TablePlace, usize),
    /// That was all of it.
    End(Position),
}

impl TableSender {
    /// These were offered just now.
    pub(crate) fn new(now: Duration, position: Position, lens: Vec<u64>) -> Self {
        Self { position, state: State::Offered { lens, until: now + WANT_WITHIN } }
    }

    /// It goes for files that it has elsewhere, and will lack nothing then.
    pub(crate) fn elsewhere(now: Duration, position: Position) -> Self {
        Self { position, state: State::Offered { lens: Vec::new(), until: now + ELSEWHERE_WITHIN } }
    }

    /// The downstream says what it lacks; whether that makes sense.
    pub(crate) fn want(&mut self, want: TablesWant) -> bool {
        let State::Offered { lens, .. } = &mut self.state else { return false };
        let course = TableCourse::new(std::mem::take(lens), want);
        course.map(|course| self.state = State::Sending(course)).is_some()
    }

    pub(crate) fn next(&self, now: Duration) -> TableStep {
        match &self.state {
            State::Offered { until, .. } if now >= *until => TableStep::Overdue,
            State::Offered { .. } => TableStep::Wait,
            State::Sending(course) => match course.place() {
                Some(place) => TableStep::Read(place, usize::try_from(course.left()).map_or(MAX_WRITE, at_most)),
                None => TableStep::End(self.position),
            },
        }
    }

    /// These were read there: the frames that carry them, unless the file has not so many bytes.
    pub(crate) fn read(&mut self, mut bytes: Bytes) -> Option<Vec<Bytes>> {
        let State::Sending(course) = &mut self.state else { return None };
        let TablePlace { file, mut offset } = course.place()?;
        if !course.advance(bytes.len()) {
            return None;
        }
        let mut frames = Vec::new();
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(MAX_TABLE_PIECE));
            let len = piece.len() as u64;
            frames.extend(table_piece(TablePiece { file, offset, bytes: piece }));
            offset += len;
        }
        Some(frames)
    }
}

impl TableOffer {
    /// The frame that says so.
    pub(crate) fn frame(&self) -> Bytes {
        Frame::TablesFollow(self.signed.clone()).to_bytes()
    }
}

fn at_most(left: usize) -> usize {
    left.min(MAX_WRITE)
}
