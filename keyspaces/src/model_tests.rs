//! Random writes, publishes and rollbacks of two keyspaces, compared with plain maps.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use proptest::prelude::*;
use zonecast_kv_proto::{MAX_BATCH_LEN, MemoryView, SectionId};

use crate::*;

/// What a keyspace holds, as a plain map.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    keys: BTreeMap<Vec<u8>, (u64, Vec<u8>)>,
    revision: u64,
    /// What the group `g` was after each revision.
    past: BTreeMap<u64, BTreeMap<Vec<u8>, Vec<u8>>>,
    /// The revision from which on the group is on record.
    on_record: Option<u64>,
    last_of_group: Option<u64>,
}

const MAX_KEYS: u64 = 6;
const MAX_BYTES: u64 = 60;
const GROUP: &str = "g";

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<(usize, Condition)>, Vec<(usize, Option<Vec<u8>>)>),
    Publish(Vec<(usize, Vec<u8>)>, bool),
    RollBack(u64),
    Undo(u64),
}

/// Some in the group, some not.
const KEYS: [&[u8]; 6] = [b"a", b"g", b"g/1", b"g/2/x", b"g/\xff", b"h/1"];
const PATHS: [&[u8]; 4] = [b"1", b"2/x", b"\xff", b"new"];

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..12)
}

