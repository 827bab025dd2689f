//! Requests that are done once: the machine against a plain model, and what it keeps.

use std::collections::BTreeMap;
use std::convert::Infallible;

use proptest::prelude::*;

use crate::{
    Batch, Beside, Command, Commit, Edition, Effect, Epoch, Head, Idempotency, Key, KeyspaceId, MAX_NOTE_LEN, Note,
    Once, Op, Precondition, Refusal, RequestId, RequestKey, RequestLimits, RequestRecord, RestoreId, Section,
    SectionId, StoreId, Value,
};

const ZONE: SectionId = SectionId { keyspace: KeyspaceId::DNS, partition: 1 };
/// Milliseconds, in microseconds.
const MS: u64 = 1000;
const LIMITS: RequestLimits = RequestLimits { window_us: 10 * MS, tolerance_us: 3 * MS, records: 4, bytes: 10_000 };

/// A head, and what a store keeps beside it.
#[derive(Clone, Debug, PartialEq)]
struct Store {
    head: Head,
    edition: Edition,
    requests: BTreeMap<RequestId, RequestRecord>,
}

impl Beside for Store {
    type Error = Infallible;

    fn edition(&self, _: SectionId) -> Result<Edition, Infallible> {
        Ok(self.edition)
    }

    fn request(&self, id: &RequestId) -> Result<Option<RequestRecord>, Infallible> {
        Ok(self.requests.get(id).cloned())
    }

    fn requests(&self, from: &RequestId, most: usize) -> Result<Vec<(RequestId, RequestRecord)>, Infallible> {
        Ok(self.requests.range(from..).take(most).map(|(id, record)| (*id, record.clone())).collect())
    }
}

impl Store {
    fn new(limits: RequestLimits) -> Self {
        let mut store = Self { head: Head::default(), edition: Edition::ZERO, requests: BTreeMap::new() };
        store.apply(Command::Found { store: StoreId::new(7) });
        store.head.requests.limits = limits;
        store
    }

    fn apply(&mut self, command: Command) -> Effect {
        let mut head = self.head;
        let effect = head.apply(command, self).unwrap();
        self.head = head;
        if let Effect::Accepted(accepted) = &effect {
            self.edition = accepted.editions.last().map_or(self.edition, |(_, edition)| *edition);
            for id in &accepted.requests.gone {
                assert!(self.requests.remove(id).is_some(), "{id:?} goes twice");
            }
            if let Some((id, record)) = accepted.requests.new.clone().map(|new| *new) {
                assert!(self.requests.insert(id, record).is_none(), "{id:?} is done twice");
            }
        }
        effect
    }

    fn check(&self) {
        let kept = &self.head.requests;
        assert_eq!(kept.records, self.requests.len() as u64);
        assert_eq!(kept.bytes, self.requests.values().map(RequestRecord::size).sum::<u64>());
        assert!(self.requests.keys().all(|id| id.key.made_ms() >= kept.oldest_ms));
        assert!(kept.records <= kept.limits.records && kept.bytes <= kept.limits.bytes);
        assert_eq!(Head::from_bytes(&self.head.to_bytes()).unwrap(), self.head);
    }
}

fn asked(ms: u64, scope: u8, hash: u8) -> Idempotency {
    Idempotency { scope: [scope; 16], key: RequestKey::made_at(ms, 0), request_hash: [hash; 32] }
}

fn commit(time_us: u64, once: Option<Idempotency>, required: Option<u64>) -> Commit {
    commit_noting(time_us, once, required, 4)
}

fn commit_noting(time_us: u64, once: Option<Idempotency>, required: Option<u64>, note: usize) -> Commit {
    let note = Note::new(vec![7; note]).unwrap();
    let op = Op::Put { key: Key::new(vec![0, 1, 9]).unwrap(), value: Value::new(vec![1]).unwrap() };
    let required = required.map(|edition| Precondition { section: ZONE, edition: Edition::new(edition) });
    let batch =
        Batch { preconditions: required.into_iter().collect(), sections: vec![Section { id: ZONE, ops: vec![op] }] };
    let once = once.map(|idempotency| Once { idempotency, note });
    Commit { time_us, batch: batch.encode().unwrap(), once }
}

fn ask(store: &mut Store, time_us: u64, once: Idempotency) -> Effect {
    store.apply(Command::Batch(commit(time_us, Some(once), None)))
}

/// What is asked of a store.
#[derive(Clone, Debug)]
enum Asks {
    Change { at_ms: u64, once: Option<Idempotency>, required: Option<u64> },
    Restore,
}

