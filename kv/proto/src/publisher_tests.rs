//! What the publisher's side does by itself.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use crate::{
    Ack, Chain, Downstream, DownstreamAction, DownstreamEnd, DownstreamInput, EntryError, Epoch, Frame,
    HEARTBEAT_AFTER, Heartbeat, MAX_REST, MAX_WRITE, PROTOCOL, Position, SNAPSHOT_CHUNK, SUBSCRIBE_WITHIN,
    SnapshotCheck, SnapshotEnd, StoreId, Subscribe, SubscribeRefusal, Tail, Version,
};

const NAME: &str = "edge-1";

fn at(version: u64) -> Position {
    let store = StoreId::new(5);
    Position { store, epoch: Epoch::ZERO, version: Version::new(version), chain: Chain::origin(store) }
}

/// Everything that is to be done now.
fn actions(downstream: &mut Downstream, now: Duration, tail: &Tail) -> Vec<DownstreamAction> {
    std::iter::from_fn(|| downstream.poll_action(now, tail)).collect()
}

/// Something happens at time zero; everything that is to be done then.
fn after(downstream: &mut Downstream, tail: &Tail, input: DownstreamInput) -> Vec<DownstreamAction> {
    downstream.handle(Duration::ZERO, input);
    actions(downstream, Duration::ZERO, tail)
}

fn sends(frame: &Frame) -> DownstreamAction {
    DownstreamAction::Send(vec![frame.to_bytes()])
}

fn malformed(what: &'static str) -> DownstreamAction {
    DownstreamAction::Close(DownstreamEnd::Malformed(what))
}

fn found(head: Position, chain: Option<Chain>) -> DownstreamInput {
    DownstreamInput::Found { head, began: Version::ZERO, chain, holds: None }
}

fn ack_of(version: u64) -> Ack {
    Ack { applied: Version::new(version), ..Ack::default() }
}

fn acked(ack: Ack) -> DownstreamInput {
    DownstreamInput::Frame(Frame::Ack(ack))
}

/// A downstream that stands there and is being looked up, at time zero.
fn subscribed(position: Option<Position>, tail: &Tail) -> Downstream {
    let mut downstream = Downstream::new(Duration::ZERO, NAME.into());
    let subscribe = Subscribe { protocol: PROTOCOL, name: NAME.into(), position, ..Default::default() };
    let version = position.map_or(Version::ZERO, |position| position.version);
    let asked = [DownstreamAction::Subscribed(subscribe.clone()), DownstreamAction::LookUp(version)];
    assert_eq!(after(&mut downstream, tail, DownstreamInput::Frame(Frame::Subscribe(subscribe))), asked);
    downstream
}

/// What follows the check of a position that is on the way to `head`.
fn streams(head: Position) -> [DownstreamAction; 2] {
    [DownstreamAction::Accepted(head.version), sends(&Frame::Stream(head))]
}

/// A downstream that has nothing to catch up with.
fn streaming(head: Position, tail: &Tail) -> Downstream {
    let mut downstream = subscribed(Some(head), tail);
    assert_eq!(after(&mut downstream, tail, found(head, Some(head.chain))), streams(head));
    assert_eq!(after(&mut downstream, tail, DownstreamInput::Sent), []);
    downstream
}

/// It has its turn to read a snapshot at this position, and begins.
fn begins_snapshot(downstream: &mut Downstream, tail: &Tail, position: Position) {
    assert_eq!(after(downstream, tail, DownstreamInput::SnapshotTurn), [DownstreamAction::OpenSnapshot(None)]);
    let follows = [DownstreamAction::Accepted(position.version), sends(&Frame::SnapshotFollows(position))];
    assert_eq!(after(downstream, tail, DownstreamInput::SnapshotOpened(position)), follows);
    let reads = [DownstreamAction::ReadSnapshot { max_bytes: SNAPSHOT_CHUNK }];
    assert_eq!(after(downstream, tail, DownstreamInput::Sent), reads);
}

