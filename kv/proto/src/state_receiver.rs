//! The end of a state transfer that receives: a synchronous machine, which says what to write to the disk and what to
//! answer. What it has written is without gaps and within the lengths that were announced, whatever is sent.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::{StateManifest, StateMessage, StatePlace, TransferEnd};

/// What a receiver is told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and the large one comes once")]
pub enum ReceiverInput {
    /// The sender sent this.
    Message(StateMessage),
    /// Answer to [`ReceiverAction::Begin`]: go on from here.
    Begun(StatePlace),
    /// Answer to [`ReceiverAction::Finish`].
    Finished,
    /// The disk failed, or what came is no state; also in place of an answer.
    Failed(String),
}

/// What a receiver wants done, in this order, all of it before the next message is handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiverAction {
    /// Begin to receive this, or go on with it.
    Begin(StateManifest),
    /// Write to a file. No answer.
    Write {
        /// Where: at the end of what is there.
        place: StatePlace,
        /// What.
        bytes: Bytes,
    },
    /// A file has ended. No answer.
    EndFile {
        /// Which.
        file: u32,
        /// Its BLAKE3.
        hash: [u8; 32],
    },
    /// Check everything, and open it.
    Finish,
    /// Send this. No answer.
    Send(StateMessage),
    /// Let what was sent arrive, then close. Nothing comes after this.
    Close(Result<(), TransferEnd>),
}

/// See the module.
#[derive(Debug, Default)]
pub struct StateReceiver {
    lens: Vec<u64>,
    state: State,
    ready: VecDeque<ReceiverAction>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    New,
    Beginning,
    /// Next comes this.
    At(StatePlace),
    Finishing,
    Closed,
}

impl StateReceiver {
    /// Before the first message.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes an input.
    pub fn handle(&mut self, input: ReceiverInput) {
        match (self.state, input) {
            (State::Closed, _) => {}
            (_, ReceiverInput::Failed(what)) => self.give_up(TransferEnd::Disk(what)),
            (_, ReceiverInput::Message(StateMessage::Failed { reason })) => self.close(Err(TransferEnd::Other(reason))),
            (State::New, ReceiverInput::Message(StateMessage::Manifest(manifest))) => {
                self.lens = manifest.files.iter().map(|file| file.len).collect();
                self.state = State::Beginning;
                self.ready.push_back(ReceiverAction::Begin(manifest));
            }
            (State::Beginning, ReceiverInput::Begun(place)) => {
                self.state = State::At(place);
                self.ready.push_back(ReceiverAction::Send(StateMessage::Resume(place)));
            }
            (State::At(at), ReceiverInput::Message(message)) => self.message(at, message),
            (State::Finishing, ReceiverInput::Finished) => {
                self.ready.push_back(ReceiverAction::Send(StateMessage::Done));
                self.close(Ok(()));
            }
            (_, ReceiverInput::Message(_)) => self.give_up(TransferEnd::Malformed("a message out of order")),
            // An answer to nothing that was asked.
            (_, ReceiverInput::Begun(_) | ReceiverInput::Finished) => {}
        }
    }

    /// The next thing to do, if there is one now.
    pub fn poll_action(&mut self) -> Option<ReceiverAction> {
        self.ready.pop_front()
    }

    fn message(&mut self, at: StatePlace, message: StateMessage) {
        let len = self.len(at.file);
        match message {
            StateMessage::Piece { place, bytes } => {
                let end = place.offset.checked_add(bytes.len() as u64).filter(|end| Some(*end) <= len);
                let Some(end) = end.filter(|_| place == at && !bytes.is_empty()) else {
                    return self.give_up(TransferEnd::Malformed("a piece that does not follow"));
                };
                self.state = State::At(StatePlace { offset: end, ..at });
                self.ready.push_back(ReceiverAction::Write { place, bytes });
            }
            StateMessage::FileEnd { file, hash } if file == at.file && Some(at.offset) == len => {
                self.state = State::At(StatePlace { file: file.saturating_add(1), offset: 0 });
                self.ready.push_back(ReceiverAction::EndFile { file, hash });
            }
            StateMessage::End if usize::try_from(at.file) == Ok(self.lens.len()) => {
                self.state = State::Finishing;
                self.ready.push_back(ReceiverAction::Finish);
            }
            _ => self.give_up(TransferEnd::Malformed("an end that is none, or a message out of order")),
        }
    }

    fn len(&self, file: u32) -> Option<u64> {
        self.lens.get(usize::try_from(file).ok()?).copied()
    }

    /// Tells the sender.
    fn give_up(&mut self, why: TransferEnd) {
        self.ready.push_back(ReceiverAction::Send(StateMessage::failed(&why.to_string())));
        self.close(Err(why));
    }

    fn close(&mut self, end: Result<(), TransferEnd>) {
        self.state = State::Closed;
        self.ready.push_back(ReceiverAction::Close(end));
    }
}
