//! Decides what the proposer builds and proposes next, and which changes are refused as busy.
//!
//! Pure: it is told what came and what is in flight, and says one action at a time. Changes go first, in the order in
//! which they came. Bulk waits until no job is left, or some changes have gone ahead of it, and then goes a few chunks at a
//! time.
//!
//! A change that is built while nothing is with raft is sent at once. Those built while earlier ones are make an open
//! group, which is sent as one entry when no job is left, when nothing is with raft any more, or when it is full: so
//! what many ask for at a time costs few syncs, and what one asks for waits for nothing.
//!
//! # Invariants
//! - Nothing else is proposed, and nothing is waited for, while a group is open: the order of tickets is that of the log,
//!   and what is staged lands.
//! - Nothing is built or staged between a failure and the end of all that was in flight; see [`Pipeline`].
//! - The applied state is read anew before anything is built on it that the pipeline has forgotten.

use std::collections::VecDeque;

use crate::flight::Counts;
use crate::pipeline::Pipeline;

/// Chunks of bulk with raft at a time: one being made durable while one is applied. A change that comes waits for
/// no more than these.
const BULK_AHEAD: usize = 2;
/// Changes after which a waiting chunk of bulk gets its turn.
const CHANGES_PER_CHUNK: usize = 64;

/// See the module. `C` is a change, `B` a chunk of bulk.
#[derive(Debug)]
pub(crate) struct Turns<C, B> {
    pub(crate) pipeline: Pipeline,
    waiting: VecDeque<B>,
    /// Jobs taken since bulk had its turn.
    taken: usize,
    /// Changes of the open group.
    open: usize,
    next: Next<C>,
}

/// What the proposer is asked to do.
#[derive(Debug)]
pub(crate) enum Job<C, B> {
    /// Build and propose a change.
    Change(C),
    /// Propose a chunk of bulk.
    Bulk(B),
    /// Bulk that waits may have its turn: a chunk has landed, or after a failure everything has.
    Landed,
}

/// What has come.
#[derive(Debug)]
pub(crate) enum Input<C, B> {
    Job(Job<C, B>),
    /// No job is there now.
    NoJob,
    /// A change is staged, and now so many are in the open group.
    Opened(usize),
    /// Whether nothing is on its way any more.
    Drained(bool),
}

/// What there is to know about what is on its way.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) counts: Counts,
    /// The lead is over: raft takes nothing of it any more.
    pub(crate) has_ended: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action<C, B> {
    /// Wait for a job.
    Wait,
    /// Take a job if one is there.
    Take,
    /// Wait for everything on its way to land, within limits.
    Drain,
    /// Read the applied state anew before it is built on.
    Renew,
    /// Build this change over the applied state and the pipeline, and stage it in the open group.
    Build(C),
    /// Propose the open group.
    Send,
    /// Do nothing of this change.
    Refuse(C, NotProposed),
    /// Stage this chunk of bulk, and propose it.
    Stage(B),
}

/// Why nothing is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotProposed {
    /// Something has failed, and what was on its way does not land.
    Busy,
    /// The lead is over.
    Ended,
}

#[derive(Debug)]
enum Next<C> {
    Wait,
    Take,
    Change(C, Settling),
    Feed(Settling),
}

/// How far the pipeline is brought up to what has landed.
#[derive(Clone, Copy, Debug)]
enum Settling {
    Begins,
    Drained(bool),
    Done,
}

/// What is to be done before anything is staged.
enum Before {
    Nothing,
    Drain,
    Renew,
    /// It cannot be staged now.
    GiveUp,
}

impl<C, B> Default for Turns<C, B> {
    fn default() -> Self {
        Self { pipeline: Pipeline::default(), waiting: VecDeque::new(), taken: 0, open: 0, next: Next::Wait }
    }
}

impl<C, B> Turns<C, B> {
    pub(crate) fn handle(&mut self, input: Input<C, B>) {
        match input {
            Input::Job(job) => self.take(job),
            Input::NoJob => self.next = Next::Feed(Settling::Begins),
            Input::Opened(changes) => self.open = changes,
            Input::Drained(is_empty) => {
                if let Next::Change(_, settling) | Next::Feed(settling) = &mut self.next {
                    *settling = Settling::Drained(is_empty);
                }
            }
        }
    }