/// The snapshot at this position is over, after what `check` has seen of it.
fn ends_snapshot(downstream: &mut Downstream, tail: &Tail, position: Position, check: &SnapshotCheck) {
    let digest = serde_bytes::ByteBuf::from(check.digest());
    let end = SnapshotEnd { position: Some(position), entries: check.entries(), digest };
    let read = DownstreamInput::SnapshotRead(Bytes::new());
    assert_eq!(after(downstream, tail, read), [sends(&Frame::SnapshotEnd(end))]);
}

/// Serves a downstream for a second, with a version every 10 ms, by a node that gets to it so late each time. Says in
/// how many writes that was in the last half, and how long the longest wait was.
fn serve_for_a_second(late: Duration) -> (usize, Duration) {
    let mut tail = Tail::new(at(0), usize::MAX);
    let mut downstream = streaming(at(0), &tail);
    let (mut writes, mut longest, mut came) = (0, Duration::ZERO, VecDeque::new());
    let (mut is_writing, mut wakes_at) = (false, None);
    for now in (1..=1000).map(Duration::from_millis) {
        if now.subsec_millis() % 10 == 0 {
            tail.push(now, at(tail.head().version.get() + 1), Bytes::from_static(b"version"));
            came.push_back(now);
            if !downstream.rests() && wakes_at.is_none() {
                wakes_at = Some(now + late);
            }
        }
        if is_writing {
            is_writing = false;
            downstream.handle(now, DownstreamInput::Sent);
            wakes_at = downstream.poll_timeout().filter(|_| downstream.rests()).map(|end| end + late);
            if wakes_at.is_none() && !came.is_empty() {
                wakes_at = Some(now + late);
            }
        }
        if wakes_at.is_some_and(|at| at <= now) {
            wakes_at = None;
            if let Some(DownstreamAction::Send(_)) = downstream.poll_action(now, &tail) {
                is_writing = true;
                writes += usize::from(now > Duration::from_millis(500));
                longest = longest.max(now.saturating_sub(*came.front().expect("it sent what came")));
                came.clear();
            }
        }
    }
    (writes, longest)
}

#[test]
fn a_busy_node_rests_between_writes_and_one_that_is_not_does_not() {
    // Fifty versions in half a second.
    assert_eq!(serve_for_a_second(Duration::ZERO), (50, Duration::ZERO), "each at once");
    let late = Duration::from_millis(25);
    let (writes, longest) = serve_for_a_second(late);
    assert!((4..=6).contains(&writes), "{writes}");
    assert!(longest <= MAX_REST + late + Duration::from_millis(2), "{longest:?}");
}

/// A downstream that stands there and has said right away that it has applied all of it; before the check.
fn early(position: Position, tail: &Tail) -> Downstream {
    let mut downstream = subscribed(Some(position), tail);
    let ack = Ack { epoch: position.epoch, ..ack_of(position.version.get()) };
    assert_eq!(after(&mut downstream, tail, acked(ack)), [], "nothing is booked before the check");
    downstream
}

#[test]
fn an_ack_that_comes_early_counts_once_the_stream_is_accepted() {
    let tail = Tail::new(at(5), 0);
    let mut downstream = early(at(3), &tail);
    let [accepted, stream] = streams(at(5));
    let expected = [accepted, stream, DownstreamAction::Acked(ack_of(3))];
    assert_eq!(after(&mut downstream, &tail, found(at(5), Some(at(3).chain))), expected);
}

#[test]
fn after_an_accepted_restore_an_ack_counts_once_it_is_of_the_new_epoch() {
    let (restored, forked) = (Position { epoch: Epoch::new(1), ..at(5) }, Version::new(4));
    let tail = Tail::new(restored, 0);
    let mut downstream = early(at(3), &tail);
    let found = DownstreamInput::Found { head: restored, began: forked, chain: Some(at(3).chain), holds: None };
    assert_eq!(after(&mut downstream, &tail, found), streams(restored));
    let ack = |version| Ack { epoch: restored.epoch, ..ack_of(version) };
    assert_eq!(after(&mut downstream, &tail, acked(ack(3))), [DownstreamAction::Acked(ack(3))]);
    // What it had beyond the fork is gone; the other side of it is not heard of here, however late.
    assert_eq!(after(&mut downstream, &tail, acked(ack_of(9))), []);
}

