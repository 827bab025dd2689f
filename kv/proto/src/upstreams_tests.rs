//! Upstreams that fail in every way, and when each of them is tried.

use std::time::Duration;

use crate::random::Random;
use crate::simulation::{
    Copy, Simulation, acks, actions, after, asks_over, source, subscribed, subscribed_at_first_of,
};
use crate::simulation_source::Source;
use crate::upstreams::{Setback, Upstreams};
use crate::{
    BEARS_UNCONFIRMED, Follower, FollowerAction, FollowerEnd, FollowerInput, Frame, MAX_BACKOFF, MIN_BACKOFF,
    SILENT_AFTER, SubscribeRefusal, UNCONFIRMED_AFTER,
};

const SECOND: Duration = Duration::from_secs(1);

/// The longest that an upstream which fails serves in these tests.
const SPELL: Duration = Duration::from_secs(3);

fn upstreams(count: usize) -> Upstreams {
    Upstreams::new(count, 7)
}

/// The places of those that are tried one after the other when none answers.
fn tried_in_vain(upstreams: &mut Upstreams, now: Duration, count: usize) -> Vec<usize> {
    let fail = |_| {
        let place = upstreams.take(now);
        place.iter().for_each(|_| upstreams.lost(now, Setback::Lost));
        place
    };
    (0..count).map_while(fail).collect()
}

#[test]
fn the_first_in_the_configuration_comes_first_and_then_each_of_the_others() {
    let mut all = upstreams(3);
    assert_eq!(tried_in_vain(&mut all, SECOND, 9), [0, 1, 2]);
    assert_eq!(all.take(SECOND), None, "each has its backoff");
    let at = all.next_at();
    assert!((SECOND + MIN_BACKOFF / 2..=SECOND + MIN_BACKOFF).contains(&at), "{at:?}");
    assert_eq!(tried_in_vain(&mut all, SECOND * 2, 9), [0, 1, 2]);
}

#[test]
fn one_that_has_served_for_long_is_lost_and_the_order_of_the_configuration_counts_again() {
    // The last one has not been tried yet.
    for (served, next) in [(MAX_BACKOFF, [0, 1, 3]), (MAX_BACKOFF - MIN_BACKOFF, [3, 0, 1])] {
        let mut all = upstreams(4);
        assert_eq!(tried_in_vain(&mut all, SECOND, 2), [0, 1]);
        assert_eq!(all.take(SECOND), Some(2));
        all.serves(SECOND);
        all.lost(SECOND + served, Setback::Lost);
        assert_eq!(tried_in_vain(&mut all, SECOND + served, 9), next);
    }
}

#[test]
fn a_backoff_begins_anew_once_an_upstream_has_served_for_longer() {
    let mut all = upstreams(1);
    let mut now = SECOND;
    // How long it waits after it has served for so long.
    let mut wait_after = |served: Option<Duration>| {
        assert_eq!(all.take(now), Some(0));
        if let Some(served) = served {
            all.serves(now);
            now += served;
        }
        all.lost(now, Setback::Lost);
        let wait = all.next_at() - now;
        now += wait;
        wait
    };
    for doubled in 0..12 {
        let full = (MIN_BACKOFF * (1 << doubled)).min(MAX_BACKOFF);
        let wait = wait_after(None);
        assert!(wait > full / 2 && wait <= full, "{wait:?} of {full:?}");
    }
    assert!(wait_after(Some(MAX_BACKOFF - MIN_BACKOFF)) > MAX_BACKOFF / 2);
    assert!(wait_after(Some(MAX_BACKOFF)) <= MIN_BACKOFF);
}

#[test]
fn nodes_do_not_come_back_in_step() {
    let waits = (0..100).map(|seed| {
        let mut all = Upstreams::new(1, seed);
        tried_in_vain(&mut all, SECOND, 1);
        all.next_at()
    });
    assert!(waits.collect::<std::collections::BTreeSet<_>>().len() > 50);
}

#[test]
fn one_that_is_unfit_is_put_aside_alone_and_a_second_process_puts_all_aside() {
    let mut all = upstreams(2);
    assert_eq!(all.take(SECOND), Some(0));
    all.lost(SECOND, Setback::Unfit);
    assert_eq!(all.take(SECOND), Some(1));
    all.lost(SECOND, Setback::Lost);
    assert!(all.next_at() <= SECOND + MIN_BACKOFF);
    assert_eq!(all.take(SECOND + MIN_BACKOFF), Some(1), "and again, for as long as the other one is put aside");
    all.lost(SECOND * 2, Setback::Lost);
    assert_eq!(all.take(SECOND + MAX_BACKOFF), Some(0));
    all.lost(SECOND * 12, Setback::Replaced);
    assert_eq!(all.next_at(), SECOND * 12 + MAX_BACKOFF);
}

