//! Keyspaces beside DNS: their values, texts of users, and writes on a sound store and on a damaged one.

use std::ops::ControlFlow;
use std::sync::OnceLock;

use zonecast_keyspaces::{
    By, Comparison, Condition, GroupFile, GroupName, KeyWrite, Keyspace, KeyspaceChange, KeyspaceError, KeyspaceName,
    KeyspaceSettings, Page, Shrink, StoredValue, Target, Transaction, UserKey, commit, create, drop_keyspace, get,
    group_log, keyspaces, list, publish, roll_back,
};
use zonecast_kv_proto::{Batch, EncodedBatch, KeyspaceId, MemoryView, Position, Published, StoreId};

use super::answer::damage_all;

/// Some of the group, some not.
const KEYS: [&[u8]; 6] = [b"a", b"g", b"g/1", b"g/2/x", b"g/\xff", b"h/1"];
const PATHS: [&[u8]; 4] = [b"1", b"2/x", b"\xff", b"new"];
const NAMES: [&str; 2] = ["rules", "secret"];

/// The kind of a step that replaces a stored value.
const REPLACE: u8 = u8::MAX;

/// Steps of one input: more shows nothing new.
const MAX_STEPS: usize = 24;

/// A stored value, and the same bytes as a version that somebody watches.
pub(super) fn keyspace_values(bytes: &[u8]) {
    if let Ok(value) = StoredValue::decode(bytes) {
        assert!(value.content.len() <= bytes.len());
    }
    if let Ok(version) = Published::from_bytes(bytes) {
        watch(&version);
    }
    if let Ok(batch) = EncodedBatch::from_bytes(bytes) {
        let origin = Position::origin(StoreId::new(9));
        let version = Published::after(&origin, 1, batch.sections);
        version.iter().for_each(watch);
    }
}

fn watch(version: &Published) {
    for id in version.sections.iter().map(|section| section.id.keyspace) {
        for prefix in [&b""[..], b"g/"] {
            let Ok(change) = KeyspaceChange::of(version, id, prefix) else { continue };
            assert!(change.keys.iter().all(|changed| changed.key.starts_with(prefix)));
        }
    }
}