    /// The next action. `look` is called where it depends on what is on its way.
    pub(crate) fn poll_action(&mut self, look: impl Fn() -> Seen) -> Action<C, B> {
        match std::mem::replace(&mut self.next, Next::Wait) {
            Next::Wait => self.wait(),
            Next::Take if self.open > 0 && look().counts.staged <= self.open => self.send_before(Next::Take),
            Next::Take => Action::Take,
            Next::Change(change, settling) => self.change(change, settling, look()),
            Next::Feed(settling) if self.open > 0 => self.send_before(Next::Feed(settling)),
            Next::Feed(settling) => self.feed(settling, look()),
        }
    }

    fn take(&mut self, job: Job<C, B>) {
        self.taken += 1;
        match job {
            Job::Change(change) => self.next = Next::Change(change, Settling::Begins),
            Job::Bulk(bulk) => {
                self.waiting.push_back(bulk);
                self.next = self.after_job();
            }
            Job::Landed => self.next = self.after_job(),
        }
    }

    fn after_job(&self) -> Next<C> {
        if self.taken > CHANGES_PER_CHUNK && !self.waiting.is_empty() {
            Next::Feed(Settling::Begins)
        } else {
            Next::Take
        }
    }

    fn send_before(&mut self, next: Next<C>) -> Action<C, B> {
        (self.next, self.open) = (next, 0);
        Action::Send
    }

    fn wait(&mut self) -> Action<C, B> {
        self.taken = 0;
        Action::Wait
    }

    fn change(&mut self, change: C, settling: Settling, seen: Seen) -> Action<C, B> {
        self.next = self.after_job();
        // What raft is not given any more is known not to be done.
        if seen.has_ended {
            return Action::Refuse(change, NotProposed::Ended);
        }
        match self.settle(settling, &seen.counts) {
            Before::Nothing => Action::Build(change),
            Before::GiveUp => Action::Refuse(change, NotProposed::Busy),
            Before::Drain if self.open > 0 => self.send_before(Next::Change(change, Settling::Begins)),
            Before::Drain => {
                self.next = Next::Change(change, Settling::Begins);
                Action::Drain
            }
            Before::Renew => {
                self.next = Next::Change(change, Settling::Done);
                Action::Renew
            }
        }
    }

    /// Lets bulk go that may go now.
    fn feed(&mut self, settling: Settling, seen: Seen) -> Action<C, B> {
        if seen.counts.bulk >= BULK_AHEAD {
            return self.wait();
        }
        match self.settle(settling, &seen.counts) {
            Before::Nothing => match self.waiting.pop_front() {
                None => self.wait(),
                Some(bulk) => {
                    self.next = Next::Feed(Settling::Begins);
                    Action::Stage(bulk)
                }
            },
            Before::GiveUp => self.wait(),
            Before::Drain => {
                self.next = Next::Feed(Settling::Begins);
                Action::Drain
            }
            Before::Renew => {
                self.next = Next::Feed(Settling::Done);
                Action::Renew
            }
        }
    }