fn asks() -> impl Strategy<Value = Asks> {
    let once = (0_u64..40, 0_u8..2, 0_u8..2).prop_map(|(ms, scope, hash)| asked(ms, scope, hash));
    // Keys made about when they are used, so that many are good; time goes back and forth.
    let change = (0_u64..40, prop::option::weighted(0.9, once), prop::option::weighted(0.2, 0_u64..8), any::<bool>())
        .prop_map(|(at_ms, once, required, is_near)| {
            let near = |once: Idempotency| Idempotency { key: RequestKey::made_at(at_ms, 0), ..once };
            Asks::Change { at_ms, once: once.map(|once| if is_near { near(once) } else { once }), required }
        });
    prop_oneof![30 => change, 1 => Just(Asks::Restore)]
}

/// What is known by someone who forgets nothing.
#[derive(Default)]
struct Model {
    time_us: u64,
    epoch: u64,
    edition: u64,
    done: Vec<(Idempotency, RequestRecord)>,
}

impl Model {
    /// Why nothing is done now, or what was done already.
    fn judge(&self, at_ms: u64, once: Option<Idempotency>, required: Option<u64>) -> Option<Effect> {
        let now_us = self.time_us.max(at_ms * MS);
        let is_old = |asked: &Idempotency| asked.key.made_us() + LIMITS.window_us < now_us;
        let refused = |refusal| Some(Effect::Refused(refusal));
        if let Some(asked) = once {
            if is_old(&asked) {
                return refused(Refusal::KeyTooOld);
            }
            if asked.key.made_us() > now_us + LIMITS.tolerance_us {
                return refused(Refusal::KeyFromFuture);
            }
            if let Some((first, record)) = self.done.iter().find(|(first, _)| first.id() == asked.id()) {
                return match record {
                    record if record.epoch.get() != self.epoch => refused(Refusal::KeyOfOtherEpoch(record.epoch)),
                    _ if first.request_hash != asked.request_hash => refused(Refusal::KeyReused),
                    record => Some(Effect::Repeated(record.clone())),
                };
            }
        }
        if let Some(edition) = required.filter(|edition| *edition != self.edition) {
            let required = Precondition { section: ZONE, edition: Edition::new(edition) };
            return refused(Refusal::Precondition { required, present: Edition::new(self.edition) });
        }
        let good = self.done.iter().filter(|(asked, _)| !is_old(asked)).count();
        (once.is_some() && good as u64 == LIMITS.records).then_some(Effect::Refused(Refusal::TooManyKeys))
    }
}

proptest! {
    /// Retries, reused and old keys, refused changes, time that jumps, restores: nothing is done twice, and each answer is
    /// that of someone who forgets nothing.
    #[test]
    fn a_request_is_done_once(asks in prop::collection::vec(asks(), 0..80)) {
        let (mut store, mut model) = (Store::new(LIMITS), Model::default());
        for ask in asks {
            let (at_ms, once, required) = match ask {
                Asks::Change { at_ms, once, required } => (at_ms, once, required),
                Asks::Restore => {
                    model.epoch += 1;
                    let (restore, epoch) = (RestoreId::new(1), Epoch::ZERO);
                    store.apply(Command::Fork { time_us: 0, restore, epoch });
                    continue;
                }
            };
            let before = store.clone();
            let effect = store.apply(Command::Batch(commit(at_ms * MS, once, required)));
            match model.judge(at_ms, once, required) {
                Some(expected) => {
                    prop_assert_eq!(effect, expected);
                    prop_assert_eq!(&store, &before);
                }
                None => {
                    let Effect::Accepted(accepted) = effect else { panic!("{effect:?}") };
                    (model.time_us, model.edition) = (accepted.time_us, model.edition + 1);
                    if let Some((id, record)) = accepted.requests.new.map(|new| *new) {
                        prop_assert_eq!((Some(id), record.version), (once.map(|once| once.id()), Some(store.head.position.version)));
                        prop_assert_eq!((record.revision, record.time_us), (accepted.revision, accepted.time_us));
                        model.done.push((once.unwrap(), record));
                    }
                }
            }
            store.check();
        }
    }
}

