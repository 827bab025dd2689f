//! A relay that asks its upstream for table files: both ends step by step, and over a wire that cuts, with a seed.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use crate::random::Random;
use crate::simulation_source::Source;
use crate::table_simulation::{Incoming, Made};
use crate::{
    Ack, Downstream, DownstreamAction, DownstreamEnd, DownstreamInput, Epoch, FetchAction, FetchEnd, FetchInput,
    FollowerInput, Frame, FrameDecoder, Heartbeat, MemoryView, PROTOCOL, Position, SILENT_AFTER, StoreId, Subscribe,
    TableFetch, TableLoad, TablePiece, TablesWant, Tail, Version,
};

const START: Duration = Duration::ZERO;
const FROM: (Epoch, Version) = (Epoch::ZERO, Version::ZERO);

fn filled(random: &mut Random) -> Source {
    let mut source = Source::new(5);
    (0..20).for_each(|_| drop(source.commit(random)));
    source
}

fn actions(downstream: &mut Downstream, tail: &Tail) -> Vec<DownstreamAction> {
    std::iter::from_fn(|| downstream.poll_action(START, tail)).collect()
}

fn does(downstream: &mut Downstream, tail: &Tail, input: DownstreamInput) -> Vec<DownstreamAction> {
    downstream.handle(START, input);
    actions(downstream, tail)
}

fn asked() -> TableFetch {
    let (fetch, ask) = TableFetch::new(START, FROM);
    assert_eq!(ask, Frame::TablesAsk(FROM.0, FROM.1));
    fetch
}

fn hears(fetch: &mut TableFetch, frame: Frame) -> Option<FetchAction> {
    fetch.hear(START, frame)
}

fn fails(end: FetchEnd) -> Option<FetchAction> {
    Some(FetchAction::Fail(end))
}

#[test]
fn an_upstream_that_has_none_ends_the_stream_and_the_relay_knows_it() {
    let tail = Tail::new(Position::origin(StoreId::new(5)), 1000);
    let mut downstream = Downstream::aside(START);
    let ask = DownstreamInput::Frame(Frame::TablesAsk(Epoch::new(2), Version::new(3)));
    let from = (Epoch::new(2), Version::new(3));
    assert_eq!(does(&mut downstream, &tail, ask), [DownstreamAction::QueueTables { from }]);
    let none = does(&mut downstream, &tail, DownstreamInput::Tables(None));
    assert_eq!(none, [DownstreamAction::Close(DownstreamEnd::NoTables)]);
    let mut fetch = asked();
    assert_eq!(hears(&mut fetch, Frame::Heartbeat(Heartbeat::default())), None);
    assert_eq!(fetch.handle(START, FetchInput::End), fails(FetchEnd::None));
    assert_eq!(fetch.handle(START, FetchInput::End), None);
}

#[test]
fn a_stream_beside_the_one_that_is_followed_is_for_table_files_alone() {
    let tail = Tail::new(Position::origin(StoreId::new(5)), 1000);
    let subscribe = Frame::Subscribe(Subscribe { protocol: PROTOCOL, ..Subscribe::default() });
    let ask = Frame::TablesAsk(FROM.0, FROM.1);
    let is_malformed =
        |actions: Vec<DownstreamAction>| matches!(&actions[..], [DownstreamAction::Close(DownstreamEnd::Malformed(_))]);
    let mut main = Downstream::new(START, "relay-1".into());
    assert!(is_malformed(does(&mut main, &tail, DownstreamInput::Frame(ask.clone()))));
    let after_ask = [Frame::Ack(Ack::default()), Frame::Reports(vec![]), ask.clone(), subscribe.clone()];
    let mut aside = Downstream::aside(START);
    assert!(is_malformed(does(&mut aside, &tail, DownstreamInput::Frame(subscribe))));
    for frame in after_ask {
        let mut aside = Downstream::aside(START);
        does(&mut aside, &tail, DownstreamInput::Frame(ask.clone()));
        assert!(is_malformed(does(&mut aside, &tail, DownstreamInput::Frame(frame.clone()))), "{frame:?}");
    }
}