fn condition() -> impl Strategy<Value = Condition> {
    prop_oneof![
        Just(Condition::Absent),
        Just(Condition::Present),
        (0_u64..6).prop_map(Condition::Revision),
        value().prop_map(Condition::Value),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let compare = prop::collection::vec((0..KEYS.len(), condition()), 0..2);
    let writes = prop::collection::vec((0..KEYS.len(), prop::option::weighted(0.7, value())), 0..4);
    let files =
        prop::collection::btree_map(0..PATHS.len(), value(), 0..4).prop_map(|files| files.into_iter().collect());
    prop_oneof![
        3 => (prop::bool::weighted(0.3), compare, writes)
            .prop_map(|(compares, compare, writes)| Step::Commit(if compares { compare } else { vec![] }, writes)),
        2 => (files, prop::bool::weighted(0.7)).prop_map(|(files, allow)| Step::Publish(files, allow)),
        1 => (0_u64..12).prop_map(Step::RollBack),
        1 => (0_u64..12).prop_map(Step::Undo),
    ]
}

impl Model {
    fn group(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let of_group = self.keys.iter().filter(|(key, _)| key.starts_with(b"g/"));
        of_group.map(|(key, (_, value))| (key.clone(), value.clone())).collect()
    }

    fn bytes(&self) -> u64 {
        self.keys.iter().map(|(key, (_, value))| (key.len() + value.len()) as u64).sum()
    }

    /// Makes the keys so; refuses what is over a limit.
    fn write(&mut self, writes: &BTreeMap<Vec<u8>, Option<Vec<u8>>>) -> Result<bool, ()> {
        let mut next = self.clone();
        next.revision += 1;
        for (key, value) in writes {
            match value {
                Some(value) if self.keys.get(key).map(|(_, present)| present) == Some(value) => {}
                Some(value) => drop(next.keys.insert(key.clone(), (next.revision, value.clone()))),
                None => drop(next.keys.remove(key)),
            }
        }
        if next.keys == self.keys {
            return Ok(false);
        }
        let over = |would: u64, now: u64, limit: u64| would > limit && would > now;
        if over(next.keys.len() as u64, self.keys.len() as u64, MAX_KEYS) || over(next.bytes(), self.bytes(), MAX_BYTES)
        {
            return Err(());
        }
        if next.group() != self.group() && self.on_record.is_some() {
            next.last_of_group = Some(next.revision);
        }
        *self = next;
        Ok(true)
    }

    fn step(&mut self, step: &Step) -> Result<bool, ()> {
        let changed = self.done(step)?;
        self.past.insert(self.revision, self.group());
        Ok(changed)
    }

    fn done(&mut self, step: &Step) -> Result<bool, ()> {
        match step {
            Step::Commit(compare, writes) => {
                for (key, condition) in compare {
                    let present = self.keys.get(KEYS[*key]);
                    let holds = match condition {
                        Condition::Absent => present.is_none(),
                        Condition::Present => present.is_some(),
                        Condition::Revision(revision) => present.is_some_and(|(present, _)| present == revision),
                        Condition::Value(value) => present.is_some_and(|(_, present)| present == value),
                    };
                    if !holds {
                        return Err(());
                    }
                }
                self.write(&writes.iter().map(|(key, value)| (KEYS[*key].to_vec(), value.clone())).collect())
            }
            Step::Publish(files, allow) => {
                let mut writes: BTreeMap<_, _> = self.group().into_keys().map(|key| (key, None)).collect();
                for (path, value) in files {
                    writes.insert([b"g/", PATHS[*path]].concat(), Some(value.clone()));
                }
                let gone = writes.values().filter(|value| value.is_none()).count();
                if !allow && 2 * gone > self.group().len() {
                    return Err(());
                }
                let mut next = self.clone();
                let floor = *next.on_record.get_or_insert(self.revision);
                next.past.entry(floor).or_insert_with(|| self.group());
                let changed = next.write(&writes)?;
                *self = next;
                Ok(changed)
            }
            Step::RollBack(revision) => self.make(*revision),
            Step::Undo(revision) => {
                let mut next = self.clone();
                let changed = next.make(revision.saturating_sub(1))?;
                if changed && self.last_of_group != Some(*revision) {
                    return Err(());
                }
                *self = next;
                Ok(changed)
            }
        }
    }

    fn make(&mut self, revision: u64) -> Result<bool, ()> {
        let floor = self.on_record.ok_or(())?;
        if revision < floor || revision > self.revision {
            return Err(());
        }
        let (_, was) = self.past.range(..=revision).next_back().ok_or(())?;
        let mut writes: BTreeMap<_, _> = self.group().into_keys().map(|key| (key, None)).collect();
        writes.extend(was.iter().map(|(key, value)| (key.clone(), Some(value.clone()))));
        self.write(&writes)
    }
}

fn run(view: &MemoryView, name: &KeyspaceName, step: &Step) -> Result<Written, KeyspaceError> {
    let (group, by) = (GROUP.parse().unwrap(), By { time: 7, name: "ci".into() });
    match step {
        Step::Commit(compare, writes) => {
            let key = |key: usize| UserKey::new(KEYS[key]).unwrap();
            let compare =
                compare.iter().map(|(at, condition)| Comparison { key: key(*at), condition: condition.clone() });
            let writes = writes.iter().map(|(at, value)| match value {
                Some(value) => KeyWrite::Put { key: key(*at), value: value.clone() },
                None => KeyWrite::Delete { key: key(*at) },
            });
            commit(view, name, &Transaction { compare: compare.collect(), writes: writes.collect() }, &by)
        }
        Step::Publish(files, allow) => {
            let files = files.iter().map(|(path, value)| GroupFile { path: PATHS[*path].into(), value: value.clone() });
            let shrink = if *allow { Shrink::Allowed } else { Shrink::Share(50) };
            publish(view, name, &group, files.collect(), shrink, &by)
        }
        Step::RollBack(revision) => roll_back(view, name, &group, Target::After(*revision), &by),
        Step::Undo(revision) => roll_back(view, name, &group, Target::Undo(*revision), &by),
    }
}

fn content(view: &MemoryView, keyspace: &Keyspace) -> BTreeMap<Vec<u8>, (u64, Vec<u8>)> {
    let mut content = BTreeMap::new();
    let all = Page { prefix: b"", after: None };
    list(view, keyspace.id, all, &mut |key, value| {
        content.insert(key.to_vec(), (value.revision, value.content.to_vec()));
        ControlFlow::Continue(())
    })
    .unwrap();
    content
}

proptest! {
    /// Whatever the writes, a keyspace holds what a plain map would, within its limits, and another one sees nothing of it.
    #[test]
    fn a_keyspace_is_a_map_with_a_past(steps in prop::collection::vec((any::<bool>(), step()), 0..24)) {
        let mut view = MemoryView::new();
        let names: [KeyspaceName; 2] = ["rules", "secret"].map(|name| name.parse().unwrap());
        let mut models = [Model::default(), Model::default()];
        for (name, private) in names.iter().zip([false, true]) {
            let (max_keys, max_bytes) = (Some(MAX_KEYS), Some(MAX_BYTES));
            let settings = KeyspaceSettings { private: Some(private), max_keys, max_bytes, max_value: None };
            view.apply(&create(&view, name, settings).unwrap().batch);
        }
        for (second, step) in steps {
            let (name, model) = (&names[usize::from(second)], &mut models[usize::from(second)]);
            let (wanted, before) = (model.step(&step), view.clone());
            match (run(&view, name, &step), wanted) {
                (Ok(written), Ok(changed)) => {
                    prop_assert_eq!(written.changed, changed, "{:?}", step);
                    let published = written.batch.sections.iter().any(|section| section.id.keyspace.is_published());
                    prop_assert!(!(published && second), "a private keyspace is published: {:?}", written.batch);
                    prop_assert_eq!(published, changed && !second);
                    // Whose edition is required of the batch: limits and comparisons hold where it is applied, too.
                    let entry = SectionId { keyspace: CATALOG, partition: written.keyspace.id.get().into() };
                    let touches = written.batch.sections.iter().any(|section| section.id == entry);
                    prop_assert!(touches || written.batch.is_empty());
                    prop_assert!(written.batch.encode().unwrap().len() <= MAX_BATCH_LEN);
                    view.apply(&written.batch);
                }
                (Err(_), Err(())) => prop_assert_eq!(&before, &view),
                (done, wanted) => prop_assert!(false, "{step:?}: {done:?}, and the model says {wanted:?}"),
            }
            for (name, model) in names.iter().zip(&models) {
                let keyspace = Keyspace::find(&view, name).unwrap();
                prop_assert_eq!(content(&view, &keyspace), model.keys.clone());
                let counted = (keyspace.keys, keyspace.bytes, keyspace.revision);
                prop_assert_eq!(counted, (model.keys.len() as u64, model.bytes(), model.revision));
                let published = Published::find(&view, name).unwrap();
                let seen = (!keyspace.is_private()).then_some(Published { id: keyspace.id, revision: model.revision });
                prop_assert_eq!(published, seen);
            }
        }
        for name in &names {
            view.apply(&drop_keyspace(&view, name, true).unwrap().batch);
        }
        prop_assert_eq!(view.len(), 1, "something is left of a keyspace that is gone: {:?}", view);
    }

    /// Whatever stands in the store, a decoder says what is wrong and does not panic.
    #[test]
    fn damage_is_an_error(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = StoredValue::decode(&bytes);
        let mut view = MemoryView::new();
        let name: KeyspaceName = "rules".parse().unwrap();
        view.apply(&create(&view, &name, KeyspaceSettings::default()).unwrap().batch);
        let keys: Vec<Vec<u8>> = view.entries().map(|(key, _)| key.to_vec()).collect();
        for key in keys {
            let mut damaged = view.clone();
            damaged.insert(&key, &bytes);
            let _ = (Keyspace::find(&damaged, &name), keyspaces(&damaged), Published::find(&damaged, &name));
        }
    }
}

fn with_keyspace() -> (MemoryView, KeyspaceName) {
    let (mut view, name) = (MemoryView::new(), "rules".parse().unwrap());
    view.apply(&create(&view, &name, KeyspaceSettings::default()).unwrap().batch);
    (view, name)
}

fn file(path: &str, value: &[u8]) -> GroupFile {
    GroupFile { path: path.into(), value: value.into() }
}

#[test]
fn what_fits_no_version_is_refused_before_it_is_built() {
    let (mut view, name) = with_keyspace();
    let (group, by) = ("g".parse().unwrap(), By::default());
    let large = |fill: u8| (0..4).map(|number| file(&number.to_string(), &vec![fill; 1_000_000])).collect::<Vec<_>>();
    let publish_large =
        |view: &MemoryView, fill| publish(view, &name, &group, large(fill), Shrink::Allowed, &By::default());
    let written = publish_large(&view, 1).unwrap();
    assert!(written.batch.encode().unwrap().len() > 4_000_000);
    view.apply(&written.batch);
    let error = publish_large(&view, 2).unwrap_err();
    assert!(matches!(error, KeyspaceError::TooLarge(_)), "{error}");
    assert!(!publish_large(&view, 1).unwrap().changed, "only what differs counts");
    let mut one = large(1);
    one[2].value = vec![9; 1_000_000];
    let written = publish(&view, &name, &group, one, Shrink::Share(50), &by).unwrap();
    assert!(written.batch.encode().unwrap().len() < 2_100_000, "only what differs is written");
}

#[test]
fn many_groups_in_one_transaction_do_not_pass_the_limit_of_a_batch() {
    let (mut view, name) = with_keyspace();
    let by = By { time: u64::MAX, name: "n".repeat(250) };
    let mut writes = Vec::new();
    for number in 0..MAX_CHANGES {
        let group = format!("{number:060}");
        let key = UserKey::new(format!("{group}/a")).unwrap();
        view.apply(&publish(&view, &name, &group.parse().unwrap(), vec![], Shrink::Allowed, &by).unwrap().batch);
        writes.push(KeyWrite::Put { key, value: vec![1] });
    }
    match commit(&view, &name, &Transaction { compare: vec![], writes }, &by) {
        Ok(written) => drop(written.batch.encode().unwrap()),
        Err(error) => assert!(matches!(error, KeyspaceError::TooLarge(_)), "{error}"),
    }
}

#[test]
fn the_history_of_a_group_is_bounded_and_says_where_it_begins() {
    let (mut view, name) = with_keyspace();
    let (group, by): (GroupName, _) = ("g".parse().unwrap(), By { time: 9, name: "ci".into() });
    for number in 0..=KEPT_CHANGES {
        let files = vec![file("a", number.to_string().as_bytes())];
        view.apply(&publish(&view, &name, &group, files, Shrink::Share(50), &by).unwrap().batch);
    }
    let entries = view.len();
    let log = group_log(&view, &name, &group, usize::MAX).unwrap();
    assert_eq!((log.len(), log[0].revision, log[0].by.clone()), (KEPT_CHANGES, KEPT_CHANGES as u64 + 1, by.clone()));
    let oldest = log.last().unwrap().revision - 1;
    let error = roll_back(&view, &name, &group, Target::After(oldest - 1), &by).unwrap_err();
    assert_eq!(error, KeyspaceError::NotKept { group: "g".into(), from: oldest, to: KEPT_CHANGES as u64 + 1 });
    view.apply(&roll_back(&view, &name, &group, Target::After(oldest), &by).unwrap().batch);
    assert_eq!(view.len(), entries, "the oldest change went when the rollback came");
    let keyspace = Keyspace::find(&view, &name).unwrap();
    assert_eq!(content(&view, &keyspace)[&b"g/a"[..]].1, b"0");
}

#[test]
fn values_of_any_allowed_size_can_be_written_and_taken_back() {
    let (mut view, name) = with_keyspace();
    let (group, by) = ("g".parse().unwrap(), By::default());
    let path = "k".repeat(MAX_KEY_LEN - 2);
    for fill in [1, 2] {
        let files = vec![GroupFile { path: path.clone().into(), value: vec![fill; MAX_VALUE_LEN] }];
        view.apply(&publish(&view, &name, &group, files, Shrink::Share(50), &by).unwrap().batch);
    }
    view.apply(&roll_back(&view, &name, &group, Target::After(1), &by).unwrap().batch);
    let keyspace = Keyspace::find(&view, &name).unwrap();
    assert_eq!(content(&view, &keyspace).into_values().next().unwrap().1, vec![1; MAX_VALUE_LEN]);
    let error = publish(&view, &name, &group, vec![file("a", &vec![0; MAX_VALUE_LEN + 1])], Shrink::Allowed, &by);
    assert!(matches!(error.unwrap_err(), KeyspaceError::LongValue { .. }));
}

#[test]
fn a_publish_that_takes_most_of_a_group_away_is_held() {
    let (mut view, name) = with_keyspace();
    let (group, by) = ("g".parse().unwrap(), By::default());
    let files = |count: usize| (0..count).map(|number| file(&number.to_string(), b"x")).collect::<Vec<_>>();
    view.apply(&publish(&view, &name, &group, files(4), Shrink::Share(50), &by).unwrap().batch);
    for (left, is_held) in [(0, true), (1, true), (2, false), (3, false)] {
        let written = publish(&view, &name, &group, files(left), Shrink::Share(50), &by);
        assert_eq!(matches!(written, Err(KeyspaceError::Held { .. })), is_held, "{left}: {written:?}");
        assert!(publish(&view, &name, &group, files(left), Shrink::Allowed, &by).is_ok());
    }
    let undone = roll_back(&view, &name, &group, Target::After(0), &by).unwrap();
    assert!(undone.changed, "a rollback says where it goes, so it is not held");
}