#[test]
fn the_answer_of_the_first_is_given_though_the_sections_have_moved_on() {
    let mut store = Store::new(LIMITS);
    let once = Some(asked(5, 1, 1));
    let first = store.apply(Command::Batch(commit(5 * MS, once, Some(0))));
    assert!(matches!(first, Effect::Accepted(_)));
    store.apply(Command::Batch(commit(6 * MS, None, None)));
    let Effect::Repeated(record) = store.apply(Command::Batch(commit(7 * MS, once, Some(0)))) else { panic!() };
    assert_eq!((record.revision.get(), record.time_us, &record.note[..]), (1, 5 * MS, &[7; 4][..]));
    assert_eq!(ask(&mut store, 7 * MS, asked(5, 1, 2)), Effect::Refused(Refusal::KeyReused));
    assert!(matches!(ask(&mut store, 7 * MS, asked(5, 2, 2)), Effect::Accepted(_)), "another scope");
}

#[test]
fn a_refused_change_leaves_its_key_unused() {
    let mut store = Store::new(LIMITS);
    let refused = store.apply(Command::Batch(commit(5 * MS, Some(asked(5, 1, 1)), Some(9))));
    assert!(matches!(refused, Effect::Refused(Refusal::Precondition { .. })));
    assert!(matches!(ask(&mut store, 5 * MS, asked(5, 1, 2)), Effect::Accepted(_)));
}

#[test]
fn records_are_removed_a_few_at_a_time_also_by_changes_without_a_key() {
    let mut store = Store::new(RequestLimits { records: 100, bytes: u64::MAX, ..LIMITS });
    for ms in 0..100 {
        assert!(matches!(ask(&mut store, 5 * MS, asked(ms % 7, u8::try_from(ms).unwrap(), 1)), Effect::Accepted(_)));
    }
    assert_eq!(ask(&mut store, 5 * MS, asked(5, 200, 1)), Effect::Refused(Refusal::TooManyKeys));
    for left in [84, 68, 52, 36, 20, 4, 0, 0] {
        store.apply(Command::Batch(commit(100 * MS, None, None)));
        assert_eq!(store.requests.len(), left);
        store.check();
    }
}

#[test]
fn the_largest_record_finds_room_where_old_ones_are_in_its_way() {
    let smallest = commit_noting(0, Some(asked(0, 0, 0)), None, 0);
    let mut store = Store::new(RequestLimits { bytes: 160 * 100, records: 1000, ..LIMITS });
    for scope in 0..100 {
        let once = Once { idempotency: asked(5, scope, 1), note: Note::default() };
        let effect = store.apply(Command::Batch(Commit { time_us: 5 * MS, once: Some(once), ..smallest.clone() }));
        assert!(matches!(effect, Effect::Accepted(_)));
    }
    assert_eq!(store.head.requests.bytes, 160 * 100);
    let largest = |at_ms, made_ms| commit_noting(at_ms * MS, Some(asked(made_ms, 255, 1)), None, MAX_NOTE_LEN);
    assert_eq!(store.apply(Command::Batch(largest(5, 5))), Effect::Refused(Refusal::TooManyKeys));
    assert!(matches!(store.apply(Command::Batch(largest(50, 50))), Effect::Accepted(_)));
    store.check();
}

#[test]
fn other_limits_are_kept_with_the_head() {
    let store = Store::new(LIMITS);
    assert_eq!(Head::from_bytes(&store.head.to_bytes()).unwrap().requests.limits, LIMITS);
    assert_eq!(Head::from_bytes(&Head::default().to_bytes()).unwrap().requests.limits, RequestLimits::default());
}

#[test]
fn other_limits_count_from_now_on_and_forget_nothing() {
    let mut store = Store::new(RequestLimits { records: 2, ..LIMITS });
    for number in 1..=2 {
        assert!(matches!(ask(&mut store, 5 * MS, asked(5, number, 1)), Effect::Accepted(_)));
    }
    assert_eq!(ask(&mut store, 5 * MS, asked(5, 3, 1)), Effect::Refused(Refusal::TooManyKeys));
    let limit = |store: &mut Store, records| {
        assert_eq!(store.apply(Command::LimitRequests { records, bytes: 10_000 }), Effect::Done);
    };
    limit(&mut store, 3);
    assert!(matches!(ask(&mut store, 5 * MS, asked(5, 3, 1)), Effect::Accepted(_)));
    limit(&mut store, 1);
    assert_eq!(store.requests.len(), 3);
    assert!(matches!(ask(&mut store, 5 * MS, asked(5, 1, 1)), Effect::Repeated(_)));
    assert_eq!(ask(&mut store, 5 * MS, asked(5, 4, 1)), Effect::Refused(Refusal::TooManyKeys));
    assert_eq!(store.head.requests.limits, RequestLimits { records: 1, ..LIMITS }, "the window stays");
    assert_eq!(Head::from_bytes(&store.head.to_bytes()).unwrap(), store.head);
}