#[test]
fn what_does_not_belong_there_or_is_too_old_is_refused() {
    let source = filled(&mut Random(1));
    let follow = Made::shared(&mut None, &source, FROM).offer().frame();
    let mut decoder = FrameDecoder::new();
    decoder.push(&follow);
    let follow = decoder.poll().unwrap().unwrap();
    let piece = |file, offset| Frame::TablePiece(TablePiece { file, offset, bytes: Bytes::from_static(b"x") });
    let malformed = || fails(FetchEnd::Malformed("a frame that does not belong here"));
    for frame in [piece(0, 0), Frame::TablesEnd(source.head), Frame::Stream(source.head)] {
        assert_eq!(hears(&mut asked(), frame), malformed());
    }
    let newer = (source.head.epoch, source.head.version.next().unwrap());
    let mut fetch = TableFetch::new(START, newer).0;
    assert_eq!(hears(&mut fetch, follow.clone()), fails(FetchEnd::Old(source.head)));
    let mut fetch = asked();
    assert!(matches!(
        hears(&mut fetch, Frame::TablesFollow(Bytes::from_static(b"no manifest"))),
        Some(FetchAction::Fail(FetchEnd::Manifest(_)))
    ));
    for frame in [piece(0, 0), piece(0, 1), Frame::TablesEnd(source.head), follow.clone()] {
        let mut fetch = asked();
        let Some(FetchAction::Begin(offered)) = hears(&mut fetch, follow.clone()) else { panic!("it is an offer") };
        let files = offered.manifest.files.len();
        if !matches!(frame, Frame::TablePiece(TablePiece { offset: 0, .. })) {
            // Known, so that a piece could come.
            let want = TablesWant::all(files);
            let wants = Some(FetchAction::Send(Frame::TablesWant(want.clone())));
            assert_eq!(fetch.handle(START, FetchInput::Begun(want)), wants);
        }
        assert_eq!(hears(&mut fetch, frame), malformed());
    }
    let mut fetch = asked();
    hears(&mut fetch, follow);
    assert_eq!(fetch.handle(START, FetchInput::End), fails(FetchEnd::Short));
}

#[test]
fn an_upstream_that_is_silent_or_trickles_is_given_up() {
    let mut fetch = asked();
    let beat = START + SILENT_AFTER - Duration::from_nanos(1);
    assert_eq!(fetch.overdue(beat), None);
    fetch.hear(beat, Frame::Heartbeat(Heartbeat::default()));
    assert_eq!((fetch.timeout(), fetch.overdue(START + SILENT_AFTER)), (beat + SILENT_AFTER, None));
    assert_eq!(fetch.overdue(beat + SILENT_AFTER), fails(FetchEnd::Silent));
    assert_eq!(fetch.overdue(beat + SILENT_AFTER), None);
    let mut fetch = asked();
    let trickles = (1..200).map(|second| fetch.handle(Duration::from_secs(second), FetchInput::Heard(1)));
    assert_eq!(trickles.flatten().next(), fails(FetchEnd::Trickling));
}

/// One stream of the relay, and what is under way on it.
struct Wire {
    downstream: Downstream,
    fetch: TableFetch,
    tables: Option<Made>,
    answer: Option<DownstreamInput>,
    up: VecDeque<u8>,
    down: VecDeque<u8>,
    decoders: [FrameDecoder; 2],
    /// The publisher has ended the stream.
    is_closing: bool,
}

struct Run {
    random: Random,
    source: Source,
    made: Option<Made>,
    incoming: Incoming,
    fetched: Option<(Position, MemoryView)>,
    now: Duration,
}

impl Run {
    fn open(&self) -> Wire {
        let (fetch, ask) = TableFetch::new(self.now, FROM);
        Wire {
            downstream: Downstream::aside(self.now),
            fetch,
            tables: None,
            answer: None,
            up: ask.to_bytes().to_vec().into(),
            down: VecDeque::new(),
            decoders: [FrameDecoder::new(), FrameDecoder::new()],
            is_closing: false,
        }
    }

