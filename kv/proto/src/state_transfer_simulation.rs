//! Sender and receiver of a state against each other, over a connection that breaks; and a receiver against anything.

use std::num::NonZeroU64;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use crate::{
    Head, MAX_PIECE, ReceiverAction, ReceiverInput, SenderAction, SenderInput, StateFile, StateManifest, StateMessage,
    StatePlace, StateReceiver, StateSender, TransferEnd,
};

/// What the receiver's disk holds: a part of each file, and how many have ended.
#[derive(Debug, Default, PartialEq)]
struct Disk {
    files: Vec<Vec<u8>>,
    ended: usize,
}

impl Disk {
    fn place(&self) -> StatePlace {
        let offset = self.files.get(self.ended).map_or(0, |file| file.len() as u64);
        StatePlace { file: u32::try_from(self.ended).unwrap(), offset }
    }

    fn write(&mut self, place: StatePlace, bytes: &[u8]) {
        assert_eq!(place, self.place(), "a gap");
        self.files[self.ended].extend_from_slice(bytes);
    }

    fn end(&mut self, file: u32, hash: [u8; 32]) {
        assert_eq!(usize::try_from(file), Ok(self.ended));
        assert_eq!(*blake3::hash(&self.files[self.ended]).as_bytes(), hash);
        self.ended += 1;
    }
}

fn manifest(files: &[Vec<u8>]) -> StateManifest {
    let file =
        |(number, bytes): (usize, &Vec<u8>)| StateFile { name: format!("{number}.sst"), len: bytes.len() as u64 };
    StateManifest { id: 7, files: files.iter().enumerate().map(file).collect(), applied: None, head: Head::default() }
}

/// How a connection ended, at either end.
type Ends = [Option<Result<(), TransferEnd>>; 2];

/// One connection, which carries so many messages. Time goes on only where the rate says so.
struct Connection<'f> {
    files: &'f [Vec<u8>],
    disk: &'f mut Disk,
    now: &'f mut Duration,
    /// When how many bytes of files were sent.
    sent: &'f mut Vec<(Duration, usize)>,
    sender: StateSender,
    receiver: StateReceiver,
    messages: usize,
    ends: Ends,
}

impl Connection<'_> {
    fn run(mut self) -> Ends {
        while self.messages > 0 && self.ends.iter().any(Option::is_none) {
            match self.sender.poll_action(*self.now) {
                Some(action) => self.sender_does(action),
                None => *self.now = (*self.now).max(self.sender.poll_timeout().expect("it waits for time alone")),
            }
        }
        self.ends
    }

    fn carries(&mut self, message: &StateMessage) -> Option<StateMessage> {
        self.messages = self.messages.checked_sub(1)?;
        Some(StateMessage::from_bytes(&message.to_bytes()).unwrap())
    }

    fn sender_does(&mut self, action: SenderAction) {
        let input = match action {
            SenderAction::Send(message) => {
                if let StateMessage::Piece { bytes, .. } = &message {
                    self.sent.push((*self.now, bytes.len()));
                }
                if let Some(message) = self.carries(&message) {
                    self.receiver.handle(ReceiverInput::Message(message));
                    self.receiver_does();
                }
                return;
            }
            SenderAction::Read { place, bytes } => {
                let from = usize::try_from(place.offset).unwrap();
                SenderInput::Read(Bytes::copy_from_slice(&self.files[place.file as usize][from..from + bytes]))
            }
            SenderAction::Hash { file } => SenderInput::Hashed(blake3::hash(&self.files[file as usize]).into()),
            SenderAction::Close(end) => return self.ends[0] = Some(end),
        };
        self.sender.handle(*self.now, input);
    }

    fn receiver_does(&mut self) {
        while let Some(action) = self.receiver.poll_action() {
            match action {
                ReceiverAction::Begin(manifest) => {
                    self.disk.files.resize(manifest.files.len(), Vec::new());
                    self.receiver.handle(ReceiverInput::Begun(self.disk.place()));
                }
                ReceiverAction::Write { place, bytes } => self.disk.write(place, &bytes),
                ReceiverAction::EndFile { file, hash } => self.disk.end(file, hash),
                ReceiverAction::Finish => self.receiver.handle(ReceiverInput::Finished),
                ReceiverAction::Send(message) => {
                    if let Some(message) = self.carries(&message) {
                        self.sender.handle(*self.now, SenderInput::Message(message));
                    }
                }
                ReceiverAction::Close(end) => self.ends[1] = Some(end),
            }
        }
    }
}

