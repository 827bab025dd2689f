//! Groups: keys that are replaced all at once, and made again what they were.

use std::ops::ControlFlow;

use zonecast_kv_proto::View;

use crate::draft::Draft;
use crate::group_history::{state_after, stored_group};
use crate::layout::prefix_range;
use crate::{By, ChangeKind, GroupName, Keyspace, KeyspaceError, KeyspaceName, MAX_CHANGES, UserKey, Written};

/// A key of a group, less the name of the group, and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupFile {
    /// What stands after `GROUP/`.
    pub path: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
}

/// How much of a group one publish may take away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shrink {
    /// All of it.
    Allowed,
    /// So many of a hundred of its keys.
    Share(u8),
}

/// Which state of a group is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The one after this revision.
    After(u64),
    /// The one before this revision, which must have been the last change of the group.
    Undo(u64),
}

/// Makes a group exactly these keys.
///
/// # Errors
/// There is no such keyspace, a path comes twice, much of the group would go, a limit is reached, or the store could not be
/// read.
pub fn publish(
    view: &(impl View + ?Sized),
    keyspace: &KeyspaceName,
    group: &GroupName,
    files: Vec<GroupFile>,
    shrink: Shrink,
    by: &By,
) -> Result<Written, KeyspaceError> {
    if files.len() > MAX_CHANGES {
        return Err(KeyspaceError::Malformed(format!("a group is published with at most {MAX_CHANGES} keys")));
    }
    let keyspace = Keyspace::find(view, keyspace)?;
    let mut draft = Draft::new(view, keyspace);
    let prefix = format!("{group}/").into_bytes();
    for GroupFile { path, value } in files {
        let key = UserKey::new([prefix.as_slice(), &path].concat())?;
        if path.is_empty() {
            return Err(KeyspaceError::Malformed(format!("a key of group {group} has no path")));
        }
        if draft.writes.insert(key.clone(), Some(value)).is_some() {
            return Err(KeyspaceError::Malformed(format!("key {key} comes twice")));
        }
    }
    let (mut before, mut gone) = (0, 0);
    for key in present_keys(view, &draft.keyspace, &prefix)? {
        before += 1;
        draft.writes.entry(key).or_insert_with(|| {
            gone += 1;
            None
        });
    }
    check_shrink(group, before, gone, shrink)?;
    draft.finish(ChangeKind::Published, by, Some(group))
}

/// Makes a group what it was.
///
/// # Errors
/// There is no such keyspace or group, that state is not known, what is to be undone is not the last change, a limit is
/// reached, or the store could not be read.
pub fn roll_back(
    view: &(impl View + ?Sized),
    keyspace: &KeyspaceName,
    group: &GroupName,
    target: Target,
    by: &By,
) -> Result<Written, KeyspaceError> {
    let keyspace = Keyspace::find(view, keyspace)?;
    let stored = stored_group(view, &keyspace, group)?;
    let last = stored.changes.last().map(|(revision, _)| *revision);
    let revision = match target {
        Target::After(revision) => revision,
        Target::Undo(revision) => revision.saturating_sub(1),
    };
    if revision < stored.floor || revision > keyspace.revision {
        let (group, from, to) = (group.to_string(), stored.floor, keyspace.revision);
        return Err(KeyspaceError::NotKept { group, from, to });
    }
    let writes = state_after(view, &keyspace, group, &stored, revision)?;
    let draft = Draft { view, keyspace, writes };
    let written = draft.finish(ChangeKind::RolledBack, by, None)?;
    // Whoever undoes the same twice, because it has heard no answer, finds it done.
    match target {
        Target::Undo(asked) if written.changed && last != Some(asked) => {
            Err(KeyspaceError::NotLast { group: group.to_string(), asked, last })
        }
        _ => Ok(written),
    }
}

fn present_keys(
    view: &(impl View + ?Sized),
    keyspace: &Keyspace,
    prefix: &[u8],
) -> Result<Vec<UserKey>, KeyspaceError> {
    let (start, end) = prefix_range(keyspace.id, prefix);
    let (mut keys, mut failed) = (Vec::new(), None);
    view.scan(&start, &end, &mut |key, _| match UserKey::new(key.get(2..).unwrap_or_default()) {
        Ok(key) => {
            keys.push(key);
            ControlFlow::Continue(())
        }
        Err(error) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
    })?;
    failed.map_or(Ok(keys), |error| Err(error.into()))
}

/// A publish of too few files, or from the wrong folder, is the common mistake.
fn check_shrink(group: &GroupName, before: u64, gone: u64, shrink: Shrink) -> Result<(), KeyspaceError> {
    match shrink {
        Shrink::Share(share) if u128::from(gone) * 100 > u128::from(before) * u128::from(share) => {
            Err(KeyspaceError::Held { group: group.to_string(), gone, before, share })
        }
        Shrink::Allowed | Shrink::Share(_) => Ok(()),
    }
}