#[test]
fn acks_of_who_is_refused_are_never_booked() {
    let tail = Tail::new(at(5), 0);
    let other = Position { store: StoreId::new(6), ..at(3) };
    let (ahead, chain) = (at(9), Chain::origin(StoreId::new(7)));
    let refusals = [
        (other, at(3).chain, SubscribeRefusal::OtherStore(at(5).store)),
        (ahead, at(5).chain, SubscribeRefusal::Ahead(at(5))),
        (at(3), chain, SubscribeRefusal::ChainDiffers { version: Version::new(3), chain }),
    ];
    for (position, chain, why) in refusals {
        let mut downstream = early(position, &tail);
        let told = [DownstreamAction::Refused(why), sends(&Frame::Refused(why))];
        assert_eq!(after(&mut downstream, &tail, found(at(5), Some(chain))), told);
        assert_eq!(after(&mut downstream, &tail, acked(ack_of(3))), []);
        let closed = [DownstreamAction::Close(DownstreamEnd::Refused(why))];
        assert_eq!(after(&mut downstream, &tail, DownstreamInput::Sent), closed);
    }
}

#[test]
fn who_may_not_subscribe_as_it_does_is_told_and_closed() {
    let tail = Tail::new(at(5), 0);
    let good = Subscribe { protocol: PROTOCOL, name: NAME.into(), position: Some(at(3)), ..Default::default() };
    let asked = [
        (Subscribe { protocol: PROTOCOL + 1, ..good.clone() }, SubscribeRefusal::Protocol(PROTOCOL)),
        (Subscribe { name: "edge-2".into(), ..good.clone() }, SubscribeRefusal::NotAllowed),
    ];
    for (subscribe, why) in asked {
        let mut downstream = Downstream::new(Duration::ZERO, NAME.into());
        let told = [DownstreamAction::Refused(why), sends(&Frame::Refused(why))];
        assert_eq!(after(&mut downstream, &tail, DownstreamInput::Frame(Frame::Subscribe(subscribe))), told);
        let closed = [DownstreamAction::Close(DownstreamEnd::Refused(why))];
        assert_eq!(after(&mut downstream, &tail, DownstreamInput::Sent), closed);
    }
    let mut downstream = Downstream::new(Duration::ZERO, NAME.into());
    let before = [malformed("something before its subscription")];
    assert_eq!(after(&mut downstream, &tail, acked(ack_of(0))), before);
    let mut downstream = streaming(at(5), &tail);
    let again = DownstreamInput::Frame(Frame::Subscribe(good));
    assert_eq!(after(&mut downstream, &tail, again), [malformed("a frame that is not for publishers")]);
    // Who says nothing is waited for, and not for long.
    let mut downstream = Downstream::new(Duration::ZERO, NAME.into());
    assert_eq!(downstream.poll_timeout(), Some(SUBSCRIBE_WITHIN));
    let (soon, late) = (SUBSCRIBE_WITHIN - Duration::from_millis(1), SUBSCRIBE_WITHIN);
    assert_eq!(actions(&mut downstream, soon, &tail), []);
    assert_eq!(actions(&mut downstream, late, &tail), [DownstreamAction::Close(DownstreamEnd::Silent)]);
    assert_eq!((actions(&mut downstream, late, &tail), downstream.poll_timeout()), (vec![], None));
}