/// Length and content of each.
fn some_files() -> impl Strategy<Value = Vec<(usize, u8)>> {
    let len = prop_oneof![4 => 0..300_usize, 1 => MAX_PIECE - 2..MAX_PIECE + 3, 1 => 2 * MAX_PIECE..3 * MAX_PIECE];
    prop::collection::vec((len, any::<u8>()), 0..6)
}

fn bytes_of((len, byte): &(usize, u8)) -> Vec<u8> {
    (0_u8..251).map(|at| at ^ byte).cycle().take(*len).collect()
}

fn any_place() -> impl Strategy<Value = StatePlace> {
    (0..4_u32, prop_oneof![0..8_u64, Just(u64::MAX)]).prop_map(|(file, offset)| StatePlace { file, offset })
}

fn any_message() -> impl Strategy<Value = StateMessage> {
    prop_oneof![
        1 => Just(StateMessage::Manifest(manifest(&[vec![0; 5], vec![], vec![0; 3]]))),
        1 => any_place().prop_map(StateMessage::Resume),
        4 => (any_place(), 0..7_usize).prop_map(|(place, len)| StateMessage::Piece { place, bytes: vec![0; len].into() }),
        2 => (0..4_u32).prop_map(|file| StateMessage::FileEnd { file, hash: [0; 32] }),
        1 => Just(StateMessage::End),
        1 => Just(StateMessage::Done),
        1 => Just(StateMessage::failed("why")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// However often the connection breaks, the receiver ends up with the same files; and no time is so short that more
    /// than the rate and one piece were sent in it.
    #[test]
    fn what_arrives_is_what_was_sent_no_faster_than_it_may_be(
        files in some_files(),
        breaks in prop::collection::vec(0..12_usize, 0..8),
        rate in prop_oneof![Just(1_u64), 1_000..10_000_000_u64, Just(u64::MAX)],
    ) {
        let rate = NonZeroU64::new(rate).unwrap();
        let files: Vec<Vec<u8>> = files.iter().map(bytes_of).collect();
        let (mut disk, mut now, mut all) = (Disk::default(), Duration::from_secs(5), vec![]);
        for messages in breaks.into_iter().chain([usize::MAX]) {
            let mut sent = vec![];
            let sender = StateSender::new(now, manifest(&files), rate);
            let before = disk.place();
            let connection = Connection {
                files: &files, disk: &mut disk, now: &mut now, sent: &mut sent, sender,
                receiver: StateReceiver::new(), messages, ends: [None, None],
            };
            let ends = connection.run();
            prop_assert!(disk.place() >= before);
            for (first, (begin, _)) in sent.iter().enumerate() {
                let mut bytes = 0;
                for (end, len) in &sent[first..] {
                    bytes += len;
                    let may = (*end - *begin).as_secs_f64() * rate.get() as f64 + MAX_PIECE as f64;
                    prop_assert!(bytes as f64 <= may + 1.0, "{bytes} in {:?}", *end - *begin);
                }
            }
            all = ends.into();
        }
        prop_assert_eq!(all, [Some(Ok(())), Some(Ok(()))]);
        prop_assert!(disk == Disk { ended: files.len(), files }, "other files");
    }

    /// Whatever is sent to a receiver, what it writes has no gap, stays within what was announced, and is finished only
    /// when it is whole.
    #[test]
    fn a_receiver_writes_only_what_follows(messages in prop::collection::vec(any_message(), 0..40), begin: bool) {
        let lens = [5, 0, 3];
        let mut receiver = StateReceiver::new();
        let (mut disk, mut is_closed) = (Disk { files: vec![vec![]; 3], ended: 0 }, false);
        let first = begin.then(|| StateMessage::Manifest(manifest(&[vec![0; 5], vec![], vec![0; 3]])));
        for message in first.into_iter().chain(messages) {
            receiver.handle(ReceiverInput::Message(message));
            while let Some(action) = receiver.poll_action() {
                prop_assert!(!is_closed, "after the end: {:?}", action);
                match action {
                    ReceiverAction::Begin(_) => receiver.handle(ReceiverInput::Begun(disk.place())),
                    ReceiverAction::Write { place, bytes } => {
                        disk.write(place, &bytes);
                        prop_assert!(disk.files[disk.ended].len() <= lens[disk.ended]);
                    }
                    ReceiverAction::EndFile { file, .. } => {
                        prop_assert_eq!(usize::try_from(file), Ok(disk.ended));
                        prop_assert_eq!(disk.files[disk.ended].len(), lens[disk.ended]);
                        disk.ended += 1;
                    }
                    ReceiverAction::Finish => {
                        prop_assert_eq!(disk.ended, 3);
                        receiver.handle(ReceiverInput::Finished);
                    }
                    ReceiverAction::Send(_) => {}
                    ReceiverAction::Close(_) => is_closed = true,
                }
            }
        }
    }

    /// Whatever is sent to a sender, it reads what its files have and ends once.
    #[test]
    fn a_sender_reads_only_what_there_is(messages in prop::collection::vec((any_message(), 0..6_usize), 0..20)) {
        let lens = [5_u64, 0, 3];
        let second = Duration::from_secs(1);
        let mut sender = StateSender::new(second, manifest(&[vec![0; 5], vec![], vec![0; 3]]), NonZeroU64::MAX);
        let mut is_closed = false;
        for (message, actions) in messages {
            for _ in 0..actions {
                let Some(action) = sender.poll_action(second) else { break };
                prop_assert!(!is_closed, "after the end: {:?}", action);
                match action {
                    SenderAction::Read { place, bytes } => {
                        prop_assert!(bytes > 0 && place.offset + bytes as u64 <= lens[place.file as usize]);
                        sender.handle(second, SenderInput::Read(vec![0; bytes].into()));
                    }
                    SenderAction::Hash { file } => {
                        prop_assert!(file < 3);
                        sender.handle(second, SenderInput::Hashed([0; 32]));
                    }
                    SenderAction::Send(_) => {}
                    SenderAction::Close(_) => is_closed = true,
                }
            }
            sender.handle(second, SenderInput::Message(message));
        }
    }
}

#[test]
fn who_gives_up_says_why_and_the_other_end_hears_it() {
    let files = [vec![1; 10]];
    let now = Duration::ZERO;
    let mut sender = StateSender::new(now, manifest(&files), NonZeroU64::MIN);
    let mut receiver = StateReceiver::new();
    assert!(matches!(sender.poll_action(now), Some(SenderAction::Send(StateMessage::Manifest(_)))));
    receiver.handle(ReceiverInput::Message(StateMessage::Manifest(manifest(&files))));
    assert!(matches!(receiver.poll_action(), Some(ReceiverAction::Begin(_))));
    receiver.handle(ReceiverInput::Failed("no room".into()));
    let said = StateMessage::failed("no room");
    assert_eq!(receiver.poll_action(), Some(ReceiverAction::Send(said.clone())));
    assert_eq!(receiver.poll_action(), Some(ReceiverAction::Close(Err(TransferEnd::Disk("no room".into())))));
    sender.handle(now, SenderInput::Message(said));
    assert_eq!(sender.poll_action(now), Some(SenderAction::Close(Err(TransferEnd::Other("no room".into())))));
    assert_eq!((sender.poll_action(now), receiver.poll_action()), (None, None));

    // A file that has changed since it was announced is not sent.
    let mut sender = StateSender::new(now, manifest(&files), NonZeroU64::MIN);
    sender.handle(now, SenderInput::Message(StateMessage::Resume(StatePlace { file: 0, offset: 4 })));
    let actions: Vec<_> = std::iter::from_fn(|| sender.poll_action(now)).collect();
    assert_eq!(actions[1], SenderAction::Read { place: StatePlace { file: 0, offset: 4 }, bytes: 6 });
    sender.handle(now, SenderInput::Read(Bytes::from_static(b"short")));
    assert!(matches!(sender.poll_action(now), Some(SenderAction::Send(StateMessage::Failed { .. }))));
    assert!(matches!(sender.poll_action(now), Some(SenderAction::Close(Err(TransferEnd::Disk(_))))));
}
