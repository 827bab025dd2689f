//! What both ends do, step by step, with a snapshot that the downstream has from elsewhere.

use std::time::Duration;

use bytes::Bytes;

use crate::{
    Chain, Downstream, DownstreamAction, DownstreamEnd, DownstreamInput, ELSEWHERE_WITHIN, Epoch, Follower,
    FollowerAction, FollowerEnd, FollowerInput, Frame, MAX_WRITE, OfferedTables, PROTOCOL, Position, SignedManifest,
    StoreId, Subscribe, TableLoad, TableManifest, TablePiece, TablesWant, Tail, Version,
};

const NAME: &str = "edge-1";
const START: Duration = Duration::ZERO;
const LOAD: TableLoad = TableLoad(1);

fn at(version: u64) -> Position {
    let store = StoreId::new(5);
    Position { store, epoch: Epoch::ZERO, version: Version::new(version), chain: Chain::origin(store) }
}

fn does(downstream: &mut Downstream, tail: &Tail, input: DownstreamInput) -> Vec<DownstreamAction> {
    downstream.handle(START, input);
    std::iter::from_fn(|| downstream.poll_action(START, tail)).collect()
}

fn found(chain: Option<Chain>) -> DownstreamInput {
    DownstreamInput::Found { head: at(6), began: Version::ZERO, chain, holds: None }
}

/// A downstream that stands at 1, which the log has not, and can have files at this version elsewhere.
fn asks(tail: &Tail, elsewhere: u64, tables_from: u64) -> (Downstream, Vec<DownstreamAction>) {
    let mut downstream = Downstream::new(START, NAME.into());
    let tables_from = Some((Epoch::ZERO, Version::new(tables_from)));
    let (name, position, elsewhere) = (NAME.into(), Some(at(1)), Some(Box::new(at(elsewhere))));
    let subscribe = Subscribe { protocol: PROTOCOL, name, position, tables_from, elsewhere, ..Default::default() };
    does(&mut downstream, tail, DownstreamInput::Frame(Frame::Subscribe(subscribe)));
    let done = does(&mut downstream, tail, found(None));
    (downstream, done)
}

#[test]
fn a_publisher_goes_on_from_files_elsewhere_and_reads_nothing_but_the_log() {
    let tail = Tail::new(at(6), 1000);
    let (mut downstream, asked) = asks(&tail, 4, 1);
    assert_eq!(asked, [DownstreamAction::LookUpElsewhere(Version::new(4))]);
    let says = DownstreamAction::Send(vec![Frame::TablesElsewhere(at(4)).to_bytes()]);
    let accepted = [DownstreamAction::Accepted(Version::new(4)), says];
    assert_eq!(does(&mut downstream, &tail, found(Some(at(4).chain))), accepted);
    assert_eq!(does(&mut downstream, &tail, DownstreamInput::Sent), []);
    let wants = DownstreamInput::Frame(Frame::TablesWant(TablesWant::all(0)));
    let end = DownstreamAction::Send(vec![Frame::TablesEnd(at(4)).to_bytes()]);
    assert_eq!(does(&mut downstream, &tail, wants), [DownstreamAction::CloseTables, end]);
    let log = DownstreamAction::ReadAfter { after: Version::new(4), max_bytes: MAX_WRITE };
    assert_eq!(does(&mut downstream, &tail, DownstreamInput::Sent), [log]);
}

#[test]
fn where_they_lead_nowhere_or_are_too_old_a_publisher_gives_its_own() {
    let tail = Tail::new(at(6), 1000);
    let own = |from| [DownstreamAction::QueueTables { from: (Epoch::ZERO, Version::new(from)) }];
    for chain in [None, Some(Chain::origin(StoreId::new(9)))] {
        let (mut downstream, _) = asks(&tail, 4, 1);
        assert_eq!(does(&mut downstream, &tail, found(chain)), own(1));
    }
    let (mut downstream, _) = asks(&tail, 4, 1);
    let head = Position { epoch: Epoch::new(7), ..at(6) };
    let forked = DownstreamInput::Found { head, began: Version::ZERO, chain: Some(at(4).chain), holds: None };
    assert_eq!(does(&mut downstream, &tail, forked), own(1));
    // A damaged copy has shown more already.
    assert_eq!(asks(&tail, 4, 5).1, own(5));
}

#[test]
fn it_waits_long_for_who_fetches_elsewhere_but_not_for_ever() {
    let tail = Tail::new(at(6), 1000);
    let waiting = || {
        let (mut downstream, _) = asks(&tail, 4, 1);
        does(&mut downstream, &tail, found(Some(at(4).chain)));
        does(&mut downstream, &tail, DownstreamInput::Sent);
        downstream
    };
    let mut downstream = waiting();
    let before = ELSEWHERE_WITHIN - Duration::from_nanos(1);
    assert!(matches!(downstream.poll_action(before, &tail), Some(DownstreamAction::Send(_))), "a heartbeat");
    let overdue = waiting().poll_action(ELSEWHERE_WITHIN, &tail);
    assert_eq!(overdue, Some(DownstreamAction::Close(DownstreamEnd::NoWant)));
    let lacks = DownstreamInput::Frame(Frame::TablesWant(TablesWant::all(1)));
    let closed = does(&mut waiting(), &tail, lacks);
    assert!(matches!(closed[..], [DownstreamAction::Close(DownstreamEnd::Malformed(_))]), "{closed:?}");
}

