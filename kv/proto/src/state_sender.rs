//! The end of a state transfer that sends: a synchronous machine, which says what to read from the disk and what to send.
//!
//! It sends no faster than it is told to, so that a transfer takes no more of the disk and the network than its share.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;

use crate::{MAX_PIECE, StateManifest, StateMessage, StatePlace};

/// What a sender is told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and the large one comes once")]
pub enum SenderInput {
    /// The receiver sent this.
    Message(StateMessage),
    /// Answer to [`SenderAction::Read`].
    Read(Bytes),
    /// Answer to [`SenderAction::Hash`].
    Hashed([u8; 32]),
    /// The disk failed, in place of an answer.
    Failed(String),
}

/// What a sender wants done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and the large one comes once")]
pub enum SenderAction {
    /// Send this. No answer; the next action is asked for when there is room for more.
    Send(StateMessage),
    /// Read from a file.
    Read {
        /// Where.
        place: StatePlace,
        /// So much, which the file has.
        bytes: usize,
    },
    /// Say the hash of a file.
    Hash {
        /// Which.
        file: u32,
    },
    /// Let what was sent arrive, then close. Nothing comes after this.
    Close(Result<(), TransferEnd>),
}

/// Why a transfer ends without a state.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TransferEnd {
    /// The other end has given up.
    #[error("the other voter has given up: {0}")]
    Other(String),
    /// The other end does not keep to the protocol.
    #[error("malformed: {0}")]
    Malformed(&'static str),
    /// This end has given up.
    #[error("{0}")]
    Disk(String),
}

/// See the module.
#[derive(Debug)]
pub struct StateSender {
    lens: Vec<u64>,
    state: State,
    rate: Rate,
    ready: VecDeque<SenderAction>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Announced.
    Announced,
    /// Next comes this.
    At(StatePlace),
    /// It is being read.
    Reading(StatePlace, usize),
    /// It has been sent, its hash is being computed.
    Hashing(u32),
    /// All is sent.
    Ended,
    Closed,
}

/// Bytes over time: after each piece as long a pause as the piece may take.
#[derive(Debug)]
struct Rate {
    bytes_per_second: NonZeroU64,
    free_at: Duration,
}

impl StateSender {
    /// Begins to send this state, at a rate in bytes a second.
    #[must_use]
    pub fn new(now: Duration, manifest: StateManifest, bytes_per_second: NonZeroU64) -> Self {
        let lens = manifest.files.iter().map(|file| file.len).collect();
        let ready = [SenderAction::Send(StateMessage::Manifest(manifest))].into();
        Self { lens, state: State::Announced, rate: Rate { bytes_per_second, free_at: now }, ready }
    }

    /// Takes an input.
    pub fn handle(&mut self, now: Duration, input: SenderInput) {
        match (self.state, input) {
            (State::Closed, _) => {}
            (_, SenderInput::Failed(what)) => self.give_up(TransferEnd::Disk(what)),
            (_, SenderInput::Message(StateMessage::Failed { reason })) => self.close(Err(TransferEnd::Other(reason))),
            (State::Announced, SenderInput::Message(StateMessage::Resume(place))) => self.resume(place),
            (State::Reading(place, expected), SenderInput::Read(bytes)) if bytes.len() == expected => {
                self.rate.takes(now, expected);
                self.state = State::At(StatePlace { offset: place.offset.saturating_add(expected as u64), ..place });
                self.ready.push_back(SenderAction::Send(StateMessage::Piece { place, bytes }));
            }
            (State::Reading(..), SenderInput::Read(_)) => {
                self.give_up(TransferEnd::Disk("a file has not the length that it had".into()));
            }
            (State::Hashing(file), SenderInput::Hashed(hash)) => {
                self.state = State::At(StatePlace { file: file.saturating_add(1), offset: 0 });
                self.ready.push_back(SenderAction::Send(StateMessage::FileEnd { file, hash }));
            }
            (State::Ended, SenderInput::Message(StateMessage::Done)) => self.close(Ok(())),
            (_, SenderInput::Message(_)) => self.give_up(TransferEnd::Malformed("a message out of order")),
            // An answer to nothing that was asked.
            (_, SenderInput::Read(_) | SenderInput::Hashed(_)) => {}
        }
    }

    /// The next thing to do, if there is one now.
    pub fn poll_action(&mut self, now: Duration) -> Option<SenderAction> {
        if self.ready.is_empty() {
            self.advance(now);
        }
        self.ready.pop_front()
    }

    /// When to ask for an action again, although nothing happens.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        matches!(self.state, State::At(_)).then_some(self.rate.free_at)
    }

    fn advance(&mut self, now: Duration) {
        let State::At(place) = self.state else { return };
        match self.len(place.file) {
            None => {
                self.state = State::Ended;
                self.ready.push_back(SenderAction::Send(StateMessage::End));
            }
            Some(len) if place.offset >= len => {
                self.state = State::Hashing(place.file);
                self.ready.push_back(SenderAction::Hash { file: place.file });
            }
            Some(len) if now >= self.rate.free_at => {
                let bytes = usize::try_from(len - place.offset).unwrap_or(MAX_PIECE).min(MAX_PIECE);
                self.state = State::Reading(place, bytes);
                self.ready.push_back(SenderAction::Read { place, bytes });
            }
            Some(_) => {}
        }
    }

    fn resume(&mut self, place: StatePlace) {
        let is_behind_all = usize::try_from(place.file) == Ok(self.lens.len());
        if place.offset <= self.len(place.file).unwrap_or(0) && (is_behind_all || self.len(place.file).is_some()) {
            self.state = State::At(place);
        } else {
            self.give_up(TransferEnd::Malformed("a place that no file has"));
        }
    }

    fn len(&self, file: u32) -> Option<u64> {
        self.lens.get(usize::try_from(file).ok()?).copied()
    }

    /// Tells the receiver.
    fn give_up(&mut self, why: TransferEnd) {
        self.ready.push_back(SenderAction::Send(StateMessage::failed(&why.to_string())));
        self.close(Err(why));
    }

    fn close(&mut self, end: Result<(), TransferEnd>) {
        self.state = State::Closed;
        self.ready.push_back(SenderAction::Close(end));
    }
}

impl Rate {
    fn takes(&mut self, now: Duration, bytes: usize) {
        // Rounded up, so that many small pauses are as long as they should be.
        let nanos = (bytes as u128 * 1_000_000_000).div_ceil(u128::from(self.bytes_per_second.get()));
        let pause = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.free_at = self.free_at.max(now).saturating_add(pause);
    }
}
