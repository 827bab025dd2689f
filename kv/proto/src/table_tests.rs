//! What both ends do, step by step, with a snapshot that goes as table files.

use std::time::Duration;

use bytes::Bytes;

use crate::{
    Chain, Downstream, DownstreamAction, DownstreamEnd, DownstreamInput, Epoch, Follower, FollowerAction, FollowerEnd,
    FollowerInput, Frame, HEARTBEAT_AFTER, Heartbeat, MAX_BACKOFF, MAX_OUTSTANDING, MAX_TABLE_PIECE, MAX_WRITE,
    OfferedTables, PROTOCOL, Position, SignedManifest, StoreId, Subscribe, TableFile, TableHash, TableLoad,
    TableManifest, TableOffer, TablePiece, TablePlace, TablesWant, Tail, Version, WANT_WITHIN,
};

const NAME: &str = "edge-1";
const START: Duration = Duration::ZERO;

fn at(version: u64) -> Position {
    let store = StoreId::new(5);
    Position { store, epoch: Epoch::ZERO, version: Version::new(version), chain: Chain::origin(store) }
}

fn manifest(version: u64, lens: &[u64]) -> TableManifest {
    let file = |(number, len): (usize, &u64)| {
        let number = u8::try_from(number).unwrap();
        let key = |last| Bytes::copy_from_slice(&[0, 1, number, last]);
        TableFile { hash: TableHash::new([number; 32]), len: *len, first: key(0), last: key(1) }
    };
    let files: Vec<TableFile> = lens.iter().enumerate().map(file).collect();
    TableManifest { position: at(version), entries: files.len() as u64 * 2, files }
}

fn offered(manifest: &TableManifest) -> OfferedTables {
    let signed = SignedManifest::new(manifest.to_bytes().unwrap(), Bytes::new(), 0, Bytes::new());
    OfferedTables { signed, manifest: manifest.clone() }
}

fn follow(manifest: &TableManifest) -> Frame {
    Frame::TablesFollow(offered(manifest).signed.to_bytes())
}

fn piece(file: u32, offset: u64, bytes: usize) -> TablePiece {
    TablePiece { file, offset, bytes: vec![7; bytes].into() }
}

mod publisher {
    use super::*;

    fn actions(downstream: &mut Downstream, now: Duration, tail: &Tail) -> Vec<DownstreamAction> {
        std::iter::from_fn(|| downstream.poll_action(now, tail)).collect()
    }

    fn after(downstream: &mut Downstream, tail: &Tail, input: DownstreamInput) -> Vec<DownstreamAction> {
        downstream.handle(START, input);
        actions(downstream, START, tail)
    }

    fn malformed(what: &'static str) -> [DownstreamAction; 1] {
        [DownstreamAction::Close(DownstreamEnd::Malformed(what))]
    }

    /// A new downstream that waits for table files.
    fn waiting(tail: &Tail) -> Downstream {
        let mut downstream = Downstream::new(START, NAME.into());
        let tables_from = Some((Epoch::ZERO, Version::new(3)));
        let subscribe = Subscribe { protocol: PROTOCOL, name: NAME.into(), tables_from, ..Default::default() };
        after(&mut downstream, tail, DownstreamInput::Frame(Frame::Subscribe(subscribe)));
        let found = DownstreamInput::Found { head: *tail.head(), began: Version::ZERO, chain: None, holds: None };
        let from = (Epoch::ZERO, Version::new(3));
        assert_eq!(after(&mut downstream, tail, found), [DownstreamAction::QueueTables { from }]);
        downstream
    }

    fn offer(lens: &[u64]) -> TableOffer {
        TableOffer { position: at(4), signed: offered(&manifest(4, lens)).signed.to_bytes(), lens: lens.to_vec() }
    }