/// Names and keys as people write them.
pub(super) fn keyspace_names(bytes: &[u8]) {
    if let Ok(key) = UserKey::new(bytes) {
        assert_eq!(key.as_bytes(), bytes);
        assert!(!key.to_string().is_empty());
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let group = text.parse::<GroupName>();
    if let Ok(name) = &group {
        assert_eq!(name.as_str(), text);
        assert!(!text.contains(['/', '\0']));
    }
    match text.parse::<KeyspaceName>() {
        Ok(name) => assert_eq!((name.as_str(), group.is_ok()), (text, true)),
        Err(error) => assert!(!error.to_string().contains(['\n', '\0']), "{error}"),
    }
}

/// Edits of stored values as in `damaged_store`, up to one that is all zeros; then steps of three bytes each, some of which
/// put what follows them in place of a stored value.
pub(super) fn keyspace_store(bytes: &[u8]) {
    let mut view = store();
    let (mut steps, mut damaged) = damage_all(&mut view, bytes);
    for _ in 0..MAX_STEPS {
        let Some((step, rest)) = steps.split_first_chunk() else { break };
        steps = rest;
        if let [REPLACE, which, len] = step {
            let value = rest.get(..usize::from(*len)).unwrap_or(rest);
            steps = rest.get(value.len()..).unwrap_or_default();
            replace(&mut view, usize::from(*which), value);
            damaged = true;
            continue;
        }
        let Ok(batch) = done(&view, *step) else { continue };
        let encoded = batch.encode().expect("a batch that was built can be encoded");
        assert_eq!(EncodedBatch::from_bytes(&encoded.to_bytes()).expect("what was encoded decodes"), encoded);
        view.apply(&batch);
    }
    let counted = keyspaces(&view).map(|found| found.iter().all(|keyspace| read(&view, keyspace)));
    assert!(damaged || counted == Ok(true), "{counted:?}");
}

fn replace(view: &mut MemoryView, which: usize, value: &[u8]) {
    let key = view.entries().nth(which % view.len().max(1)).map(|(key, _)| key.to_vec());
    key.iter().for_each(|key| view.insert(key, value));
}

/// Reads all of a keyspace; says whether it is what its entry says.
fn read(view: &MemoryView, keyspace: &Keyspace) -> bool {
    let (mut keys, mut bytes) = (0, 0);
    let page = Page { prefix: b"", after: None };
    let listed = list(view, keyspace.id, page, &mut |key, value| {
        keys += 1;
        bytes += (key.len() + value.content.len()) as u64;
        ControlFlow::Continue(())
    });
    let mut value = Vec::new();
    let gets = KEYS.map(|key| get(view, keyspace.id, &user_key(key), &mut value).map(|found| found.is_some()));
    let log = group_log(view, &keyspace.name, &group(), 100);
    let published = zonecast_keyspaces::Published::find(view, &keyspace.name);
    let is_shown = |shown: Option<zonecast_keyspaces::Published>| {
        shown.map(|shown| (shown.id, shown.revision))
            == (!keyspace.is_private()).then_some((keyspace.id, keyspace.revision))
    };
    listed.is_ok()
        && gets.iter().all(Result::is_ok)
        && matches!(log, Ok(_) | Err(KeyspaceError::NoGroup { .. }))
        && published.is_ok_and(is_shown)
        && (keys, bytes) == (keyspace.keys, keyspace.bytes)
}

/// One write, as three bytes say it.
fn done(view: &MemoryView, [kind, one, two]: [u8; 3]) -> Result<Batch, KeyspaceError> {
    let name = keyspace_name(usize::from(kind >> 3));
    let by = By { time: 1, name: "fuzz".into() };
    let key = user_key(pick(&KEYS, one));
    let put = || KeyWrite::Put { key: key.clone(), value: vec![one; usize::from(two)] };
    let only = |write: KeyWrite| Transaction { compare: vec![], writes: vec![write] };
    let written = match kind % 8 {
        0 => commit(view, &name, &only(put()), &by),
        1 => commit(view, &name, &only(KeyWrite::Delete { key }), &by),
        2 => {
            let condition = match two % 4 {
                0 => Condition::Absent,
                1 => Condition::Present,
                2 => Condition::Revision(two.into()),
                _ => Condition::Value(vec![one; usize::from(two)]),
            };
            let compare = vec![Comparison { key: key.clone(), condition }];
            commit(view, &name, &Transaction { compare, writes: vec![put()] }, &by)
        }
        3 => publish(view, &name, &group(), files(one, two), shrink(kind), &by),
        4 => roll_back(view, &name, &group(), Target::After(one.into()), &by),
        5 => roll_back(view, &name, &group(), Target::Undo(one.into()), &by),
        6 => return create(view, &name, settings(kind, one, two)).map(|made| made.batch),
        _ => return drop_keyspace(view, &name, one > 127).map(|made| made.batch),
    };
    written.map(|written| written.batch)
}

fn files(which: u8, byte: u8) -> Vec<GroupFile> {
    let chosen = PATHS.iter().enumerate().filter(|(at, _)| which >> at & 1 == 1);
    chosen.map(|(_, path)| GroupFile { path: path.to_vec(), value: vec![byte; usize::from(byte >> 4)] }).collect()
}

fn shrink(kind: u8) -> Shrink {
    if kind > 127 { Shrink::Allowed } else { Shrink::Share(50) }
}

fn settings(kind: u8, one: u8, two: u8) -> KeyspaceSettings {
    let private = (kind > 127).then_some(two > 127);
    KeyspaceSettings { private, max_keys: Some(one.into()), max_bytes: Some(two.into()), max_value: Some(200) }
}

fn pick<'k>(keys: &[&'k [u8]], which: u8) -> &'k [u8] {
    keys.get(usize::from(which) % keys.len()).copied().unwrap_or_default()
}

fn user_key(bytes: &[u8]) -> UserKey {
    UserKey::new(bytes).expect("short and not empty")
}

