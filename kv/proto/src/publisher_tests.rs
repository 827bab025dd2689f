//! What the publisher's side does by itself.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use crate::{
    Ack, Chain, Downstream, DownstreamAction, DownstreamEnd, DownstreamInput, Epoch, Frame, Heartbeat, MAX_REST,
    PROTOCOL, Position, StoreId, Subscribe, SubscribeRefusal, Tail, Version,
};

const NAME: &str = "edge-1";

fn at(version: u64) -> Position {
    let store = StoreId::new(5);
    Position { store, epoch: Epoch::ZERO, version: Version::new(version), chain: Chain::origin(store) }
}

/// A downstream that has nothing to catch up with, at time zero.
fn streaming(head: Position, tail: &Tail) -> Downstream {
    let mut downstream = Downstream::new(Duration::ZERO, NAME.into());
    let subscribe = Subscribe { protocol: PROTOCOL, name: NAME.into(), position: Some(head), ..Default::default() };
    downstream.handle(Duration::ZERO, DownstreamInput::Frame(Frame::Subscribe(subscribe)));
    while !matches!(downstream.poll_action(Duration::ZERO, tail), Some(DownstreamAction::LookUp(_))) {}
    let (began, chain) = (Version::ZERO, Some(head.chain));
    downstream.handle(Duration::ZERO, DownstreamInput::Found { head, began, chain });
    downstream
}

/// Serves a downstream for a second, with a version every 10 ms, by a node that gets to it so late each time. Says in
/// how many writes that was in the last half, and how long the longest wait was.
fn serve_for_a_second(late: Duration) -> (usize, Duration) {
    let mut tail = Tail::new(at(0), usize::MAX);
    let mut downstream = streaming(at(0), &tail);
    while let Some(action) = downstream.poll_action(Duration::ZERO, &tail) {
        if let DownstreamAction::Send(_) = action {
            downstream.handle(Duration::ZERO, DownstreamInput::Sent);
        }
    }
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

/// Everything that is to be done now.
fn actions(downstream: &mut Downstream, now: Duration, tail: &Tail) -> Vec<DownstreamAction> {
    std::iter::from_fn(|| downstream.poll_action(now, tail)).collect()
}

fn found(head: Position, chain: Option<Chain>) -> DownstreamInput {
    DownstreamInput::Found { head, began: Version::ZERO, chain }
}

fn ack_of(version: u64) -> Ack {
    Ack { applied: Version::new(version), ..Ack::default() }
}

fn acked(downstream: &mut Downstream, ack: Ack) {
    downstream.handle(Duration::ZERO, DownstreamInput::Frame(Frame::Ack(ack)));
}

/// It asks for a place to read a snapshot, and gets one.
fn its_turn(downstream: &mut Downstream, tail: &Tail) {
    assert_eq!(actions(downstream, Duration::ZERO, tail), [DownstreamAction::QueueSnapshot]);
    downstream.handle(Duration::ZERO, DownstreamInput::SnapshotTurn);
    assert_eq!(actions(downstream, Duration::ZERO, tail), [DownstreamAction::OpenSnapshot]);
}

/// A downstream that stands there and has said right away that it has applied all of it; before the check.
fn early(position: Position, tail: &Tail) -> Downstream {
    let mut downstream = Downstream::new(Duration::ZERO, NAME.into());
    let subscribe = Subscribe { protocol: PROTOCOL, name: NAME.into(), position: Some(position), ..Default::default() };
    downstream.handle(Duration::ZERO, DownstreamInput::Frame(Frame::Subscribe(subscribe.clone())));
    acked(&mut downstream, Ack { epoch: position.epoch, ..ack_of(position.version.get()) });
    let asked = [DownstreamAction::Subscribed(subscribe), DownstreamAction::LookUp(position.version)];
    assert_eq!(actions(&mut downstream, Duration::ZERO, tail), asked, "nothing is booked before the check");
    downstream
}

#[test]
fn an_ack_that_comes_early_counts_once_the_stream_is_accepted() {
    let tail = Tail::new(at(5), 0);
    let mut downstream = early(at(3), &tail);
    downstream.handle(Duration::ZERO, found(at(5), Some(at(3).chain)));
    let expected = [
        DownstreamAction::Accepted(Version::new(5)),
        DownstreamAction::Send(vec![Frame::Stream(at(5)).to_bytes()]),
        DownstreamAction::Acked(ack_of(3)),
    ];
    assert_eq!(actions(&mut downstream, Duration::ZERO, &tail), expected);
}

#[test]
fn after_an_accepted_restore_an_ack_counts_once_it_is_of_the_new_epoch() {
    let (restored, forked) = (Position { epoch: Epoch::new(1), ..at(5) }, Version::new(4));
    let tail = Tail::new(restored, 0);
    let mut downstream = early(at(3), &tail);
    let found = DownstreamInput::Found { head: restored, began: forked, chain: Some(at(3).chain) };
    downstream.handle(Duration::ZERO, found);
    let expected =
        [DownstreamAction::Accepted(Version::new(5)), DownstreamAction::Send(vec![Frame::Stream(restored).to_bytes()])];
    assert_eq!(actions(&mut downstream, Duration::ZERO, &tail), expected);
    let ack = |version| Ack { epoch: restored.epoch, ..ack_of(version) };
    acked(&mut downstream, ack(3));
    assert_eq!(actions(&mut downstream, Duration::ZERO, &tail), [DownstreamAction::Acked(ack(3))]);
    // What it had beyond the fork is gone; the other side of it is not heard of here, however late.
    acked(&mut downstream, ack_of(9));
    assert_eq!(actions(&mut downstream, Duration::ZERO, &tail), []);
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
        downstream.handle(Duration::ZERO, found(at(5), Some(chain)));
        let told = [DownstreamAction::Refused(why), DownstreamAction::Send(vec![Frame::Refused(why).to_bytes()])];
        assert_eq!(actions(&mut downstream, Duration::ZERO, &tail), told);
        acked(&mut downstream, ack_of(3));
        downstream.handle(Duration::ZERO, DownstreamInput::Sent);
        let closed = [DownstreamAction::Close(DownstreamEnd::Refused(why))];
        assert_eq!(actions(&mut downstream, Duration::ZERO, &tail), closed);
    }
}