#[test]
fn a_snapshot_goes_out_as_it_is_read_and_a_damaged_one_ends_the_stream() {
    let tail = Tail::new(at(50), 0);
    let entry = |key: &'static [u8]| (Bytes::from_static(key), Bytes::from_static(b"value"));
    let some = crate::encode_entries(&[entry(&[0, 1, 2]), entry(&[0, 1, 3])]);
    let queued = || {
        let mut downstream = subscribed(None, &tail);
        assert_eq!(after(&mut downstream, &tail, found(at(50), None)), [DownstreamAction::QueueSnapshot]);
        begins_snapshot(&mut downstream, &tail, at(50));
        let sent = [sends(&Frame::SnapshotEntries(some.clone()))];
        assert_eq!(after(&mut downstream, &tail, DownstreamInput::SnapshotRead(some.clone())), sent);
        let reads = [DownstreamAction::ReadSnapshot { max_bytes: SNAPSHOT_CHUNK }];
        assert_eq!(after(&mut downstream, &tail, DownstreamInput::Sent), reads);
        downstream
    };
    let mut check = SnapshotCheck::new();
    check.add(&some, None).unwrap();
    let mut downstream = queued();
    ends_snapshot(&mut downstream, &tail, at(50), &check);
    assert_eq!(after(&mut downstream, &tail, DownstreamInput::Sent), []);
    assert_eq!(downstream.sent(), Version::new(50));
    // Keys ascend, also from one message to the next.
    let mut downstream = queued();
    let damaged = [DownstreamAction::Close(DownstreamEnd::Snapshot(EntryError::Order))];
    assert_eq!(after(&mut downstream, &tail, DownstreamInput::SnapshotRead(some.clone())), damaged);
}

#[test]
fn what_the_tail_has_not_comes_out_of_the_log_in_one_write() {
    let six = Frame::Version(Bytes::from_static(b"six"));
    let mut tail = Tail::new(at(3), six.to_bytes().len());
    (4..=6).for_each(|version| tail.push(Duration::ZERO, at(version), six.to_bytes()));
    let reads = |after| [DownstreamAction::ReadAfter { after: Version::new(after), max_bytes: MAX_WRITE }];
    let versions = [&b"four"[..], b"five"].map(Bytes::from_static);
    let behind = || {
        let mut downstream = subscribed(Some(at(3)), &tail);
        assert_eq!(after(&mut downstream, &tail, found(at(6), Some(at(3).chain))), streams(at(6)));
        assert_eq!(after(&mut downstream, &tail, DownstreamInput::Sent), reads(3));
        downstream
    };
    let mut downstream = behind();
    let frames = versions.clone().map(|version| Frame::Version(version).to_bytes()).concat();
    let sent = [DownstreamAction::Send(vec![frames.into()])];
    assert_eq!(after(&mut downstream, &tail, DownstreamInput::Versions(Some(versions.to_vec()))), sent);
    assert_eq!(after(&mut downstream, &tail, DownstreamInput::Sent), [sends(&six)]);
    assert_eq!(after(&mut downstream, &tail, DownstreamInput::Sent), []);
    // A log that has nothing where the store has gone on is not waited for.
    let ends = [DownstreamAction::Close(DownstreamEnd::LogEnds)];
    assert_eq!(after(&mut behind(), &tail, DownstreamInput::Versions(Some(vec![]))), ends);
}

#[test]
fn a_heartbeat_says_where_the_store_is_and_another_history_ends_the_stream() {
    let mut tail = Tail::new(at(3), 0);
    let mut downstream = streaming(at(3), &tail);
    assert_eq!(downstream.poll_timeout(), Some(HEARTBEAT_AFTER));
    let time_us = u64::try_from(HEARTBEAT_AFTER.as_micros()).unwrap();
    downstream.set_followers(2);
    let heartbeat =
        [sends(&Frame::Heartbeat(Heartbeat { head: Some(at(3)), time_us, ack_every_us: 200, unconfirmed_us: 0 }))];
    assert_eq!(actions(&mut downstream, HEARTBEAT_AFTER, &tail), heartbeat);
    downstream.handle(HEARTBEAT_AFTER, DownstreamInput::Sent);
    // Where a majority confirms that nothing is missing, it says how long ago that was.
    let (confirmed, now) = (HEARTBEAT_AFTER + Duration::from_millis(1), HEARTBEAT_AFTER * 2);
    tail.confirm(confirmed);
    let unconfirmed_us = u64::try_from((now - confirmed).as_micros()).unwrap();
    let heartbeat = Heartbeat { head: Some(at(3)), time_us: time_us * 2, ack_every_us: 200, unconfirmed_us };
    assert_eq!(actions(&mut downstream, now, &tail), [sends(&Frame::Heartbeat(heartbeat))]);
    downstream.handle(now, DownstreamInput::Sent);
    tail.push(HEARTBEAT_AFTER, Position { epoch: Epoch::new(1), ..at(4) }, Bytes::new());
    let over = [sends(&Frame::Goodbye), DownstreamAction::Close(DownstreamEnd::NewHistory)];
    assert_eq!(actions(&mut downstream, now, &tail), over);
}

