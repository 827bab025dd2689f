//! Keyspaces come, change their limits, and go.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use zonecast_kv_proto::{Batch, KeyspaceId, Op, Section, View};

use crate::layout::{
    FIRST_NUMBER, LAST_NUMBER, data_section, delete_all, delete_groups, directory_key, directory_section, entry_key,
    entry_range, entry_section, id, name_key, name_section, next_number_key, number,
};
use crate::limits::MAX_KEYSPACES;
use crate::stored::{FORMAT, StoredName, StoredNext, decode, find, put};
use crate::{Keyspace, KeyspaceError, KeyspaceName, KeyspaceSettings, Limits};

/// What a keyspace becomes, and how.
#[derive(Clone, Debug)]
pub struct Made {
    /// Empty if all is so already.
    pub batch: Batch,
    /// As it is then; of one that goes, as it was.
    pub keyspace: Keyspace,
}

/// Makes a keyspace, or changes the limits of one that is there.
///
/// # Errors
/// The limits make no sense, it is there and others may see it than is asked for, there are too many, or the store could
/// not be read.
pub fn create(
    view: &(impl View + ?Sized),
    name: &KeyspaceName,
    settings: KeyspaceSettings,
) -> Result<Made, KeyspaceError> {
    match Keyspace::look_up(view, name)? {
        Some(keyspace) => alter(keyspace, settings),
        None => make(view, name, settings),
    }
}

fn alter(keyspace: Keyspace, settings: KeyspaceSettings) -> Result<Made, KeyspaceError> {
    let is_private = keyspace.is_private();
    if settings.private.is_some_and(|private| private != is_private) {
        return Err(KeyspaceError::OtherPrivacy(keyspace.name.to_string(), is_private));
    }
    let limits = settings.over(keyspace.limits)?;
    if limits == keyspace.limits {
        return Ok(Made { batch: Batch::default(), keyspace });
    }
    let keyspace = Keyspace { limits, ..keyspace };
    Ok(Made { batch: batch(vec![Section { id: entry_section(keyspace.id), ops: vec![keyspace.put()] }]), keyspace })
}

fn make(view: &(impl View + ?Sized), name: &KeyspaceName, settings: KeyspaceSettings) -> Result<Made, KeyspaceError> {
    let limits = settings.over(Limits::default())?;
    let free = free_number(view)?;
    let id = id(free, settings.private.unwrap_or(false));
    let keyspace = Keyspace { name: name.clone(), id, limits, keys: 0, bytes: 0, revision: 0 };
    let next = StoredNext { format: FORMAT, number: after(free) };
    let directory = vec![put(directory_key(name), &stored_name(id, 0)), put(next_number_key(), &next)];
    let mut sections = vec![
        Section { id: directory_section(), ops: directory },
        Section { id: entry_section(id), ops: vec![keyspace.put()] },
    ];
    sections.extend(publish_name(&keyspace));
    Ok(Made { batch: batch(sections), keyspace })
}

/// Removes a keyspace with all its groups; with its keys only if that is said.
///
/// # Errors
/// There is none, it has keys, or the store could not be read.
pub fn drop_keyspace(view: &(impl View + ?Sized), name: &KeyspaceName, with_keys: bool) -> Result<Made, KeyspaceError> {
    let keyspace = Keyspace::find(view, name)?;
    if keyspace.keys > 0 && !with_keys {
        return Err(KeyspaceError::NotEmpty { keyspace: name.to_string(), keys: keyspace.keys });
    }
    let id = keyspace.id;
    let mut entry = vec![Op::Delete { key: entry_key(id) }];
    entry.extend(delete_groups(id));
    let mut sections = vec![
        Section { id: directory_section(), ops: vec![Op::Delete { key: directory_key(name) }] },
        Section { id: entry_section(id), ops: entry },
        Section { id: data_section(id), ops: vec![delete_all(id)] },
    ];
    if id.is_published() {
        sections.push(Section { id: name_section(id), ops: vec![Op::Delete { key: name_key(name) }] });
    }
    Ok(Made { batch: batch(sections), keyspace })
}

/// All keyspaces in the store of a core, by id.
///
/// # Errors
/// The store could not be read.
pub fn keyspaces(view: &(impl View + ?Sized)) -> Result<Vec<Keyspace>, KeyspaceError> {
    let (start, end) = entry_range();
    let (mut found, mut failed) = (Vec::new(), None);
    view.scan(start.as_bytes(), end.as_bytes(), &mut |key, value| match entry(key, value) {
        Ok(keyspace) => {
            found.push(keyspace);
            ControlFlow::Continue(())
        }
        Err(error) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
    })?;
    failed.map_or(Ok(found), Err)
}

/// What edges see of the name of a keyspace, if they see anything.
pub(crate) fn publish_name(keyspace: &Keyspace) -> Option<Section> {
    let Keyspace { name, id, revision, .. } = keyspace;
    let section = || Section { id: name_section(*id), ops: vec![put(name_key(name), &stored_name(*id, *revision))] };
    id.is_published().then(section)
}

