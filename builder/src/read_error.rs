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
    /// A key that is none of ours: damage.
    #[error("key {} is damaged: {source}", .key.escape_ascii())]
    Key {
        /// Its bytes.
        key: Vec<u8>,
        /// What is wrong with it.
        source: DnsKeyError,
    },
    /// A value that is not what its key promises: damage.
    #[error("value under {key:?} is damaged: {source}")]
    Value {
        /// Where it stands.
        key: Key,
        /// What is wrong with it.
        source: ValueError,
    },
    /// What takes a change back is no batch: damage.
    #[error("change under {key:?} is damaged: {source}")]
    Undo {
        /// Where it stands.
        key: Key,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// Counts that the keys do not bear out: damage.
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
