//! What must hold of a key for a transaction to be done.

use std::fmt;

use crate::UserKey;

/// A comparison of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The key that is looked at.
    pub key: UserKey,
    /// What must hold of it.
    pub condition: Condition,
}

/// What must hold of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// There is none.
    Absent,
    /// There is one, whatever its value.
    Present,
    /// Its last change has this revision.
    Revision(u64),
    /// It has this value.
    Value(Vec<u8>),
}

/// The present revision and content of a key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Present<'p> {
    pub(crate) revision: u64,
    pub(crate) content: &'p [u8],
}

impl Condition {
    pub(crate) fn holds(&self, present: Option<Present<'_>>) -> bool {
        match self {
            Self::Absent => present.is_none(),
            Self::Present => present.is_some(),
            Self::Revision(revision) => present.is_some_and(|present| present.revision == *revision),
            Self::Value(value) => present.is_some_and(|present| present.content == value),
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        match &self.condition {
            Condition::Absent => write!(f, "key {key} is to be absent"),
            Condition::Present => write!(f, "key {key} is to be there"),
            Condition::Revision(revision) => write!(f, "key {key} is to have revision {revision}"),
            Condition::Value(value) => write!(f, "key {key} is to have another value, of {} bytes", value.len()),
        }
    }
}