    fn serve(&mut self, wire: &mut Wire) {
        if let Some(answer) = wire.answer.take() {
            wire.downstream.handle(self.now, answer);
        }
        let tail = Tail::new(self.source.head, 2000);
        while let Some(action) = wire.downstream.poll_action(self.now, &tail) {
            match action {
                DownstreamAction::QueueTables { from } => {
                    let made = Made::shared(&mut self.made, &self.source, from);
                    wire.downstream.handle(self.now, DownstreamInput::Tables(Some(made.offer())));
                    wire.tables = Some(made);
                }
                DownstreamAction::ReadTable { place, max_bytes } => {
                    let bytes = wire.tables.as_ref().unwrap().read(place, max_bytes, &mut self.random);
                    wire.answer = Some(DownstreamInput::TableRead(bytes));
                }
                DownstreamAction::CloseTables => wire.tables = None,
                DownstreamAction::Send(frames) => {
                    frames.iter().for_each(|frame| wire.down.extend(frame));
                    wire.answer = Some(DownstreamInput::Sent);
                }
                DownstreamAction::Close(end) => {
                    assert_eq!(end, DownstreamEnd::Given);
                    wire.is_closing = true;
                }
                other => panic!("{other:?} is not for such a stream"),
            }
        }
    }

    /// Moves some bytes; says whether the stream is at its end.
    fn carry(&mut self, wire: &mut Wire) -> bool {
        let count = usize::try_from(self.random.below(100_000)).unwrap();
        let piece: Vec<u8> = wire.up.drain(..count.min(wire.up.len())).collect();
        wire.decoders[0].push(&piece);
        while let Some(frame) = wire.decoders[0].poll().unwrap() {
            wire.downstream.handle(self.now, DownstreamInput::Frame(frame));
        }
        let piece: Vec<u8> = wire.down.drain(..count.min(wire.down.len())).collect();
        wire.decoders[1].push(&piece);
        while let Some(frame) = wire.decoders[1].poll().unwrap() {
            let action = wire.fetch.hear(self.now, frame);
            if self.carry_out(wire, action) {
                return true;
            }
        }
        wire.is_closing && wire.down.is_empty()
    }

    /// Does what the relay wants; says whether the stream is of no use any more.
    fn carry_out(&mut self, wire: &mut Wire, action: Option<FetchAction>) -> bool {
        match action {
            None => false,
            Some(FetchAction::Send(frame)) => {
                wire.up.extend(frame.to_bytes());
                false
            }
            Some(FetchAction::Begin(offered)) => {
                let begun = self.incoming.begin(TableLoad(1), offered.manifest);
                let FollowerInput::TablesBegun(_, want) = begun else { panic!("{begun:?}") };
                let action = wire.fetch.handle(self.now, FetchInput::Begun(want));
                self.carry_out(wire, action)
            }
            // Of what was kept some may be damaged, which shows at the end of the file.
            Some(FetchAction::Write(piece)) => self.incoming.piece(&piece).is_some(),
            Some(FetchAction::Finish(position)) => {
                self.fetched = self.incoming.end(position).map(|(_, data)| (position, data));
                true
            }
            Some(FetchAction::Fail(end)) => panic!("{end}"),
        }
    }
}

#[test]
fn a_relay_gets_the_files_whatever_cuts_the_stream_and_whatever_it_has_kept() {
    let (mut cuts, mut replaced) = (0, 0);
    for seed in 0..40 {
        let mut random = Random(seed);
        let source = filled(&mut random);
        let (incoming, now) = (Incoming::default(), START);
        let mut run = Run { random, source, made: None, incoming, fetched: None, now };
        let (mut wire, mut contents) = (run.open(), vec![]);
        contents.push((run.source.head, run.source.data.clone()));
        for step in 0.. {
            assert!(step < 50_000, "seed {seed}: it never ends");
            run.now += Duration::from_millis(7);
            match run.random.below(200) {
                0 | 1 => {
                    cuts += 1;
                    run.incoming.restart(&mut run.random);
                    wire = run.open();
                }
                2 if contents.len() < 5 => {
                    replaced += 1;
                    run.source.commit(&mut run.random);
                    contents.push((run.source.head, run.source.data.clone()));
                    run.made = None;
                }
                3..100 => run.serve(&mut wire),
                _ if run.carry(&mut wire) => {
                    if run.fetched.is_some() {
                        break;
                    }
                    run.incoming.abort();
                    wire = run.open();
                }
                _ => {}
            }
        }
        let (position, data) = run.fetched.unwrap();
        let expected = contents.iter().find(|(at, _)| *at == position).expect("a position that the source had");
        assert!(expected.1 == data, "seed {seed}: other files than at {position}");
    }
    assert!(cuts > 40 && replaced > 40, "{cuts} cuts, {replaced} replaced");
}