#[test]
fn one_that_is_not_confirmed_comes_back_after_a_minute_or_when_the_others_fail() {
    let left_for_the_other = || {
        let mut all = upstreams(2);
        assert_eq!(all.take(SECOND), Some(0));
        all.serves(SECOND);
        assert!(!all.bears(SECOND, UNCONFIRMED_AFTER));
        all.lost(SECOND, Setback::Unconfirmed);
        assert_eq!(all.take(SECOND), Some(1));
        all
    };
    // It serves, and is lost for a moment: the first one is not better than before.
    let mut all = left_for_the_other();
    all.serves(SECOND);
    assert!(all.bears(SECOND, UNCONFIRMED_AFTER));
    all.lost(SECOND * 2, Setback::Lost);
    assert_eq!(all.take(SECOND * 2), None);
    assert_eq!(all.take(SECOND * 3), Some(1));
    all.lost(SECOND * 3, Setback::Lost);
    assert_eq!(all.take(SECOND * 3), Some(0), "better than nobody");

    let mut all = left_for_the_other();
    all.serves(SECOND);
    let end = SECOND + BEARS_UNCONFIRMED;
    assert!(!all.bears(end, UNCONFIRMED_AFTER));
    all.lost(end, Setback::Unconfirmed);
    assert_eq!(all.take(end), Some(0));
}

/// What is expected of one upstream, by a plain model.
#[derive(Clone, Copy, Default)]
struct Expected {
    lost_at: Option<Duration>,
    attempts: u32,
    is_aside: bool,
}

impl Expected {
    fn may_be_tried_at(&self) -> Duration {
        let full = (MIN_BACKOFF * (1 << self.attempts.saturating_sub(1).min(16))).min(MAX_BACKOFF);
        let least = if self.is_aside { MAX_BACKOFF } else { full / 2 };
        self.lost_at.map_or(Duration::ZERO, |at| at + least)
    }

    fn lost(&mut self, now: Duration, served: Option<Duration>, is_aside: bool) {
        let full = (MIN_BACKOFF * (1 << self.attempts.min(16))).min(MAX_BACKOFF);
        let begins_anew = served.is_some_and(|served| served >= full);
        self.attempts = if begins_anew { 1 } else { self.attempts + 1 };
        (self.lost_at, self.is_aside) = (Some(now), is_aside);
    }
}

/// Upstreams that fail at random, until one of them is well.
struct Run {
    random: Random,
    now: Duration,
    all: Upstreams,
    expected: Vec<Expected>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let count = usize::try_from(1 + random.below(4)).unwrap();
        let expected = vec![Expected::default(); count];
        Self { random, now: SECOND, all: Upstreams::new(count, seed), expected }
    }

    fn up_to(&mut self, most: Duration) -> Duration {
        Duration::from_millis(self.random.below(u64::try_from(most.as_millis()).unwrap()))
    }

    /// Waits for the next attempt; whom it goes to.
    fn next(&mut self) -> usize {
        self.now = self.now.max(self.all.next_at());
        let place = self.all.take(self.now).expect("it said when");
        assert!(self.now >= self.expected[place].may_be_tried_at(), "{place} was tried too early");
        place
    }

    fn fails(&mut self, place: usize) {
        let served = self.random.one_in(3).then(|| self.up_to(SPELL));
        match served {
            Some(served) => {
                self.all.serves(self.now);
                self.now += served;
            }
            None => {
                let tried = self.up_to(SILENT_AFTER);
                self.now += tried;
            }
        }
        let setback = match self.random.below(10) {
            0 => Setback::Unfit,
            1 if served.is_some() && !self.all.bears(self.now, UNCONFIRMED_AFTER) => Setback::Unconfirmed,
            _ => Setback::Lost,
        };
        self.all.lost(self.now, setback);
        self.expected[place].lost(self.now, served, setback == Setback::Unfit);
    }
}

#[test]
fn one_that_is_well_is_reached_soon_and_none_is_tried_before_its_backoff_is_over() {
    for seed in 0..2_000 {
        let mut run = Run::new(seed);
        for _ in 0..run.random.below(60) {
            let place = run.next();
            run.fails(place);
        }
        let count = run.expected.len();
        let well = usize::try_from(run.random.below(count as u64)).unwrap();
        let since = run.now;
        let mut others = 0;
        loop {
            let place = run.next();
            if place == well {
                break;
            }
            run.fails(place);
            others += 1;
        }
        let turns = u32::try_from(count).unwrap() * (SILENT_AFTER + SPELL);
        let bound = MAX_BACKOFF + turns + BEARS_UNCONFIRMED;
        assert!(run.now - since <= bound, "seed {seed}: after {:?}, {others} attempts", run.now - since);
    }
}

