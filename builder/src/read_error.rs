//! Why present keys could not be read.

use thiserror::Error;
use zonecast_kv_proto::{DecodeError, Key, ViewError};
use zonecast_records::{DnsKeyError, Name, ValueError};

/// A store or a key that could not be read; never the fault of a change.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The store could not be read.
    #[error(transparent)]
    View(#[from] ViewError),
    /// There is no such zone.
    #[error("there is no zone {0}")]
    NoZone(Box<Name>),
    /// A key is not a valid DNS key: the store is damaged.
    #[error("key {} is damaged: {source}", .key.escape_ascii())]
    Key {
        /// The bytes of the key.
        key: Vec<u8>,
        /// What is wrong with it.
        source: DnsKeyError,
    },
    /// A value does not fit its key: the store is damaged.
    #[error("value under {key:?} is damaged: {source}")]
    Value {
        /// The key of the value.
        key: Key,
        /// What is wrong with it.
        source: ValueError,
    },
    /// The inverse of a change is not a batch: the store is damaged.
    #[error("change under {key:?} is damaged: {source}")]
    Undo {
        /// The key of the change.
        key: Key,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// Counts of a zone contradict its keys: the store is damaged.
    #[error("counts of zone {0} are damaged")]
    Counts(Box<Name>),
}

impl ReadError {
    pub(crate) fn no_zone(apex: &Name) -> Self {
        Self::NoZone(Box::new(*apex))
    }

    pub(crate) fn counts(apex: &Name) -> Self {
        Self::Counts(Box::new(*apex))
    }

    pub(crate) fn value(key: &[u8], source: ValueError) -> Self {
        match Key::new(key.to_vec()) {
            Ok(key) => Self::Value { key, source },
            Err(_) => Self::Key { key: key.to_vec(), source: DnsKeyError::Short(key.len()) },
        }
    }
}