#[test]
fn below_a_snapshot_nothing_is_booked() {
    let tail = Tail::new(at(50), 0);
    let mut downstream = early(at(3), &tail);
    assert_eq!(after(&mut downstream, &tail, found(at(50), None)), [DownstreamAction::QueueSnapshot]);
    begins_snapshot(&mut downstream, &tail, at(50));
    assert_eq!(after(&mut downstream, &tail, acked(ack_of(3))), []);
    ends_snapshot(&mut downstream, &tail, at(50), &SnapshotCheck::new());
    // The end of the snapshot is on its way; it has not come there yet.
    assert_eq!(after(&mut downstream, &tail, acked(ack_of(3))), []);
    assert_eq!(after(&mut downstream, &tail, acked(ack_of(50))), [DownstreamAction::Acked(ack_of(50))]);
}

#[test]
fn who_falls_behind_the_log_during_a_snapshot_takes_another_and_counts_from_there() {
    let mut tail = Tail::new(at(50), 1);
    let mut downstream = subscribed(None, &tail);
    assert_eq!(after(&mut downstream, &tail, found(at(50), None)), [DownstreamAction::QueueSnapshot]);
    begins_snapshot(&mut downstream, &tail, at(50));
    // Meanwhile much is committed, and neither tail nor log keeps it.
    (51..=90).for_each(|version| tail.push(Duration::ZERO, at(version), Bytes::from_static(b"version")));
    ends_snapshot(&mut downstream, &tail, at(50), &SnapshotCheck::new());
    let reads = [DownstreamAction::ReadAfter { after: Version::new(50), max_bytes: MAX_WRITE }];
    assert_eq!(after(&mut downstream, &tail, DownstreamInput::Sent), reads);
    let again = after(&mut downstream, &tail, DownstreamInput::Versions(None));
    assert_eq!(again, [DownstreamAction::QueueSnapshot]);
    assert_eq!(after(&mut downstream, &tail, acked(ack_of(50))), []);
    begins_snapshot(&mut downstream, &tail, at(90));
    ends_snapshot(&mut downstream, &tail, at(90), &SnapshotCheck::new());
    let sent = after(&mut downstream, &tail, DownstreamInput::Sent);
    assert_eq!(sent, [], "what it had before is not what is here now");
    assert_eq!(after(&mut downstream, &tail, acked(ack_of(90))), [DownstreamAction::Acked(ack_of(90))]);
}

#[test]
fn an_edge_may_not_claim_what_it_was_never_given() {
    let tail = Tail::new(at(3), 0);
    let lie = || malformed("an ack of what it was never given");
    for claimed in [ack_of(4), Ack { epoch: Epoch::new(1), ..ack_of(0) }] {
        assert_eq!(after(&mut streaming(at(3), &tail), &tail, acked(claimed)), [lie()]);
    }
    for claimed in [Ack { durable: Version::new(3), ..ack_of(2) }, Ack { incarnation: 9, ..ack_of(3) }] {
        let contradiction = [malformed("an ack that contradicts itself")];
        assert_eq!(after(&mut streaming(at(3), &tail), &tail, acked(claimed)), contradiction);
    }
    // Not before the check either.
    let mut downstream = subscribed(Some(at(3)), &tail);
    assert_eq!(after(&mut downstream, &tail, acked(ack_of(4))), []);
    let [accepted, stream] = streams(at(9));
    assert_eq!(after(&mut downstream, &tail, found(at(9), Some(at(3).chain))), [accepted, stream, lie()]);
}