    /// Brings the pipeline up to what has landed.
    fn settle(&mut self, settling: Settling, counts: &Counts) -> Before {
        match settling {
            Settling::Done => Before::Nothing,
            Settling::Drained(false) => Before::GiveUp,
            Settling::Drained(true) => {
                self.pipeline.clear();
                Before::Renew
            }
            Settling::Begins if counts.has_failed => Before::Drain,
            Settling::Begins if self.pipeline.settle(counts.answered) => Before::Renew,
            Settling::Begins => Before::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use zonecast_kv_proto::{Batch, Edition, Key, KeyspaceId, Op, Section, SectionId, Value};

    use super::*;

    const ZONE: SectionId = SectionId { keyspace: KeyspaceId::DNS, partition: 1 };

    type Did = Action<u32, char>;

    /// A proposer without thread, state and raft.
    #[derive(Default)]
    struct World {
        turns: Turns<u32, char>,
        jobs: VecDeque<Job<u32, char>>,
        seen: Seen,
        /// What a drain comes to.
        drains: bool,
        /// Changes are staged, not only looked at.
        stages: bool,
        /// Changes of the open group.
        open: usize,
    }

    impl World {
        fn new(jobs: impl IntoIterator<Item = Job<u32, char>>) -> Self {
            Self { jobs: jobs.into_iter().collect(), drains: true, ..Self::default() }
        }

        /// All that is done until it waits for a job that is not there.
        fn run(&mut self) -> Vec<Did> {
            let mut done = Vec::new();
            loop {
                let action = self.turns.poll_action(|| self.seen);
                let input = match action {
                    Action::Wait => match self.jobs.pop_front() {
                        Some(job) => Some(Input::Job(job)),
                        None => return done,
                    },
                    Action::Take => Some(self.jobs.pop_front().map_or(Input::NoJob, Input::Job)),
                    Action::Drain => {
                        if self.drains {
                            self.seen.counts = Counts::default();
                        }
                        Some(Input::Drained(self.drains))
                    }
                    Action::Stage(_) => {
                        self.seen.counts.bulk += 1;
                        None
                    }
                    Action::Build(_) if self.stages => {
                        self.open += 1;
                        self.seen.counts.staged += 1;
                        Some(Input::Opened(self.open))
                    }
                    Action::Send => {
                        self.open = 0;
                        None
                    }
                    Action::Renew | Action::Build(_) | Action::Refuse(..) => None,
                };
                if let Some(input) = input {
                    self.turns.handle(input);
                }
                if !matches!(action, Action::Wait | Action::Take) {
                    done.push(action);
                }
            }
        }

        /// One change is on its way.
        fn stage(&mut self) -> u64 {
            let op = Op::Put { key: Key::new(vec![0, 1, 9]).unwrap(), value: Value::new(vec![1]).unwrap() };
            let mut batch = Batch { preconditions: vec![], sections: vec![Section { id: ZONE, ops: vec![op] }] };
            self.turns.pipeline.stage(&mut batch, |_| Ok::<_, Infallible>(Edition::ZERO)).unwrap()
        }
    }

    #[test]
    fn changes_go_first_and_bulk_when_nothing_else_is_there() {
        let mut world = World::new([Job::Bulk('a'), Job::Change(1), Job::Bulk('b'), Job::Change(2)]);
        let expected = [Action::Build(1), Action::Build(2), Action::Stage('a'), Action::Stage('b')];
        assert_eq!(world.run(), expected);
    }

    #[test]
    fn bulk_goes_a_few_chunks_at_a_time_and_the_next_when_one_has_landed() {
        let mut world = World::new("abcd".chars().map(Job::Bulk));
        assert_eq!(world.run(), [Action::Stage('a'), Action::Stage('b')]);
        world.jobs.push_back(Job::Landed);
        assert_eq!(world.run(), [], "it was another one");
        world.seen.counts.bulk = 1;
        world.jobs.push_back(Job::Landed);
        assert_eq!(world.run(), [Action::Stage('c')]);
        world.seen.counts.bulk = 0;
        world.jobs.extend([Job::Change(1), Job::Bulk('e')]);
        assert_eq!(world.run(), [Action::Build(1), Action::Stage('d'), Action::Stage('e')]);
    }

    #[test]
    fn bulk_has_its_turn_though_changes_come_without_end() {
        let mut world = World::new([Job::Bulk('a'), Job::Bulk('b'), Job::Bulk('c')]);
        world.seen.counts.bulk = 1;
        let changes = || (1..=200).map(Job::Change);
        world.jobs.extend(changes());
        let done = world.run();
        // Three of the first round were bulk.
        let first = u32::try_from(CHANGES_PER_CHUNK + 1).unwrap() - 3;
        let expected: Vec<Did> = (1..=first)
            .map(Action::Build)
            .chain([Action::Stage('a')])
            .chain((first + 1..=200).map(Action::Build))
            .collect();
        assert_eq!(done, expected);
    }

    #[test]
    fn a_change_alone_is_sent_before_anything_else_is_looked_for() {
        let mut world = World { stages: true, ..World::new([Job::Change(1)]) };
        assert_eq!(world.run(), [Action::Build(1), Action::Send]);
        // The group is sent at once, not when it turns out that no job is there.
        let mut turns = Turns::<u32, char>::default();
        turns.handle(Input::Job(Job::Change(1)));
        assert_eq!(turns.poll_action(Seen::default), Action::Build(1));
        turns.handle(Input::Opened(1));
        let seen = || Seen { counts: Counts { staged: 1, ..Counts::default() }, has_ended: false };
        assert_eq!(turns.poll_action(seen), Action::Send);
        assert_eq!(turns.poll_action(seen), Action::Take);
    }

    #[test]
    fn what_comes_while_something_is_with_raft_goes_together() {
        let mut world = World { stages: true, ..World::new((1..=300).map(Job::Change)) };
        let expected: Vec<Did> = [Action::Build(1), Action::Send]
            .into_iter()
            .chain((2..=300).map(Action::Build))
            .chain([Action::Send])
            .collect();
        assert_eq!(world.run(), expected);
        // With raft there is nothing any more: the first of them goes at once.
        world.seen.counts.staged = 0;
        world.jobs.extend([Job::Change(1), Job::Change(2)]);
        assert_eq!(world.run(), [Action::Build(1), Action::Send, Action::Build(2), Action::Send]);
    }

    #[test]
    fn an_open_group_goes_before_bulk_and_before_anything_is_waited_for() {
        let mut world = World { stages: true, ..World::new([Job::Change(1), Job::Change(2), Job::Bulk('a')]) };
        let expected = [Action::Build(1), Action::Send, Action::Build(2), Action::Send, Action::Stage('a')];
        assert_eq!(world.run(), expected);
        // A change failed while others were in the open group: what is staged must be sent, or it never lands.
        let mut turns = Turns::<u32, char>::default();
        let counts = Counts { staged: 2, ..Counts::default() };
        let [seen, failed] = [false, true].map(|has_failed| Counts { has_failed, ..counts });
        let [seen, failed] = [seen, failed].map(|counts| move || Seen { counts, has_ended: false });
        turns.handle(Input::Job(Job::Change(1)));
        assert_eq!(turns.poll_action(seen), Action::Build(1));
        turns.handle(Input::Opened(1));
        assert_eq!(turns.poll_action(seen), Action::Take);
        turns.handle(Input::Job(Job::Change(2)));
        assert_eq!(turns.poll_action(failed), Action::Send);
        assert_eq!(turns.poll_action(failed), Action::Drain);
        turns.handle(Input::Drained(true));
        assert_eq!(turns.poll_action(Seen::default), Action::Renew);
        assert_eq!(turns.poll_action(Seen::default), Action::Build(2));
    }

    #[test]
    fn what_has_landed_is_forgotten_before_the_next_is_built() {
        let mut world = World::new([]);
        let ticket = world.stage();
        world.jobs.push_back(Job::Change(1));
        assert_eq!(world.run(), [Action::Build(1)], "it is still on its way");
        world.seen.counts.answered = ticket;
        world.jobs.push_back(Job::Change(2));
        assert_eq!(world.run(), [Action::Renew, Action::Build(2)]);
        // Without a change, too: a view that nobody needs keeps old files on the disk.
        world.seen.counts.answered = world.stage();
        world.jobs.push_back(Job::Landed);
        assert_eq!(world.run(), [Action::Renew]);
    }

    #[test]
    fn after_a_failure_everything_lands_before_anything_is_built_or_staged() {
        let mut world = World::new([Job::Change(1), Job::Bulk('a')]);
        world.seen.counts.has_failed = true;
        assert_eq!(world.run(), [Action::Drain, Action::Renew, Action::Build(1), Action::Stage('a')]);
        world.seen.counts = Counts { has_failed: true, ..Counts::default() };
        world.jobs.push_back(Job::Bulk('b'));
        assert_eq!(world.run(), [Action::Drain, Action::Renew, Action::Stage('b')]);
    }

    #[test]
    fn what_does_not_land_makes_changes_come_again_and_bulk_wait() {
        let mut world = World::new([Job::Change(1), Job::Bulk('a')]);
        world.drains = false;
        world.seen.counts.has_failed = true;
        assert_eq!(world.run(), [Action::Drain, Action::Refuse(1, NotProposed::Busy), Action::Drain]);
        world.drains = true;
        world.jobs.push_back(Job::Landed);
        assert_eq!(world.run(), [Action::Drain, Action::Renew, Action::Stage('a')]);
    }

    #[test]
    fn a_failure_empties_the_pipeline_and_does_not_wait_for_lots() {
        let mut world = World::new([Job::Change(1)]);
        world.stage();
        let edition = |turns: &Turns<u32, char>| turns.pipeline.edition(ZONE, |_| Ok::<_, Infallible>(Edition::ZERO));
        assert_eq!(edition(&world.turns), Ok(Edition::new(1)));
        world.seen.counts.has_failed = true;
        assert_eq!(world.run(), [Action::Drain, Action::Renew, Action::Build(1)]);
        assert_eq!(edition(&world.turns), Ok(Edition::ZERO));
    }

    #[test]
    fn changes_for_a_lead_that_is_over_are_refused_at_once() {
        let mut world = World::new([Job::Change(1), Job::Change(2)]);
        world.seen.has_ended = true;
        world.seen.counts.bulk = BULK_AHEAD;
        world.seen.counts.has_failed = true;
        assert_eq!(world.run(), [Action::Refuse(1, NotProposed::Ended), Action::Refuse(2, NotProposed::Ended)]);
    }
}
