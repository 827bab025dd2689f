//! What takes the changes of a group back, for the last ones.
//!
//! A group is on record from its first publish on; every later write of one of its keys is, too, whoever makes it. The
//! state of a group after a revision is its present state with the inverses of all later changes applied, newest first.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde_bytes::ByteBuf;
use zonecast_kv_proto::{Op, Section, View};

use crate::draft::Difference;
use crate::layout::{delete_change, entry_section, group_key, header_key, inverse_key, inverse_range};
use crate::stored::{FORMAT, StoredChange, StoredGroup, StoredInverse, decode, find, put};
use crate::{GroupName, Keyspace, KeyspaceError, KeyspaceName, UserKey};

/// Changes of a group that can be taken back.
pub const KEPT_CHANGES: usize = 50;

/// Bytes of them, beside the last one.
const KEPT_BYTES: u64 = 64 * 1024 * 1024;

/// What a change of a group was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ChangeKind {
    /// Single keys were written.
    Keys = 0,
    /// The group was replaced.
    Published = 1,
    /// The group was made what it was before.
    RolledBack = 2,
}

/// Who changes something, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct By {
    /// Seconds of Unix time.
    pub time: u64,
    /// Name of a token, or nothing.
    pub name: String,
}

/// A change of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupChange {
    /// The revision of the keyspace that it made.
    pub revision: u64,
    /// What it was.
    pub kind: ChangeKind,
    /// Who made it, and when.
    pub by: By,
    /// Keys of the group that it put.
    pub puts: u64,
    /// Keys of the group that it deleted.
    pub deletes: u64,
}

/// What is on record of all changes of one write.
#[derive(Debug)]
pub(crate) struct Recorded<'r> {
    pub(crate) kind: ChangeKind,
    pub(crate) by: &'r By,
    pub(crate) revision: u64,
}

/// Groups that a write touches, and what it changes of each.
#[derive(Debug)]
pub(crate) struct GroupBook<'v, V: ?Sized> {
    view: &'v V,
    keyspace: Keyspace,
    groups: BTreeMap<GroupName, Option<StoredGroup>>,
    differences: BTreeMap<GroupName, Vec<Difference>>,
    /// A group that has a history from now on.
    new: Option<GroupName>,
}

impl ChangeKind {
    const ALL: [Self; 3] = [Self::Keys, Self::Published, Self::RolledBack];

    /// For people and programs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Published => "published",
            Self::RolledBack => "rolled-back",
        }
    }
}

impl<'v, V: View + ?Sized> GroupBook<'v, V> {
    /// `published` is a group that is on record from now on.
    pub(crate) fn new(view: &'v V, keyspace: &Keyspace, published: Option<&GroupName>) -> Result<Self, KeyspaceError> {
        let mut book =
            Self { view, keyspace: keyspace.clone(), groups: BTreeMap::new(), differences: BTreeMap::new(), new: None };
        if let Some(group) = published
            && book.look_up(group)?.is_none()
        {
            let stored = StoredGroup { format: FORMAT, floor: keyspace.revision, changes: vec![] };
            book.groups.insert(group.clone(), Some(stored));
            book.new = Some(group.clone());
        }
        Ok(book)
    }

    fn look_up(&mut self, group: &GroupName) -> Result<Option<&StoredGroup>, KeyspaceError> {
        if !self.groups.contains_key(group) {
            let found = find(self.view, &group_key(self.keyspace.id, group))?;
            self.groups.insert(group.clone(), found);
        }
        Ok(self.groups.get(group).and_then(Option::as_ref))
    }

    /// The group of a key, if it is on record.
    pub(crate) fn group_of(&mut self, key: &UserKey) -> Result<Option<GroupName>, KeyspaceError> {
        let Some(group) = key.group().and_then(|group| group.parse::<GroupName>().ok()) else { return Ok(None) };
        Ok(self.look_up(&group)?.is_some().then_some(group))
    }

    /// Whether a key of this group changes already.
    pub(crate) fn has(&self, group: &GroupName) -> bool {
        self.differences.contains_key(group)
    }

    pub(crate) fn note(&mut self, group: &GroupName, difference: Difference) {
        self.differences.entry(group.clone()).or_default().push(difference);
    }

    /// What is written where no key changes: that a group is on record.
    pub(crate) fn sections(self, keyspace: &Keyspace) -> Vec<Section> {
        let Self { new, groups, .. } = self;
        let stored = new.and_then(|new| Some((group_key(keyspace.id, &new), groups.get(&new)?.clone()?)));
        let section =
            |(key, group): (_, StoredGroup)| Section { id: entry_section(keyspace.id), ops: vec![put(key, &group)] };
        stored.map(section).into_iter().collect()
    }