#[test]
fn below_a_snapshot_nothing_is_booked() {
    let tail = Tail::new(at(50), 0);
    let mut downstream = early(at(3), &tail);
    downstream.handle(Duration::ZERO, found(at(50), None));
    its_turn(&mut downstream, &tail);
    downstream.handle(Duration::ZERO, DownstreamInput::SnapshotOpened(at(50)));
    acked(&mut downstream, ack_of(3));
    let follows = [
        DownstreamAction::Accepted(Version::new(50)),
        DownstreamAction::Send(vec![Frame::SnapshotFollows(at(50)).to_bytes()]),
    ];
    assert_eq!(actions(&mut downstream, Duration::ZERO, &tail), follows);
    downstream.handle(Duration::ZERO, DownstreamInput::Sent);
    let read = actions(&mut downstream, Duration::ZERO, &tail);
    assert!(matches!(read.as_slice(), [DownstreamAction::ReadSnapshot { .. }]), "{read:?}");
    downstream.handle(Duration::ZERO, DownstreamInput::SnapshotRead(Bytes::new()));
    assert!(matches!(actions(&mut downstream, Duration::ZERO, &tail).as_slice(), [DownstreamAction::Send(_)]));
    // The end of the snapshot is on its way; it has not come there yet.
    acked(&mut downstream, ack_of(3));
    assert_eq!(actions(&mut downstream, Duration::ZERO, &tail), []);
    acked(&mut downstream, ack_of(50));
    assert_eq!(actions(&mut downstream, Duration::ZERO, &tail), [DownstreamAction::Acked(ack_of(50))]);
}

#[test]
fn who_falls_behind_the_log_during_a_snapshot_takes_another_and_counts_from_there() {
    let mut tail = Tail::new(at(50), 1);
    let mut downstream = Downstream::new(Duration::ZERO, NAME.into());
    let subscribe = Subscribe { protocol: PROTOCOL, name: NAME.into(), ..Default::default() };
    downstream.handle(Duration::ZERO, DownstreamInput::Frame(Frame::Subscribe(subscribe)));
    let _ = actions(&mut downstream, Duration::ZERO, &tail);
    downstream.handle(Duration::ZERO, found(at(50), None));
    for position in [at(50), at(90)] {
        its_turn(&mut downstream, &tail);
        downstream.handle(Duration::ZERO, DownstreamInput::SnapshotOpened(position));
        let begun = actions(&mut downstream, Duration::ZERO, &tail);
        let accepted = DownstreamAction::Accepted(position.version);
        assert!(matches!(begun.as_slice(), [first, DownstreamAction::Send(_)] if *first == accepted), "{begun:?}");
        downstream.handle(Duration::ZERO, DownstreamInput::Sent);
        let _ = actions(&mut downstream, Duration::ZERO, &tail);
        // Meanwhile much is committed, and neither tail nor log keeps it.
        for version in tail.head().version.get() + 1..=90 {
            tail.push(Duration::ZERO, at(version), Bytes::from_static(b"version"));
        }
        downstream.handle(Duration::ZERO, DownstreamInput::SnapshotRead(Bytes::new()));
        assert!(matches!(actions(&mut downstream, Duration::ZERO, &tail).as_slice(), [DownstreamAction::Send(_)]));
        downstream.handle(Duration::ZERO, DownstreamInput::Sent);
        let next = actions(&mut downstream, Duration::ZERO, &tail);
        if position == at(90) {
            assert_eq!(next, []);
        } else {
            let after = Version::new(50);
            let asks = |action: &DownstreamAction| matches!(action, DownstreamAction::ReadAfter { after: from, .. } if *from == after);
            assert!(matches!(next.as_slice(), [action] if asks(action)), "{next:?}");
            downstream.handle(Duration::ZERO, DownstreamInput::Versions(None));
            acked(&mut downstream, ack_of(50));
        }
    }
    assert_eq!(actions(&mut downstream, Duration::ZERO, &tail), [], "what it had before is not what is here now");
    acked(&mut downstream, ack_of(90));
    assert_eq!(actions(&mut downstream, Duration::ZERO, &tail), [DownstreamAction::Acked(ack_of(90))]);
}

