//! What the publisher's side does by itself.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use crate::{
    Ack, Chain, Downstream, DownstreamAction, DownstreamEnd, DownstreamInput, Epoch, Frame, Heartbeat, MAX_REST,
    PROTOCOL, Position, StoreId, Subscribe, Tail, Version,
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
    while let Some(DownstreamAction::Send(_)) = downstream.poll_action(Duration::ZERO, &tail) {
        downstream.handle(Duration::ZERO, DownstreamInput::Sent);
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

#[test]
fn an_edge_may_not_claim_what_it_was_never_given() {
    let tail = Tail::new(at(3), 0);
    let mut downstream = streaming(at(3), &tail);
    let lie = Ack { applied: Version::new(4), ..Default::default() };
    downstream.handle(Duration::ZERO, DownstreamInput::Frame(Frame::Ack(lie)));
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

/// Everything that it wants now.
fn actions(downstream: &mut Downstream, now: Duration, tail: &Tail) -> Vec<DownstreamAction> {
    std::iter::from_fn(|| downstream.poll_action(now, tail)).collect()
}