    /// What is written of the groups that change.
    pub(crate) fn ops(self, recorded: &Recorded<'_>) -> Vec<Op> {
        let Self { keyspace, mut groups, mut differences, new, .. } = self;
        if let Some(new) = new {
            differences.entry(new).or_default();
        }
        let mut ops = Vec::new();
        for (name, differences) in differences {
            let Some(Some(mut stored)) = groups.remove(&name) else { continue };
            if !differences.is_empty() {
                add(&keyspace, &name, &mut stored, differences, recorded, &mut ops);
            }
            ops.push(put(group_key(keyspace.id, &name), &stored));
        }
        ops
    }
}

/// Adds a change to the history of a group, and forgets the oldest if there are many.
fn add(
    keyspace: &Keyspace,
    group: &GroupName,
    stored: &mut StoredGroup,
    differences: Vec<Difference>,
    Recorded { kind, by, revision }: &Recorded<'_>,
    ops: &mut Vec<Op>,
) {
    let puts = differences.iter().filter(|difference| difference.is_put).count() as u64;
    let deletes = differences.len() as u64 - puts;
    let header = StoredChange { format: FORMAT, kind: *kind as u8, time: by.time, by: by.name.clone(), puts, deletes };
    ops.push(put(header_key(keyspace.id, group, *revision), &header));
    let mut bytes = 0;
    for (number, Difference { key, before, .. }) in (0..).zip(differences) {
        bytes += (key.as_bytes().len() + before.as_ref().map_or(0, Vec::len)) as u64;
        let (key, before) = (ByteBuf::from(key.as_bytes()), before.map(ByteBuf::from));
        let inverse = StoredInverse { format: FORMAT, key, before };
        ops.push(put(inverse_key(keyspace.id, group, *revision, number), &inverse));
    }
    stored.changes.push((*revision, bytes));
    while is_too_much(&stored.changes) {
        let (oldest, _) = stored.changes.remove(0);
        stored.floor = oldest;
        ops.push(delete_change(keyspace.id, group, oldest));
    }
}

fn is_too_much(changes: &[(u64, u64)]) -> bool {
    let bytes = changes.iter().fold(0_u64, |sum, (_, bytes)| sum.saturating_add(*bytes));
    changes.len() > KEPT_CHANGES || (changes.len() > 1 && bytes > KEPT_BYTES)
}

/// The group on record.
pub(crate) fn stored_group(
    view: &(impl View + ?Sized),
    keyspace: &Keyspace,
    group: &GroupName,
) -> Result<StoredGroup, KeyspaceError> {
    find(view, &group_key(keyspace.id, group))?
        .ok_or_else(|| KeyspaceError::NoGroup { keyspace: keyspace.name.to_string(), group: group.to_string() })
}

/// The last changes of a group, newest first, at most `limit`.
///
/// # Errors
/// There is no such keyspace or group, or the store could not be read.
pub fn group_log(
    view: &(impl View + ?Sized),
    keyspace: &KeyspaceName,
    group: &GroupName,
    limit: usize,
) -> Result<Vec<GroupChange>, KeyspaceError> {
    let keyspace = Keyspace::find(view, keyspace)?;
    let stored = stored_group(view, &keyspace, group)?;
    let newest = stored.changes.iter().rev().take(limit);
    newest.map(|(revision, _)| change(view, &keyspace, group, *revision)).collect()
}

fn change(
    view: &(impl View + ?Sized),
    keyspace: &Keyspace,
    group: &GroupName,
    revision: u64,
) -> Result<GroupChange, KeyspaceError> {
    let damaged = |why: &str| KeyspaceError::Damaged { what: "the history of a group", why: why.into() };
    let stored: Option<StoredChange> = find(view, &header_key(keyspace.id, group, revision))?;
    let StoredChange { kind, time, by: name, puts, deletes, .. } = stored.ok_or_else(|| damaged("a change is gone"))?;
    let kind = ChangeKind::ALL.into_iter().find(|known| *known as u8 == kind);
    let kind = kind.ok_or_else(|| damaged("a change is of an unknown kind"))?;
    Ok(GroupChange { revision, kind, by: By { time, name }, puts, deletes })
}

/// What the keys of a group that have changed since were after this revision.
pub(crate) fn state_after(
    view: &(impl View + ?Sized),
    keyspace: &Keyspace,
    group: &GroupName,
    stored: &StoredGroup,
    revision: u64,
) -> Result<BTreeMap<UserKey, Option<Vec<u8>>>, KeyspaceError> {
    let mut state = BTreeMap::new();
    for (later, _) in stored.changes.iter().rev().take_while(|(later, _)| *later > revision) {
        let (start, end) = inverse_range(keyspace.id, group, *later);
        let mut failed = None;
        view.scan(start.as_bytes(), end.as_bytes(), &mut |_, value| match inverse(value) {
            Ok((key, before)) => {
                state.insert(key, before);
                ControlFlow::Continue(())
            }
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
    }
    Ok(state)
}

fn inverse(value: &[u8]) -> Result<(UserKey, Option<Vec<u8>>), KeyspaceError> {
    let StoredInverse { key, before, .. } = decode(value)?;
    Ok((UserKey::new(key.into_vec())?, before.map(ByteBuf::into_vec)))
}