    /// The same, and files of these lengths are offered to it.
    fn offering(tail: &Tail, lens: &[u64]) -> Downstream {
        let mut downstream = waiting(tail);
        let says = follow(&manifest(4, lens)).to_bytes();
        let expected = [DownstreamAction::Accepted(Version::new(4)), DownstreamAction::Send(vec![says])];
        assert_eq!(after(&mut downstream, tail, DownstreamInput::Tables(Some(offer(lens)))), expected);
        assert_eq!(after(&mut downstream, tail, DownstreamInput::Sent), []);
        downstream
    }

    fn wants(want: TablesWant) -> DownstreamInput {
        DownstreamInput::Frame(Frame::TablesWant(want))
    }

    fn reads(file: u32, offset: u64, max_bytes: usize) -> [DownstreamAction; 1] {
        [DownstreamAction::ReadTable { place: TablePlace { file, offset }, max_bytes }]
    }

    fn is_heartbeat(actions: &[DownstreamAction]) -> bool {
        let beat = Frame::Heartbeat(Heartbeat { time_us: 1_000_000, ack_every_us: 0, ..Default::default() });
        let mut decoder = crate::FrameDecoder::new();
        let [DownstreamAction::Send(frames)] = actions else { return false };
        frames.iter().for_each(|frame| decoder.push(frame));
        matches!((decoder.poll(), beat), (Ok(Some(Frame::Heartbeat(_))), Frame::Heartbeat(_)))
    }

    #[test]
    fn it_offers_waits_and_sends_what_is_lacking_and_then_what_follows() {
        let tail = Tail::new(at(6), 1000);
        let lens = [MAX_WRITE as u64 + 5, 9, 700_000];
        let mut downstream = offering(&tail, &lens);
        let want = TablesWant::of(3, [true, false, true]);
        assert_eq!(after(&mut downstream, &tail, wants(want)), reads(0, 3, MAX_WRITE));
        // Fewer bytes than asked for are all right, and large ones go in pieces.
        let read = DownstreamInput::TableRead(vec![7; MAX_TABLE_PIECE + 1].into());
        let sent = after(&mut downstream, &tail, read);
        let [DownstreamAction::Send(frames)] = &sent[..] else { panic!("{sent:?}") };
        let mut decoder = crate::FrameDecoder::new();
        frames.iter().for_each(|frame| decoder.push(frame));
        for expected in [piece(0, 3, MAX_TABLE_PIECE), piece(0, 3 + MAX_TABLE_PIECE as u64, 1)] {
            assert_eq!(decoder.poll().unwrap(), Some(Frame::TablePiece(expected)));
        }
        let left = MAX_WRITE + 5 - 3 - MAX_TABLE_PIECE - 1;
        let at_file = |offset, max| reads(0, offset, max);
        let next = after(&mut downstream, &tail, DownstreamInput::Sent);
        assert_eq!(next, at_file(4 + MAX_TABLE_PIECE as u64, left));
        after(&mut downstream, &tail, DownstreamInput::TableRead(vec![7; left].into()));
        assert_eq!(after(&mut downstream, &tail, DownstreamInput::Sent), reads(2, 0, 700_000));
        after(&mut downstream, &tail, DownstreamInput::TableRead(vec![7; 700_000].into()));
        let end = DownstreamAction::Send(vec![Frame::TablesEnd(at(4)).to_bytes()]);
        let ends = after(&mut downstream, &tail, DownstreamInput::Sent);
        assert_eq!(ends, [DownstreamAction::CloseTables, end]);
        let log = DownstreamAction::ReadAfter { after: Version::new(4), max_bytes: MAX_WRITE };
        assert_eq!(after(&mut downstream, &tail, DownstreamInput::Sent), [log]);
    }

    #[test]
    fn who_has_all_of_it_gets_the_end_at_once() {
        let tail = Tail::new(at(4), 1000);
        let mut downstream = offering(&tail, &[9, 9]);
        let end = DownstreamAction::Send(vec![Frame::TablesEnd(at(4)).to_bytes()]);
        let ends = after(&mut downstream, &tail, wants(TablesWant::of(0, [false, false])));
        assert_eq!(ends, [DownstreamAction::CloseTables, end]);
    }