#[test]
fn who_waits_for_a_snapshot_hears_that_it_is_not_forgotten() {
    let tail = Tail::new(at(3), 0);
    let mut downstream = subscribed(None, &tail);
    assert_eq!(after(&mut downstream, &tail, found(at(3), None)), [DownstreamAction::QueueSnapshot]);
    for seconds in 1..=50 {
        let now = Duration::from_secs(seconds);
        assert_eq!(downstream.poll_timeout(), Some(now));
        let heartbeat = Frame::Heartbeat(Heartbeat {
            head: None,
            time_us: seconds * 1_000_000,
            ack_every_us: 0,
            unconfirmed_us: 0,
        });
        assert_eq!(actions(&mut downstream, now, &tail), [sends(&heartbeat)]);
        if seconds == 50 {
            // Its turn comes while the heartbeat is being written, which is over first.
            downstream.handle(now, DownstreamInput::SnapshotTurn);
            assert_eq!(actions(&mut downstream, now, &tail), []);
        }
        downstream.handle(now, DownstreamInput::Sent);
    }
    assert_eq!(actions(&mut downstream, Duration::from_secs(50), &tail), [DownstreamAction::OpenSnapshot(None)]);
}

#[test]
fn a_flood_of_acks_is_booked_at_a_steady_rate_and_its_last_one_is() {
    let tail = Tail::new(at(10_000), 0);
    let mut downstream = streaming(at(10_000), &tail);
    let mut booked = Vec::new();
    for number in 0..10_000 {
        let now = Duration::from_micros(number);
        downstream.handle(now, acked(ack_of(number)));
        booked.extend(actions(&mut downstream, now, &tail));
    }
    let one_a_millisecond: Vec<_> = (0..10).map(|ms| DownstreamAction::Acked(ack_of(ms * 1000))).collect();
    assert_eq!(booked, one_a_millisecond);
    let due = downstream.poll_timeout().expect("the last is not lost");
    assert_eq!(actions(&mut downstream, due, &tail), [DownstreamAction::Acked(ack_of(9_999))]);
}

/// Whoever waits for a few edges hears of each change at once, and a thousand cost no more than the core can bear.
#[test]
fn the_more_followers_there_are_the_less_often_each_acknowledges() {
    let tail = Tail::new(at(3), 0);
    for (followers, ack_every_us) in [(1, 100), (10, 1_000), (50, 5_000), (1_000, 5_000), (usize::MAX, 5_000)] {
        let mut downstream = streaming(at(3), &tail);
        downstream.set_followers(followers);
        let [DownstreamAction::Send(frames)] = &actions(&mut downstream, HEARTBEAT_AFTER, &tail)[..] else {
            panic!("no heartbeat")
        };
        let time_us = u64::try_from(HEARTBEAT_AFTER.as_micros()).unwrap();
        let heartbeat = Frame::Heartbeat(Heartbeat { head: Some(at(3)), time_us, ack_every_us, unconfirmed_us: 0 });
        assert_eq!(DownstreamAction::Send(frames.clone()), sends(&heartbeat), "{followers}");
    }
}

#[test]
fn a_follower_that_always_gets_versions_hears_how_often_to_acknowledge_all_the_same() {
    let mut tail = Tail::new(at(3), 1 << 20);
    let mut downstream = streaming(at(3), &tail);
    downstream.set_followers(10);
    let (mut told, mut writes) = (vec![], 0_u32);
    for number in 1..=30_u64 {
        let now = Duration::from_millis(100 * number);
        tail.push(now, at(3 + number), Bytes::from_static(b"version"));
        let [DownstreamAction::Send(frames)] = &actions(&mut downstream, now, &tail)[..] else { panic!("no write") };
        assert_eq!(frames[0], Bytes::from_static(b"version"));
        let time_us = 100_000 * number;
        let heartbeat =
            Frame::Heartbeat(Heartbeat { head: Some(at(3 + number)), time_us, ack_every_us: 1_000, unconfirmed_us: 0 });
        if let [_, frame] = &frames[..] {
            assert_eq!(*frame, heartbeat.to_bytes());
            told.push(number);
        }
        writes += 1;
        downstream.handle(now, DownstreamInput::Sent);
    }
    assert_eq!((told, writes), (vec![10, 20, 30], 30));
}

