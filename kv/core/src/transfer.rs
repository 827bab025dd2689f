//! The state of a voter over a stream between two machines: what the state machines of a transfer
//! ([`StateSender`], [`StateReceiver`]) want done, with disks and a clock.
//!
//! A transfer may take as long as it takes; it ends when it makes no progress.

use std::future::Future;
use std::io;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt as _;
use zonecast_kv_proto::{
    ReceiverAction, ReceiverInput, SenderAction, SenderInput, StateMessage, StateReceiver, StateSender,
};
use zonecast_kv_store::{ReceiveState, ReceivedState, StateStore, StoreError};

use crate::checkpoint::Checkpoint;
use crate::environment::{MessageReceiver, MessageSender};
use crate::metrics::CoreMetrics;
use crate::store_use::StoreUse;

/// No message comes, or goes out, for so long: the other end is gone, or its disk hangs.
const PROGRESS_WITHIN: Duration = Duration::from_secs(30);
/// The receiver reads every file once more before it says that it has the state: minutes for many gigabytes.
const CHECKED_WITHIN: Duration = Duration::from_secs(1800);

/// What both ends need of their machine.
#[derive(Clone, Copy)]
pub(crate) struct Transfer<'a> {
    pub(crate) disk: &'a StoreUse,
    pub(crate) metrics: &'a CoreMetrics,
}

impl Transfer<'_> {
    /// Sends a checkpoint. When this returns, the other end has it whole and open.
    pub(crate) async fn send(
        self,
        checkpoint: &Arc<Checkpoint>,
        bytes_per_second: NonZeroU64,
        sender: &mut impl MessageSender,
        receiver: &mut impl MessageReceiver,
    ) -> io::Result<()> {
        let (begun, mut patience) = (Instant::now(), PROGRESS_WITHIN);
        let mut machine = StateSender::new(Duration::ZERO, checkpoint.manifest(), bytes_per_second);
        loop {
            while let Some(action) = machine.poll_action(begun.elapsed()) {
                match action {
                    SenderAction::Send(message) => {
                        if message == StateMessage::End {
                            patience = CHECKED_WITHIN;
                        }
                        self.send_message(message, sender).await?;
                    }
                    SenderAction::Read { place, bytes } => {
                        let read = self.on_disk(checkpoint, move |files| files.read(place.file, place.offset, bytes));
                        machine.handle(begun.elapsed(), input(read.await?, SenderInput::Read));
                    }
                    SenderAction::Hash { file } => {
                        let hashed = self.on_disk(checkpoint, move |files| files.hash(file));
                        machine.handle(begun.elapsed(), input(hashed.await?, SenderInput::Hashed));
                    }
                    SenderAction::Close(end) => return end.map_err(io::Error::other),
                }
                // It may have given up.
                if let Some(message) = receiver.next().now_or_never() {
                    machine.handle(begun.elapsed(), SenderInput::Message(decode(message?)?));
                }
            }
            let pause = machine.poll_timeout().map(|until| until.saturating_sub(begun.elapsed()));
            match tokio::time::timeout(pause.unwrap_or(patience), receiver.next()).await {
                Ok(message) => machine.handle(begun.elapsed(), SenderInput::Message(decode(message?)?)),
                Err(_) if pause.is_some() => {}
                Err(_) => return Err(io::ErrorKind::TimedOut.into()),
            }
        }
    }

    async fn send_message(self, message: StateMessage, sender: &mut impl MessageSender) -> io::Result<()> {
        let len = if let StateMessage::Piece { bytes, .. } = &message { bytes.len() } else { 0 };
        in_time(sender.send(vec![message.to_bytes()])).await?;
        self.metrics.snapshot_sent_bytes.inc_by(len as u64);
        Ok(())
    }

    async fn on_disk<T: Send + 'static>(
        self,
        checkpoint: &Arc<Checkpoint>,
        work: impl FnOnce(&zonecast_kv_store::SendState) -> Result<T, StoreError> + Send + 'static,
    ) -> io::Result<Result<T, StoreError>> {
        let checkpoint = Arc::clone(checkpoint);
        self.disk.spawn_blocking(move || work(&checkpoint.files)).await.map_err(io::Error::other)
    }

    /// Receives a state beside the present one. What has come is kept when the transfer is cut off.
    pub(crate) async fn receive(
        self,
        state: &StateStore,
        sender: &mut impl MessageSender,
        receiver: &mut impl MessageReceiver,
    ) -> io::Result<ReceivedState> {
        let (mut machine, mut files) = (StateReceiver::new(), Incoming::Nothing);
        loop {
            while let Some(action) = machine.poll_action() {
                match action {
                    ReceiverAction::Send(message) => self.send_message(message, sender).await?,
                    ReceiverAction::Close(end) => {
                        end.map_err(io::Error::other)?;
                        return files.into_received();
                    }
                    action => {
                        if let ReceiverAction::Write { bytes, .. } = &action {
                            self.metrics.snapshot_received_bytes.inc_by(bytes.len() as u64);
                        }
                        let store = state.clone();
                        let doing = self.disk.spawn_blocking(move || files.take(&store, action));
                        let (next, done) = match doing.await.map_err(io::Error::other)? {
                            Ok((next, done)) => (next, done),
                            Err(error) => (Incoming::Nothing, Some(ReceiverInput::Failed(error.to_string()))),
                        };
                        files = next;
                        done.into_iter().for_each(|done| machine.handle(done));
                    }
                }
            }
            machine.handle(ReceiverInput::Message(decode(in_time(receiver.next()).await?)?));
        }
    }
}

/// What has come of a state.
enum Incoming {
    Nothing,
    Part(Box<ReceiveState>),
    Whole(ReceivedState),
}

impl Incoming {
    /// Does what the machine wants of the disk, and says what it is told of that.
    fn take(self, store: &StateStore, action: ReceiverAction) -> Result<(Self, Option<ReceiverInput>), StoreError> {
        match (self, action) {
            (_, ReceiverAction::Begin(manifest)) => {
                let part = store.receive(manifest)?;
                let begun = ReceiverInput::Begun(part.progress());
                Ok((Self::Part(Box::new(part)), Some(begun)))
            }
            (Self::Part(mut part), ReceiverAction::Write { place, bytes }) => {
                part.write(place, &bytes)?;
                Ok((Self::Part(part), None))
            }
            (Self::Part(mut part), ReceiverAction::EndFile { file, hash }) => {
                part.end_file(file, hash)?;
                Ok((Self::Part(part), None))
            }
            (Self::Part(part), ReceiverAction::Finish) => {
                Ok((Self::Whole(part.finish()?), Some(ReceiverInput::Finished)))
            }
            (files, _) => Ok((files, None)),
        }
    }

    fn into_received(self) -> io::Result<ReceivedState> {
        match self {
            Self::Whole(received) => Ok(received),
            _ => Err(io::Error::other("the transfer has ended before the state was whole")),
        }
    }
}

fn input<T>(done: Result<T, StoreError>, input: impl FnOnce(T) -> SenderInput) -> SenderInput {
    done.map_or_else(|error| SenderInput::Failed(error.to_string()), input)
}

/// A message; its end is none.
fn decode(message: Option<Bytes>) -> io::Result<StateMessage> {
    let bytes = message.ok_or(io::ErrorKind::UnexpectedEof)?;
    StateMessage::from_bytes(&bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

async fn in_time<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(PROGRESS_WITHIN, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