    #[test]
    fn it_hears_heartbeats_while_files_are_made_and_while_it_looks_what_it_has_but_not_for_ever() {
        let tail = Tail::new(at(4), 1000);
        let mut downstream = waiting(&tail);
        let mut now = START + HEARTBEAT_AFTER;
        assert!(is_heartbeat(&actions(&mut downstream, now, &tail)));
        // They are made while a heartbeat is under way.
        downstream.handle(now, DownstreamInput::Tables(Some(offer(&[9]))));
        assert_eq!(actions(&mut downstream, now, &tail), []);
        downstream.handle(now, DownstreamInput::Sent);
        assert_eq!(actions(&mut downstream, now, &tail).len(), 2, "accepted, and told what follows");
        let until = now + WANT_WITHIN;
        loop {
            downstream.handle(now, DownstreamInput::Sent);
            assert_eq!(actions(&mut downstream, now, &tail), []);
            now = downstream.poll_timeout().unwrap();
            let actions = actions(&mut downstream, now, &tail);
            if now >= until {
                assert_eq!(actions, [DownstreamAction::Close(DownstreamEnd::NoWant)]);
                break;
            }
            assert!(is_heartbeat(&actions), "at {now:?}");
        }
    }

    #[test]
    fn where_there_are_none_entries_do() {
        let tail = Tail::new(at(4), 1000);
        let mut downstream = waiting(&tail);
        assert_eq!(after(&mut downstream, &tail, DownstreamInput::Tables(None)), [DownstreamAction::QueueSnapshot]);
        assert_eq!(
            after(&mut downstream, &tail, DownstreamInput::SnapshotTurn),
            [DownstreamAction::OpenSnapshot(None)]
        );
    }

    #[test]
    fn who_wants_what_there_is_not_or_wants_twice_is_closed() {
        let tail = Tail::new(at(4), 1000);
        let lacks = malformed("it lacks what was not offered");
        for want in [TablesWant::all(3), TablesWant::of(9, [true, true]), TablesWant::default()] {
            assert_eq!(after(&mut offering(&tail, &[9, 9]), &tail, wants(want)), lacks);
        }
        let mut downstream = offering(&tail, &[9, 9]);
        after(&mut downstream, &tail, wants(TablesWant::all(2)));
        after(&mut downstream, &tail, DownstreamInput::TableRead(vec![7; 9].into()));
        downstream.handle(START, wants(TablesWant::all(2)));
        assert_eq!(actions(&mut downstream, START, &tail), lacks);
        let stranger = malformed("a frame that is not for publishers");
        assert_eq!(after(&mut waiting(&tail), &tail, wants(TablesWant::all(2))), stranger);
        let sends = DownstreamInput::Frame(Frame::TablePiece(piece(0, 0, 1)));
        assert_eq!(after(&mut offering(&tail, &[9]), &tail, sends), stranger);
    }

    #[test]
    fn a_file_that_has_another_length_than_it_had_ends_it() {
        let tail = Tail::new(at(4), 1000);
        for bytes in [0, 10] {
            let mut downstream = offering(&tail, &[9, 9]);
            after(&mut downstream, &tail, wants(TablesWant::all(2)));
            let ends = after(&mut downstream, &tail, DownstreamInput::TableRead(vec![7; bytes].into()));
            assert_eq!(ends, [DownstreamAction::Close(DownstreamEnd::TableLength)]);
        }
    }
}

mod follower {
    use super::*;
    use crate::follower::PER_MESSAGE;

    const LOAD: TableLoad = TableLoad(1);

    fn actions(follower: &mut Follower, now: Duration) -> Vec<FollowerAction> {
        std::iter::from_fn(|| follower.poll_action(now)).collect()
    }