fn offered(version: u64) -> Box<OfferedTables> {
    let manifest = TableManifest { position: at(version), entries: 0, files: vec![] };
    let signed = SignedManifest::new(manifest.to_bytes().unwrap(), Bytes::new(), 0, Bytes::new());
    Box::new(OfferedTables { signed, manifest })
}

fn hears(follower: &mut Follower, input: FollowerInput) -> Vec<FollowerAction> {
    follower.handle(START, input);
    std::iter::from_fn(|| follower.poll_action(START)).collect()
}

/// A follower that has said that it can have files at this version elsewhere.
fn subscribed(position: Option<Position>, elsewhere: u64) -> Follower {
    let mut follower = Follower::new(START, NAME.into(), 1, position).with_tables();
    assert_eq!(follower.poll_action(START), Some(FollowerAction::Connect(0)));
    follower.handle(START, FollowerInput::Elsewhere(Some(offered(elsewhere))));
    let done = hears(&mut follower, FollowerInput::Connected);
    let said = done.iter().find_map(|action| match action {
        FollowerAction::Send(Frame::Subscribe(subscribe)) => subscribe.elsewhere.clone(),
        _ => None,
    });
    assert_eq!(said, Some(Box::new(at(elsewhere))));
    follower
}

#[test]
fn a_follower_fetches_them_says_that_nothing_is_lacking_and_goes_on() {
    let mut follower = subscribed(None, 4);
    let fetch = FollowerAction::TablesElsewhere(LOAD, offered(4));
    assert_eq!(hears(&mut follower, FollowerInput::Frame(Frame::TablesElsewhere(at(4)))), [fetch]);
    let says = FollowerAction::Send(Frame::TablesWant(TablesWant::all(0)));
    assert_eq!(hears(&mut follower, FollowerInput::TablesBegun(LOAD, TablesWant::all(0))), [says]);
    let end = hears(&mut follower, FollowerInput::Frame(Frame::TablesEnd(at(4))));
    assert!(matches!(end[..], [FollowerAction::TablesEnd(position, _)] if position == at(4)), "{end:?}");
}

#[test]
fn what_is_wrong_with_them_is_not_the_publishers_fault_and_they_are_not_asked_for_again() {
    let mut follower = subscribed(None, 4);
    hears(&mut follower, FollowerInput::Frame(Frame::TablesElsewhere(at(4))));
    let why = FollowerEnd::Elsewhere("a byte".into());
    assert!(!why.needs_a_hand() && !why.is_alarming());
    let failed = hears(&mut follower, FollowerInput::ElsewhereFailed(LOAD, "a byte".into()));
    assert_eq!(failed, [FollowerAction::SnapshotAbort, FollowerAction::Disconnect(why)]);
    let again = follower.poll_timeout().unwrap();
    assert_eq!(follower.poll_action(again), Some(FollowerAction::Connect(0)));
    follower.handle(again, FollowerInput::Connected);
    let Some(FollowerAction::Send(Frame::Subscribe(subscribe))) = follower.poll_action(again) else { panic!("no") };
    assert_eq!(subscribe.elsewhere, None);
}

#[test]
fn files_that_it_has_not_spoken_of_or_that_go_back_are_refused() {
    for (position, from) in [(at(5), None), (at(4), Some(at(7)))] {
        let mut follower = subscribed(from, 4);
        let done = hears(&mut follower, FollowerInput::Frame(Frame::TablesElsewhere(position)));
        assert!(matches!(done[..], [FollowerAction::Disconnect(_)]), "{done:?}");
    }
    let mut follower = subscribed(None, 4);
    hears(&mut follower, FollowerInput::Frame(Frame::TablesElsewhere(at(4))));
    let piece = TablePiece { file: 0, offset: 0, bytes: Bytes::from_static(b"x") };
    let done = hears(&mut follower, FollowerInput::Frame(Frame::TablePiece(piece)));
    assert!(matches!(done[..], [_, FollowerAction::Disconnect(FollowerEnd::Malformed(_))]), "{done:?}");
}

#[test]
fn it_is_worth_to_look_for_who_is_new_or_was_away() {
    let mut follower = Follower::new(START, NAME.into(), 1, Some(at(4))).with_tables();
    assert!(follower.may_need_snapshot(START), "nothing was heard since its start");
    follower.poll_action(START);
    hears(&mut follower, FollowerInput::Connected);
    hears(&mut follower, FollowerInput::Frame(Frame::Stream(at(4))));
    assert!(!follower.may_need_snapshot(Duration::from_secs(59)));
    assert!(follower.may_need_snapshot(Duration::from_secs(60)));
    hears(&mut follower, FollowerInput::Damaged);
    assert!(follower.may_need_snapshot(START));
    assert!(Follower::new(START, NAME.into(), 1, None).may_need_snapshot(START));
}
