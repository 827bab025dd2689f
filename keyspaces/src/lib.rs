//! Keyspaces of users: keys and values beside DNS, for other configuration that takes the same way to the edges.
//!
//! ```text
//! names    0002 | name                      id and revision of a keyspace: where an edge begins     published
//! data     id   | key                       the value, and the revision of its last change          as the id says
//!
//! catalog  8002 | 00 | name                 id of a keyspace                                        private
//!          8002 | 01 | id                   its limits, what it holds, its revision
//!          8002 | 02                        where the search for a free id begins
//!          8002 | 03 | id | group           the changes of a group that can be taken back
//!          8002 | 04 | id | group | ...     those changes, with what takes each back
//! ```
//! The id says who may see a keyspace: its highest bit is set if it is private, as in every
//! [`KeyspaceId`](zonecast_kv_proto::KeyspaceId). So nothing has to be looked up to keep it from edges, and it stays so in
//! streams, snapshots, the batch log and backups.
//!
//! All functions are pure: they read a [`View`](zonecast_kv_proto::View) and return a batch. Every write of a keyspace
//! touches the section of its entry in the catalog. A batch requires the editions of the sections that it touches, so
//! limits and comparisons that held where it was built hold where it is applied.

mod catalog;
mod comparison;
mod draft;
mod error;
mod group;
mod group_history;
mod keyspace;
mod keyspace_change;
mod keyspace_name;
mod layout;
mod limits;
mod read;
mod selection;
mod stored;
mod transaction;
mod user_key;

#[cfg(test)]
mod model_tests;

pub use catalog::{Made, create, drop_keyspace, keyspaces};
pub use comparison::{Comparison, Condition};
pub use draft::Written;
pub use error::KeyspaceError;
pub use group::{GroupFile, Shrink, Target, publish, roll_back};
pub use group_history::{By, ChangeKind, GroupChange, KEPT_CHANGES, group_log};
pub use keyspace::{Keyspace, KeyspaceSettings};
pub use keyspace_change::{ChangedKey, KeyspaceChange};
pub use keyspace_name::{GroupName, KeyspaceName, MAX_NAME_LEN, NameError};
pub use layout::{CATALOG, NAMES};
pub use limits::{Limits, MAX_KEYSPACES, MAX_VALUE_LEN};
pub use read::{Listed, Page, Published, get, list};
pub use selection::{MAX_SELECTED, Selection, SelectionError};
pub use stored::StoredValue;
pub use transaction::{KeyWrite, MAX_CHANGES, Transaction, commit};
pub use user_key::{MAX_KEY_LEN, UserKey, UserKeyError};