    fn does(follower: &mut Follower, input: FollowerInput) -> Vec<FollowerAction> {
        follower.handle(START, input);
        actions(follower, START)
    }

    fn hears(follower: &mut Follower, frame: Frame) -> Vec<FollowerAction> {
        does(follower, FollowerInput::Frame(frame))
    }

    fn left(end: FollowerEnd) -> [FollowerAction; 2] {
        [FollowerAction::SnapshotAbort, FollowerAction::Disconnect(end)]
    }

    fn out_of_place(follower: &mut Follower, frame: Frame) {
        let done = hears(follower, frame);
        let [FollowerAction::SnapshotAbort, FollowerAction::Disconnect(FollowerEnd::Malformed(_))] = done[..] else {
            panic!("{done:?}")
        };
    }

    /// Where it says it stands when it connects now, and from where on it takes table files.
    fn connects(follower: &mut Follower, now: Duration) -> (Option<Position>, Option<(Epoch, Version)>) {
        let done = actions(follower, now);
        assert!(done.ends_with(&[FollowerAction::Connect(0)]), "{done:?}");
        follower.handle(now, FollowerInput::Connected);
        match actions(follower, now).remove(0) {
            FollowerAction::Send(Frame::Subscribe(subscribe)) => (subscribe.position, subscribe.tables_from),
            other => panic!("{other:?}"),
        }
    }

    fn subscribed(position: Option<Position>) -> Follower {
        let mut follower = Follower::new(START, NAME.into(), 1, position).with_tables();
        let from = position.map(|position| position.order()).unwrap_or_default();
        assert_eq!(connects(&mut follower, START), (position, Some(from)));
        follower
    }

    /// It is offered files, and knows what it lacks of them.
    fn loading(position: Option<Position>, manifest: &TableManifest, want: TablesWant) -> Follower {
        let mut follower = subscribed(position);
        let bytes = offered(manifest).signed.to_bytes().len() + PER_MESSAGE;
        let begins = FollowerAction::TablesBegin(LOAD, Box::new(offered(manifest)), bytes);
        assert_eq!(hears(&mut follower, follow(manifest)), [begins]);
        let says = [FollowerAction::Send(Frame::TablesWant(want.clone()))];
        assert_eq!(does(&mut follower, FollowerInput::TablesBegun(LOAD, want)), says);
        follower
    }

    #[test]
    fn it_hands_on_every_piece_and_then_what_follows() {
        let manifest = manifest(4, &[9, 9]);
        let mut follower = loading(None, &manifest, TablesWant::of(4, [false, true]));
        let next = piece(1, 4, 5);
        let puts = FollowerAction::TablePiece(next.clone(), 5 + PER_MESSAGE);
        assert_eq!(hears(&mut follower, Frame::TablePiece(next)), [puts]);
        assert_eq!(hears(&mut follower, Frame::Heartbeat(Heartbeat::default())), []);
        let ends = FollowerAction::TablesEnd(at(4), PER_MESSAGE);
        assert_eq!(hears(&mut follower, Frame::TablesEnd(at(4))), [ends]);
        let version = crate::Published::after(&at(4), 5, vec![]).unwrap();
        let position = version.follow(&at(4)).unwrap();
        let applies = hears(&mut follower, Frame::Version(version.to_bytes()));
        assert!(matches!(applies[..], [FollowerAction::Apply(_, to, _)] if to == position), "{applies:?}");
        assert_eq!(does(&mut follower, FollowerInput::TablesDone(LOAD)), []);
        // It is no news any more.
        assert_eq!(does(&mut follower, FollowerInput::TablesFailed(LOAD, "late".into())), []);
    }