#[test]
fn a_path_is_told_once_and_again_when_it_changes() {
    let core = crate::Path::of_core(crate::Peer { role: crate::Role::Core, name: "core-1".into() });
    let mut tail = Tail::new(at(3), usize::MAX);
    assert!(tail.set_path(core.clone()));
    assert!(!tail.set_path(core.clone()));
    let mut downstream = subscribed(Some(at(3)), &tail);
    assert_eq!(after(&mut downstream, &tail, found(at(3), Some(at(3).chain))), streams(at(3)));
    let told = |actions: Vec<DownstreamAction>, path: &crate::Path| {
        let [DownstreamAction::Send(frames)] = actions.as_slice() else { panic!("{actions:?}") };
        assert_eq!((frames.len(), frames.last()), (2, Some(&Frame::Path(path.clone()).to_bytes())));
    };
    told(after(&mut downstream, &tail, DownstreamInput::Sent), &core);
    assert_eq!(after(&mut downstream, &tail, DownstreamInput::Sent), []);
    let longer = core.to(crate::Peer { role: crate::Role::Relay, name: "relay-1".into() }).unwrap();
    tail.set_path(longer.clone());
    told(actions(&mut downstream, Duration::ZERO, &tail), &longer);
}

#[test]
fn what_a_relay_reports_counts_once_it_is_served() {
    let tail = Tail::new(at(3), usize::MAX);
    let reports = vec![Bytes::from_static(b"news")];
    let says = || DownstreamInput::Frame(Frame::Reports(reports.clone()));
    let mut downstream = subscribed(Some(at(3)), &tail);
    assert_eq!(after(&mut downstream, &tail, says()), []);
    assert_eq!(after(&mut downstream, &tail, found(at(3), Some(at(3).chain))), streams(at(3)));
    // Also while a write is under way.
    assert_eq!(after(&mut downstream, &tail, says()), [DownstreamAction::Reported(reports.clone())]);
    let mut new = Downstream::new(Duration::ZERO, NAME.into());
    assert_eq!(after(&mut new, &tail, says()), [malformed("something before its subscription")]);
}

#[test]
fn who_falls_behind_on_the_way_gets_no_older_table_files_than_it_has_come() {
    let mut tail = Tail::new(at(3), usize::MAX);
    let mut downstream = Downstream::new(Duration::ZERO, NAME.into());
    let tables_from = Some((Epoch::ZERO, Version::new(3)));
    let subscribe =
        Subscribe { protocol: PROTOCOL, name: NAME.into(), position: Some(at(3)), tables_from, ..Default::default() };
    after(&mut downstream, &tail, DownstreamInput::Frame(Frame::Subscribe(subscribe)));
    after(&mut downstream, &tail, found(at(3), Some(at(3).chain)));
    tail.push(Duration::ZERO, at(4), Bytes::from_static(b"version"));
    let sent = after(&mut downstream, &tail, DownstreamInput::Sent);
    assert!(matches!(sent[..], [DownstreamAction::Send(_)]), "{sent:?}");
    // The log does not reach back.
    tail.jump(at(9));
    let reads = after(&mut downstream, &tail, DownstreamInput::Sent);
    assert!(matches!(reads[..], [DownstreamAction::ReadAfter { .. }]), "{reads:?}");
    let queues = [DownstreamAction::QueueTables { from: (Epoch::ZERO, Version::new(4)) }];
    assert_eq!(after(&mut downstream, &tail, DownstreamInput::Versions(None)), queues);
}
