//! Why something is not done with a keyspace.

use thiserror::Error;
use zonecast_kv_proto::{MAX_BATCH_LEN, ViewError};

use crate::limits::MAX_KEYSPACES;
use crate::{Comparison, NameError, UserKey, UserKeyError};

/// Why something is not done with a keyspace. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyspaceError {
    /// There is none of this name.
    #[error("there is no keyspace {0}")]
    NoKeyspace(String),
    /// There is no such key.
    #[error("keyspace {keyspace} has no key {key}")]
    NoKey {
        /// The keyspace.
        keyspace: String,
        /// The key.
        key: UserKey,
    },
    /// Nothing was ever published under this name.
    #[error("keyspace {keyspace} has no group {group}")]
    NoGroup {
        /// The keyspace.
        keyspace: String,
        /// The group.
        group: String,
    },
    /// A comparison does not hold.
    #[error("{comparison}, but {}; nothing has changed", match present {
        Some(revision) => format!("it has revision {revision}"),
        None => "there is no such key".to_owned(),
    })]
    Compared {
        /// Which.
        comparison: Box<Comparison>,
        /// The present revision of the key.
        present: Option<u64>,
    },
    /// It has keys, and nobody said that they go, too.
    #[error("keyspace {keyspace} has {keys} keys; to drop it with them, say `with_keys=true` or `--with-keys`")]
    NotEmpty {
        /// The keyspace.
        keyspace: String,
        /// How many.
        keys: u64,
    },
    /// Who may see it cannot be changed.
    #[error("keyspace {0} is there already and is {now}; a keyspace stays published or private", now = if *.1 { "private" } else { "published" })]
    OtherPrivacy(String, bool),
    /// No more keyspaces.
    #[error("there are {MAX_KEYSPACES} keyspaces already")]
    TooMany,
    /// A limit of the keyspace.
    #[error("keyspace {keyspace} would have {would} {what}, and its limit is {limit}; nothing has changed")]
    OverLimit {
        /// The keyspace.
        keyspace: String,
        /// What is limited.
        what: &'static str,
        /// How much it would be.
        would: u64,
        /// The limit.
        limit: u64,
    },
    /// A value that the keyspace does not take.
    #[error(
        "the value of key {key} has {len} bytes, and the limit of keyspace {keyspace} is {limit}; nothing has changed"
    )]
    LongValue {
        /// The keyspace.
        keyspace: String,
        /// The key.
        key: UserKey,
        /// The length.
        len: usize,
        /// The limit.
        limit: u64,
    },
    /// More than one version holds.
    #[error(
        "the change has {0} bytes with what takes it back, and one version holds {MAX_BATCH_LEN}; nothing has changed: \
         change fewer keys at a time, or make a group several groups"
    )]
    TooLarge(usize),
    /// A group would lose most of its keys.
    #[error(
        "group {group} would lose {gone} of its {before} keys, and one publish may take away {share}% of them (`max_shrink`); \
         if that is meant, say so: `allow_shrink=true` in a request, `--allow-shrink` on a command line"
    )]
    Held {
        /// The group.
        group: String,
        /// How many keys go.
        gone: u64,
        /// How many there are.
        before: u64,
        /// How many of a hundred may go.
        share: u8,
    },
    /// A state of a group that is not known any more, or not yet.
    #[error("group {group} is known from revision {from} to {to}; `zonecast kv log` shows its changes")]
    NotKept {
        /// The group.
        group: String,
        /// The earliest revision whose state is known.
        from: u64,
        /// The present one.
        to: u64,
    },
    /// What is to be undone is not the last change.
    #[error("revision {asked} is not the last change of group {group}{}", match last {
        Some(last) => format!(", revision {last} is"),
        None => String::new(),
    })]
    NotLast {
        /// The group.
        group: String,
        /// What is to be undone.
        asked: u64,
        /// The last change.
        last: Option<u64>,
    },
    /// The request makes no sense.
    #[error("{0}")]
    Malformed(String),
    /// The store could not be read.
    #[error(transparent)]
    View(#[from] ViewError),
    /// A value that is not what it must be.
    #[error("{what} is damaged: {why}")]
    Damaged {
        /// What.
        what: &'static str,
        /// How.
        why: String,
    },
}

impl From<UserKeyError> for KeyspaceError {
    fn from(error: UserKeyError) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl From<NameError> for KeyspaceError {
    fn from(error: NameError) -> Self {
        Self::Malformed(error.to_string())
    }
}