    #[test]
    fn a_piece_or_an_end_out_of_place_ends_it() {
        let manifest = manifest(4, &[9, 9]);
        let load = || loading(None, &manifest, TablesWant::of(4, [true, true]));
        for wrong in [piece(0, 0, 5), piece(0, 5, 4), piece(1, 4, 5), piece(0, 4, 6), piece(0, 4, 0), piece(7, 4, 1)] {
            out_of_place(&mut load(), Frame::TablePiece(wrong));
        }
        out_of_place(&mut load(), Frame::TablesEnd(at(4)));
        out_of_place(&mut load(), follow(&manifest));
        let all = || loading(None, &manifest, TablesWant::of(0, [false, false]));
        out_of_place(&mut all(), Frame::TablesEnd(at(5)));
        out_of_place(&mut all(), Frame::TablePiece(piece(0, 0, 1)));
        // Before it has said what it lacks.
        for frame in [Frame::TablePiece(piece(0, 0, 9)), Frame::TablesEnd(at(4))] {
            let mut follower = subscribed(None);
            hears(&mut follower, follow(&manifest));
            out_of_place(&mut follower, frame);
        }
        let mut plain = Follower::new(START, NAME.into(), 1, None);
        assert_eq!(connects(&mut plain, START), (None, None));
        let done = hears(&mut plain, follow(&manifest));
        assert!(
            matches!(done[..], [FollowerAction::Disconnect(FollowerEnd::Malformed(_))]),
            "it said that it takes none"
        );
    }

    #[test]
    fn files_of_another_store_or_from_before_are_not_begun() {
        let here = at(5);
        let other = Position::origin(StoreId::new(6));
        for (position, why) in [(at(4), FollowerEnd::Back(at(4))), (other, FollowerEnd::OtherStore(other))] {
            let manifest = TableManifest { position, ..manifest(0, &[9]) };
            let done = hears(&mut subscribed(Some(here)), follow(&manifest));
            assert_eq!(done, [FollowerAction::Disconnect(why)]);
        }
        let done = hears(&mut subscribed(None), Frame::TablesFollow(Bytes::from_static(b"none")));
        assert!(matches!(done[..], [FollowerAction::Disconnect(FollowerEnd::Manifest(_))]), "{done:?}");
    }

    #[test]
    fn files_that_turn_out_to_be_wrong_behind_their_end_take_back_what_followed_them() {
        let (here, manifest) = (at(2), manifest(4, &[9]));
        let mut follower = loading(Some(here), &manifest, TablesWant::of(0, [false]));
        hears(&mut follower, Frame::TablesEnd(at(4)));
        let version = crate::Published::after(&at(4), 5, vec![]).unwrap();
        hears(&mut follower, Frame::Version(version.to_bytes()));
        let fails = || FollowerInput::TablesFailed(LOAD, "it is wrong".to_owned());
        assert_eq!(does(&mut follower, fails()), left(FollowerEnd::Tables("it is wrong".to_owned())));
        assert_eq!(does(&mut follower, fails()), [], "it has heard that");
        assert_eq!(follower.poll_timeout(), Some(MAX_BACKOFF));
        assert_eq!(connects(&mut follower, MAX_BACKOFF), (Some(here), Some(here.order())));

        // The connection is gone meanwhile, and it has come back to where it never was.
        let mut follower = loading(Some(here), &manifest, TablesWant::of(0, [false]));
        hears(&mut follower, Frame::TablesEnd(at(4)));
        follower.handle(START, FollowerInput::Disconnected);
        let again = follower.poll_timeout().unwrap();
        assert_eq!(connects(&mut follower, again).0, Some(at(4)));
        follower.handle(again, fails());
        assert_eq!(actions(&mut follower, again), left(FollowerEnd::Tables("it is wrong".to_owned())));
        assert_eq!(connects(&mut follower, again + MAX_BACKOFF).0, Some(here));
    }