#[test]
fn an_edge_may_not_claim_what_it_was_never_given() {
    let tail = Tail::new(at(3), 0);
    for lie in [ack_of(4), Ack { epoch: Epoch::new(1), ..ack_of(0) }] {
        let mut downstream = streaming(at(3), &tail);
        acked(&mut downstream, lie);
        let actions = actions(&mut downstream, Duration::ZERO, &tail);
        assert!(
            matches!(actions.as_slice(), [.., DownstreamAction::Close(DownstreamEnd::Malformed(_))]),
            "{actions:?}"
        );
    }
    // Not before the check either.
    let mut downstream = Downstream::new(Duration::ZERO, NAME.into());
    let subscribe = Subscribe { protocol: PROTOCOL, name: NAME.into(), position: Some(at(3)), ..Default::default() };
    downstream.handle(Duration::ZERO, DownstreamInput::Frame(Frame::Subscribe(subscribe)));
    acked(&mut downstream, ack_of(4));
    let _ = actions(&mut downstream, Duration::ZERO, &tail);
    downstream.handle(Duration::ZERO, found(at(9), Some(at(3).chain)));
    let actions = actions(&mut downstream, Duration::ZERO, &tail);
    assert!(matches!(actions.as_slice(), [.., DownstreamAction::Close(DownstreamEnd::Malformed(_))]), "{actions:?}");
}

#[test]
fn who_waits_for_a_snapshot_hears_that_it_is_not_forgotten() {
    let tail = Tail::new(at(3), 0);
    let mut downstream = Downstream::new(Duration::ZERO, NAME.into());
    let subscribe = Subscribe { protocol: PROTOCOL, name: NAME.into(), ..Default::default() };
    downstream.handle(Duration::ZERO, DownstreamInput::Frame(Frame::Subscribe(subscribe.clone())));
    let asked = [DownstreamAction::Subscribed(subscribe), DownstreamAction::LookUp(Version::ZERO)];
    assert_eq!(actions(&mut downstream, Duration::ZERO, &tail), asked);
    downstream.handle(Duration::ZERO, DownstreamInput::Found { head: at(3), began: Version::ZERO, chain: None });
    assert_eq!(actions(&mut downstream, Duration::ZERO, &tail), [DownstreamAction::QueueSnapshot]);

    for seconds in 1..100 {
        let now = Duration::from_secs(seconds);
        assert_eq!(downstream.poll_timeout(), Some(now));
        let time_us = seconds * 1_000_000;
        let heartbeat = Frame::Heartbeat(Heartbeat { head: None, time_us }).to_bytes();
        assert_eq!(actions(&mut downstream, now, &tail), [DownstreamAction::Send(vec![heartbeat])]);
        if seconds == 50 {
            // Its turn comes while the heartbeat is being written, which is over first.
            downstream.handle(now, DownstreamInput::SnapshotTurn);
            assert_eq!(actions(&mut downstream, now, &tail), []);
            downstream.handle(now, DownstreamInput::Sent);
            assert_eq!(actions(&mut downstream, now, &tail), [DownstreamAction::OpenSnapshot]);
            return;
        }
        downstream.handle(now, DownstreamInput::Sent);
    }
}

#[test]
fn a_flood_of_acks_is_booked_at_a_steady_rate_and_its_last_one_is() {
    let tail = Tail::new(at(10_000), 0);
    let mut downstream = streaming(at(10_000), &tail);
    let _ = actions(&mut downstream, Duration::ZERO, &tail);
    let mut booked = Vec::new();
    for number in 0..10_000 {
        let now = Duration::from_micros(number);
        acked(&mut downstream, ack_of(number));
        booked.extend(actions(&mut downstream, now, &tail));
    }
    assert_eq!(booked.len(), 10, "one each millisecond");
    let due = downstream.poll_timeout().expect("the last is not lost");
    assert_eq!(actions(&mut downstream, due, &tail), [DownstreamAction::Acked(ack_of(9_999))]);
}