/// The copy asserts that it never goes back.
#[test]
fn a_follower_of_several_upstreams_ends_where_the_newest_is() {
    let (mut behind, mut to_replica) = (0, 0);
    for seed in 0..60 {
        let mut run = Simulation::new(seed, Source::new(5), Copy::default()).with_replica();
        for _ in 0..800 {
            run.fault();
            run.step();
            to_replica += u32::from(run.wire.as_ref().is_some_and(|wire| wire.to_replica));
        }
        assert!(run.catches_up(20_000), "seed {seed}: edge at {:?}, core at {}", run.copy.position, run.source.head);
        // A damaged copy is offered a snapshot from before, and the source was cut off.
        let is_alarming = |end: &&FollowerEnd| end.is_alarming() && !matches!(end, FollowerEnd::Back(_));
        let alarming: Vec<_> = run.ends.iter().filter(is_alarming).collect();
        assert!(alarming.is_empty(), "seed {seed}: {alarming:?}");
        behind += run.ends.iter().filter(|end| matches!(end, FollowerEnd::Behind(_))).count();
    }
    assert!(behind > 10 && to_replica > 1_000, "{behind} times behind, {to_replica} steps with the replica");
}

#[test]
fn an_unconfirmed_publisher_is_left_for_another_one_and_not_again_and_again() {
    let head = source(5, 1, 1).head;
    let says = |follower: &mut Follower, now, unconfirmed: Duration| {
        let unconfirmed_us = u64::try_from(unconfirmed.as_micros()).unwrap();
        let heartbeat = crate::Heartbeat { head: Some(head), unconfirmed_us, ..Default::default() };
        follower.handle(now, FollowerInput::Frame(Frame::Heartbeat(heartbeat)));
        actions(follower, now)
    };
    let left_for = |next| vec![FollowerAction::Disconnect(FollowerEnd::Unconfirmed), FollowerAction::Connect(next)];
    let (long, now) = (UNCONFIRMED_AFTER, Duration::from_secs(1));
    assert_eq!(says(&mut subscribed(Some(head)), now, long * 100), [], "there is no other one");
    let mut follower = subscribed_at_first_of(2, Some(head));
    assert_eq!(says(&mut follower, now, long - Duration::from_micros(1)), []);
    assert_eq!(says(&mut follower, now, long), left_for(1));
    follower.handle(now, FollowerInput::Connected);
    assert_eq!(actions(&mut follower, now), [asks_over(1, Some(head)), acks(head)]);
    let end = now + BEARS_UNCONFIRMED;
    assert_eq!(says(&mut follower, end - Duration::from_micros(1), long), [], "the other one is not confirmed either");
    assert_eq!(says(&mut follower, end, long), left_for(0));
}

/// The last one is told apart: nobody is left then who could serve.
#[test]
fn a_publisher_that_is_behind_is_passed_over_while_another_one_may_serve() {
    let (head, behind) = (source(5, 1, 3).head, source(5, 1, 2).head);
    let refused = || Frame::Refused(SubscribeRefusal::Ahead(behind));
    let mut follower = subscribed_at_first_of(3, Some(head));
    for next in [1, 2] {
        let left = [FollowerAction::Disconnect(FollowerEnd::Behind(behind)), FollowerAction::Connect(next)];
        assert_eq!(after(&mut follower, [refused()]), left);
        follower.handle(Duration::ZERO, FollowerInput::Connected);
        let connection = next as u64;
        assert_eq!(actions(&mut follower, Duration::ZERO), [asks_over(connection, Some(head)), acks(head)]);
    }
    let all_are = FollowerEnd::Refused(SubscribeRefusal::Ahead(behind));
    assert_eq!(after(&mut follower, [refused()]), [FollowerAction::Disconnect(all_are)]);
    let again = follower.poll_timeout().unwrap();
    assert!(again <= MIN_BACKOFF, "one of them may have caught up");

    // As soon as one of them serves, none of the others is known to be unable to.
    assert!(matches!(actions(&mut follower, again)[..], [FollowerAction::Connect(_)]));
    follower.handle(again, FollowerInput::Connected);
    follower.handle(again, FollowerInput::Frame(Frame::Stream(head)));
    follower.handle(again, FollowerInput::Disconnected);
    let later = again + MAX_BACKOFF;
    let connects = |action: &FollowerAction| matches!(action, FollowerAction::Connect(_));
    assert!(actions(&mut follower, later).iter().any(connects));
    follower.handle(later, FollowerInput::Connected);
    follower.handle(later, FollowerInput::Frame(refused()));
    let left = FollowerAction::Disconnect(FollowerEnd::Behind(behind));
    assert!(actions(&mut follower, later).contains(&left));
}

/// Each of the two would end the other's connection, as fast as they come back.
#[test]
fn who_was_replaced_by_another_process_waits_before_it_comes_back() {
    let position = source(5, 1, 3).head;
    let mut follower = subscribed(Some(position));
    assert_eq!(after(&mut follower, [Frame::Stream(position)]), []);
    follower.handle(Duration::ZERO, FollowerInput::Replaced);
    assert_eq!(actions(&mut follower, Duration::ZERO), []);
    assert_eq!(follower.poll_timeout(), Some(MAX_BACKOFF));
    assert_eq!(actions(&mut follower, MAX_BACKOFF), [FollowerAction::Connect(0)]);
}