fn group() -> GroupName {
    "g".parse().expect("a name")
}

fn keyspace_name(which: usize) -> KeyspaceName {
    NAMES.get(which % NAMES.len()).copied().unwrap_or_default().parse().expect("a name")
}

/// A published keyspace and a private one, with a group that has changed some times.
fn store() -> MemoryView {
    static STORE: OnceLock<MemoryView> = OnceLock::new();
    STORE.get_or_init(filled).clone()
}

fn filled() -> MemoryView {
    let mut view = MemoryView::new();
    let private = |private| KeyspaceSettings { private: Some(private), ..KeyspaceSettings::default() };
    for (which, private) in [private(false), private(true)].into_iter().enumerate() {
        let made = create(&view, &keyspace_name(which), private).expect("there is room");
        view.apply(&made.batch);
    }
    for step in STEPS.iter().flat_map(|[kind, one, two]| [[*kind, *one, *two], [*kind | 8, *one, *two]]) {
        let batch = done(&view, step).expect("all of these can be done");
        view.apply(&batch);
    }
    view
}

/// What has happened to both keyspaces before.
const STEPS: [[u8; 3]; 6] = [[0, 0, 3], [131, 7, 40], [131, 9, 80], [0, 3, 5], [1, 2, 0], [132, 3, 0]];

/// Stored values, and versions with them.
pub(super) fn value_seeds() -> Vec<Vec<u8>> {
    let view = store();
    let values = view.entries().map(|(_, value)| value.to_vec());
    let batch = done(&view, [131, 15, 200]).expect("there is room").encode().expect("small");
    let public = batch.sections.iter().filter(|section| section.id.keyspace.is_published()).cloned().collect();
    let version = Published::after(&Position::origin(StoreId::new(9)), 1, public).expect("the first version");
    let dropped = drop_keyspace(&view, &keyspace_name(0), true).expect("it is there").batch.encode().expect("small");
    let batches = [batch.to_bytes(), version.to_bytes(), dropped.to_bytes()];
    values.chain(batches.map(|bytes| bytes.to_vec())).collect()
}

/// Names, good ones and others.
pub(super) fn name_seeds() -> Vec<Vec<u8>> {
    let id = KeyspaceId::DNS.get().to_string();
    ["rules", "eu-1.rules_2", "dns", "-a", "A", "a/b", "ä", id.as_str()].map(|text| text.as_bytes().to_vec()).into()
}

/// Each kind of step on a sound store, and on one where one value is damaged.
pub(super) fn store_seeds() -> Vec<Vec<u8>> {
    let kinds = (0..=u8::MAX).step_by(5).map(|kind| vec![kind, kind.wrapping_mul(3), kind.wrapping_mul(7)]);
    let together: Vec<u8> = kinds.clone().flatten().collect();
    let steps = kinds.chain(together.chunks(3 * 12).map(<[u8]>::to_vec)).collect::<Vec<_>>();
    let sound = steps.iter().map(|steps| [&[0; 4], steps.as_slice()].concat());
    let damage = (0_u8..).flat_map(|at| [[at, 0, at / 2, 0x80], [at, 0, at, u8::MAX]]);
    let damaged = damage.zip(steps.iter().cycle()).take(64);
    let damaged = damaged.map(|(damage, steps)| [&damage[..], &[0; 4], steps].concat());
    sound.chain(damaged).chain(replacements(&together)).collect()
}

/// Each stored value with the largest number in place of its last byte, and steps that read it.
fn replacements(steps: &[u8]) -> Vec<Vec<u8>> {
    const LARGEST: [u8; 9] = [0xcf, 255, 255, 255, 255, 255, 255, 255, 255];
    let values: Vec<Vec<u8>> = store().entries().map(|(_, value)| value.to_vec()).collect();
    let replaced = (0_u8..).zip(values).filter_map(|(which, value)| {
        let value = [value.split_last()?.1, &LARGEST].concat();
        let step = [REPLACE, which, u8::try_from(value.len()).ok()?];
        Some([&[0; 4], &step[..], &value, steps].concat())
    });
    replaced.collect()
}