fn stored_name(id: KeyspaceId, revision: u64) -> StoredName {
    StoredName { format: FORMAT, id: id.get(), revision }
}

fn entry(key: &[u8], value: &[u8]) -> Result<Keyspace, KeyspaceError> {
    let id = key.last_chunk().map(|id| KeyspaceId::new(u16::from_be_bytes(*id)));
    let id = id.ok_or(KeyspaceError::Damaged { what: "the catalog", why: "an entry has no id".into() })?;
    Keyspace::of(id, decode(value)?)
}

/// The next number that no keyspace has. A number is used again only after all others.
fn free_number(view: &(impl View + ?Sized)) -> Result<u16, KeyspaceError> {
    let taken: BTreeSet<u16> = keyspaces(view)?.iter().map(|keyspace| number(keyspace.id)).collect();
    if taken.len() >= MAX_KEYSPACES {
        return Err(KeyspaceError::TooMany);
    }
    let next: Option<StoredNext> = find(view, &next_number_key())?;
    let mut free = next.map_or(FIRST_NUMBER, |next| next.number.clamp(FIRST_NUMBER, LAST_NUMBER));
    while taken.contains(&free) {
        free = after(free);
    }
    Ok(free)
}

fn after(number: u16) -> u16 {
    if number >= LAST_NUMBER { FIRST_NUMBER } else { number + 1 }
}

/// Every section that a batch touches gets the precondition that nobody else has touched it where it is proposed.
pub(crate) fn batch(sections: Vec<Section>) -> Batch {
    Batch { preconditions: vec![], sections }
}

#[cfg(test)]
mod tests {
    use zonecast_kv_proto::MemoryView;

    use super::*;

    fn name(text: &str) -> KeyspaceName {
        text.parse().unwrap()
    }

    fn made(view: &mut MemoryView, text: &str, settings: KeyspaceSettings) -> Keyspace {
        let made = create(view, &name(text), settings).unwrap();
        view.apply(&made.batch);
        made.keyspace
    }

    const PRIVATE: KeyspaceSettings =
        KeyspaceSettings { private: Some(true), max_keys: None, max_bytes: None, max_value: None };

    #[test]
    fn a_keyspace_comes_changes_and_goes() {
        let mut view = MemoryView::new();
        let rules = made(&mut view, "rules", KeyspaceSettings::default());
        let secret = made(&mut view, "secret", PRIVATE);
        assert_eq!((rules.is_private(), secret.is_private()), (false, true));
        assert_eq!(keyspaces(&view).unwrap(), [rules.clone(), secret.clone()]);
        assert!(create(&view, &name("rules"), KeyspaceSettings::default()).unwrap().batch.is_empty());
        let error = create(&view, &name("rules"), PRIVATE).unwrap_err();
        assert_eq!(error, KeyspaceError::OtherPrivacy("rules".into(), false));
        let fewer = KeyspaceSettings { max_keys: Some(7), ..KeyspaceSettings::default() };
        assert_eq!(made(&mut view, "rules", fewer).limits, Limits { max_keys: 7, ..rules.limits });
        for limit in [0, u64::MAX] {
            let odd = KeyspaceSettings { max_value: Some(limit), ..KeyspaceSettings::default() };
            assert!(create(&view, &name("odd"), odd).is_err());
        }
        view.apply(&drop_keyspace(&view, &name("rules"), false).unwrap().batch);
        view.apply(&drop_keyspace(&view, &name("secret"), false).unwrap().batch);
        assert_eq!(drop_keyspace(&view, &name("rules"), false).unwrap_err(), KeyspaceError::NoKeyspace("rules".into()));
        assert_eq!(view.len(), 1, "only where the search for a free id begins: {view:?}");
    }

    #[test]
    fn an_id_is_used_again_only_after_all_others() {
        let mut view = MemoryView::new();
        let first = made(&mut view, "a", KeyspaceSettings::default());
        view.apply(&drop_keyspace(&view, &name("a"), false).unwrap().batch);
        assert_ne!(made(&mut view, "a", KeyspaceSettings::default()).id, first.id);
        let last = StoredNext { format: FORMAT, number: LAST_NUMBER };
        view.apply_op(&put(next_number_key(), &last));
        assert_eq!(number(made(&mut view, "b", KeyspaceSettings::default()).id), LAST_NUMBER);
        assert_eq!(made(&mut view, "c", KeyspaceSettings::default()).id, first.id);
        let again = made(&mut view, "d", KeyspaceSettings::default()).id;
        assert_eq!(number(again), FIRST_NUMBER + 2, "those that are taken are passed over");
    }

    #[test]
    fn nothing_of_a_private_keyspace_is_in_a_published_section() {
        let view = MemoryView::new();
        let made = create(&view, &name("secret"), PRIVATE).unwrap();
        assert!(made.batch.sections.iter().all(|section| !section.id.keyspace.is_published()), "{:?}", made.batch);
        let made = create(&view, &name("rules"), KeyspaceSettings::default()).unwrap();
        assert!(made.batch.sections.iter().any(|section| section.id.keyspace.is_published()));
    }
}
