//! Where everything stands: ids, keys of the store, sections. docs/format.md shows the same.

use bytes::Bytes;
use zonecast_kv_proto::{Key, KeyspaceId, Op, SectionId};

use crate::{GroupName, KeyspaceName, UserKey};

/// Names of published keyspaces; what edges find them by.
pub const NAMES: KeyspaceId = KeyspaceId::new(0x0003);

/// What the core knows of all keyspaces of users. Private.
pub const CATALOG: KeyspaceId = KeyspaceId::new(0x8003);

/// Set in the id of a private keyspace.
const PRIVATE: u16 = 0x8000;

/// The first number of a keyspace of a user; those below are ours.
pub(crate) const FIRST_NUMBER: u16 = 0x0100;

/// The last one: the range of its keys ends at the first key of the id after it, which must be one.
pub(crate) const LAST_NUMBER: u16 = 0x7ffe;

const BY_NAME: u8 = 0;
const BY_ID: u8 = 1;
const NEXT_NUMBER: u8 = 2;
const GROUPS: u8 = 3;
const CHANGES: u8 = 4;

/// In front of what describes a change, and of what takes it back.
const HEADER: u8 = 0;
const INVERSE: u8 = 1;

/// The id of the keyspace with this number.
pub(crate) fn id(number: u16, is_private: bool) -> KeyspaceId {
    KeyspaceId::new(if is_private { number | PRIVATE } else { number })
}

/// The number of a keyspace of a user.
pub(crate) fn number(id: KeyspaceId) -> u16 {
    id.get() & !PRIVATE
}

/// The section of everything that a keyspace holds.
pub(crate) fn data_section(id: KeyspaceId) -> SectionId {
    SectionId { keyspace: id, partition: 0 }
}

/// The section of the entry of a keyspace in the catalog, with its groups. Every write of the keyspace touches it.
pub(crate) fn entry_section(id: KeyspaceId) -> SectionId {
    SectionId { keyspace: CATALOG, partition: id.get().into() }
}

/// The section that every creation and removal of a keyspace touches.
pub(crate) fn directory_section() -> SectionId {
    SectionId { keyspace: CATALOG, partition: 0 }
}

/// The section of the name of a keyspace, as edges see it.
pub(crate) fn name_section(id: KeyspaceId) -> SectionId {
    SectionId { keyspace: NAMES, partition: id.get().into() }
}

fn key(parts: &[&[u8]]) -> Key {
    Key::new(Bytes::from(parts.concat())).expect("names, ids and keys of users leave room for what is in front")
}

fn bytes(id: KeyspaceId) -> [u8; 2] {
    id.get().to_be_bytes()
}

pub(crate) fn data_key(id: KeyspaceId, user: &UserKey) -> Key {
    key(&[&bytes(id), user.as_bytes()])
}

/// The first keys of all keys that begin so, and of what comes after them.
pub(crate) fn prefix_range(id: KeyspaceId, prefix: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let start = [&bytes(id), prefix].concat();
    let mut end = start.clone();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            break;
        }
    }
    (start, end)
}

/// Everything in a keyspace.
pub(crate) fn delete_all(id: KeyspaceId) -> Op {
    Op::DeleteRange { start: key(&[&bytes(id)]), end: key(&[&(id.get() + 1).to_be_bytes()]) }
}

pub(crate) fn name_key(name: &KeyspaceName) -> Key {
    key(&[&bytes(NAMES), name.as_str().as_bytes()])
}

pub(crate) fn directory_key(name: &KeyspaceName) -> Key {
    key(&[&bytes(CATALOG), &[BY_NAME], name.as_str().as_bytes()])
}

pub(crate) fn entry_key(id: KeyspaceId) -> Key {
    key(&[&bytes(CATALOG), &[BY_ID], &bytes(id)])
}

/// All entries.
pub(crate) fn entry_range() -> (Key, Key) {
    (key(&[&bytes(CATALOG), &[BY_ID]]), next_number_key())
}

pub(crate) fn next_number_key() -> Key {
    key(&[&bytes(CATALOG), &[NEXT_NUMBER]])
}

pub(crate) fn group_key(id: KeyspaceId, group: &GroupName) -> Key {
    key(&[&bytes(CATALOG), &[GROUPS], &bytes(id), group.as_str().as_bytes()])
}

fn change_key(id: KeyspaceId, group: &GroupName, revision: u64, rest: &[u8]) -> Key {
    key(&[&bytes(CATALOG), &[CHANGES], &bytes(id), group.as_str().as_bytes(), &[0], &revision.to_be_bytes(), rest])
}

pub(crate) fn header_key(id: KeyspaceId, group: &GroupName, revision: u64) -> Key {
    change_key(id, group, revision, &[HEADER])
}

pub(crate) fn inverse_key(id: KeyspaceId, group: &GroupName, revision: u64, number: u32) -> Key {
    change_key(id, group, revision, &[&[INVERSE][..], &number.to_be_bytes()].concat())
}

/// All that takes a change back.
pub(crate) fn inverse_range(id: KeyspaceId, group: &GroupName, revision: u64) -> (Key, Key) {
    (change_key(id, group, revision, &[INVERSE]), change_key(id, group, revision, &[INVERSE + 1]))
}

/// A change, and what takes it back.
pub(crate) fn delete_change(id: KeyspaceId, group: &GroupName, revision: u64) -> Op {
    Op::DeleteRange {
        start: change_key(id, group, revision, &[HEADER]),
        end: change_key(id, group, revision, &[INVERSE + 1]),
    }
}

/// All groups of a keyspace, and their changes.
pub(crate) fn delete_groups(id: KeyspaceId) -> [Op; 2] {
    [GROUPS, CHANGES].map(|part| {
        let next = (id.get() + 1).to_be_bytes();
        Op::DeleteRange {
            start: key(&[&bytes(CATALOG), &[part], &bytes(id)]),
            end: key(&[&bytes(CATALOG), &[part], &next]),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_sees_an_id_knows_whether_it_is_private() {
        for number_of in [FIRST_NUMBER, 0x0200, LAST_NUMBER] {
            assert!(id(number_of, false).is_published() && !id(number_of, true).is_published());
            assert_eq!([number(id(number_of, false)), number(id(number_of, true))], [number_of; 2]);
        }
        assert!(NAMES.is_published() && !CATALOG.is_published());
        // Every section of a private keyspace is of a private keyspace.
        let private = id(FIRST_NUMBER, true);
        for section in [data_section(private), entry_section(private), directory_section()] {
            assert!(!section.keyspace.is_published(), "{section:?}");
        }
    }

    #[test]
    fn a_range_has_what_begins_so_and_nothing_else() {
        let here = KeyspaceId::new(0x0100);
        assert_eq!(prefix_range(here, b""), (vec![1, 0], vec![1, 1]));
        assert_eq!(prefix_range(here, b"a/"), (b"\x01\0a/".to_vec(), b"\x01\0a0".to_vec()));
        assert_eq!(prefix_range(here, &[0xff, 0xff]), (vec![1, 0, 0xff, 0xff], vec![1, 1]));
        assert_eq!(prefix_range(KeyspaceId::new(0x01ff), b"").1, [2]);
    }

    #[test]
    fn ours_and_those_of_users_do_not_meet() {
        let ours = [KeyspaceId::DNS, NAMES, KeyspaceId::CORE, KeyspaceId::NODES, CATALOG];
        assert!(ours.iter().all(|ours| number(*ours) < FIRST_NUMBER));
    }
}