    #[test]
    fn files_that_are_wrong_or_have_no_room_end_it_while_they_come() {
        let manifest = manifest(4, &[9, 9]);
        let fails = || FollowerInput::TablesFailed(LOAD, "no room".to_owned());
        let why = || left(FollowerEnd::Tables("no room".to_owned()));
        let mut follower = subscribed(None);
        hears(&mut follower, follow(&manifest));
        assert_eq!(does(&mut follower, fails()), why());
        assert_eq!(connects(&mut follower, MAX_BACKOFF).0, None);
        let mut follower = loading(None, &manifest, TablesWant::all(2));
        hears(&mut follower, Frame::TablePiece(piece(0, 0, 9)));
        assert_eq!(does(&mut follower, fails()), why());
        // What comes late says nothing, and delays nothing.
        let again = follower.poll_timeout();
        assert_eq!(does(&mut follower, FollowerInput::TablesBegun(LOAD, TablesWant::all(2))), []);
        assert_eq!(follower.poll_timeout(), again);
    }

    #[test]
    fn a_damaged_copy_stays_damaged_until_files_have_replaced_it() {
        let (here, manifest) = (at(2), manifest(4, &[9]));
        let damaged = |then: FollowerInput| {
            let mut follower = loading(Some(here), &manifest, TablesWant::of(0, [false]));
            follower.handle(START, FollowerInput::Damaged);
            hears(&mut follower, Frame::TablesEnd(at(4)));
            does(&mut follower, then);
            follower.handle(START, FollowerInput::Disconnected);
            connects(&mut follower, MAX_BACKOFF)
        };
        assert_eq!(damaged(FollowerInput::TablesDone(LOAD)), (Some(at(4)), Some(at(4).order())));
        // Readers have seen what it stood at, so no older files may replace it.
        assert_eq!(damaged(FollowerInput::TablesFailed(LOAD, String::new())), (None, Some(here.order())));
    }

    #[test]
    fn what_is_said_of_an_earlier_offer_says_nothing_of_the_present_one() {
        let manifest = manifest(4, &[9]);
        let mut follower = subscribed(None);
        hears(&mut follower, follow(&manifest));
        follower.handle(START, FollowerInput::Disconnected);
        let again = follower.poll_timeout().unwrap();
        connects(&mut follower, again);
        follower.handle(again, FollowerInput::Frame(follow(&manifest)));
        let begun = actions(&mut follower, again);
        assert!(matches!(begun[..], [FollowerAction::TablesBegin(TableLoad(2), ..)]), "{begun:?}");
        follower.handle(again, FollowerInput::TablesBegun(LOAD, TablesWant::all(1)));
        follower.handle(again, FollowerInput::TablesFailed(LOAD, String::new()));
        assert_eq!(actions(&mut follower, again), []);
        follower.handle(again, FollowerInput::TablesBegun(TableLoad(2), TablesWant::of(3, [true])));
        let says = [FollowerAction::Send(Frame::TablesWant(TablesWant::of(3, [true])))];
        assert_eq!(actions(&mut follower, again), says);
    }

    #[test]
    fn a_flood_of_manifests_and_of_small_pieces_is_counted() {
        let manifest = manifest(4, &[u64::MAX / 2]);
        let mut follower = loading(None, &manifest, TablesWant::all(1));
        let (mut offset, mut held) = (0, 0);
        while !follower.is_full() {
            let [FollowerAction::TablePiece(_, bytes)] =
                hears(&mut follower, Frame::TablePiece(piece(0, offset, 1)))[..]
            else {
                panic!("no piece")
            };
            (offset, held) = (offset + 1, held + bytes);
        }
        assert!(held <= MAX_OUTSTANDING && offset < 100_000, "{offset} pieces");

        let mut follower = subscribed(None);
        let mut now = START;
        for _ in 0..1_000_000 {
            hears(&mut follower, follow(&manifest));
            follower.handle(now, FollowerInput::Disconnected);
            if follower.is_full() {
                return;
            }
            now = follower.poll_timeout().unwrap();
            connects(&mut follower, now);
        }
        panic!("nobody takes them, and nothing stops the next");
    }
}
