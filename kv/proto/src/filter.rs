//! What of a store a node holds, if it does not hold all of it.
//!
//! # Format
//! Positional MessagePack: `[1, keyspaces]`, the ids in ascending order. It is sent in a subscription, and kept beside
//! the copy that was made with it.
//!
//! # What a filter means
//! A node with a filter gets every version. The sections that its filter does not hold are left out of it, by their id and
//! the hash of their operations. So its positions are those of the whole store, and their chains prove that what the
//! filter holds is complete.

use thiserror::Error;

use crate::{KeyspaceId, SectionId, positional, read_whole};

const FORMAT: u8 = 1;

/// Most keyspaces of a filter: what a subscription has room for, a few times over.
pub const MAX_FILTER_KEYSPACES: usize = 1024;

/// The first key that is not published.
pub const PUBLISHED_END: &[u8] = &[0x80, 0];

/// The keyspaces that a node holds. Which certificates are revoked is always among them: every node must know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// In ascending order.
    keyspaces: Vec<KeyspaceId>,
}

positional! {
    #[derive(Debug, Default, PartialEq)]
    struct WireFilter {
        format: u8,
        keyspaces: Vec<KeyspaceId> where len <= MAX_FILTER_KEYSPACES,
    }
}

/// Why something is no filter.
#[derive(Debug, Error)]
pub enum FilterError {
    /// Not the MessagePack of a filter.
    #[error("not a filter: {0}")]
    Syntax(rmp_serde::decode::Error),
    /// A format this release does not know.
    #[error("filter format {0} is not known to this release")]
    Format(u8),
    /// Keyspaces that are not in ascending order, or without that of revoked certificates.
    #[error("the keyspaces of a filter are not in order, or the revoked certificates are not among them")]
    Order,
    /// A keyspace that no copy holds.
    #[error("keyspace {0:?} is private: nobody can follow it")]
    Private(KeyspaceId),
    /// More than [`MAX_FILTER_KEYSPACES`].
    #[error("a filter of {0} keyspaces is over the limit of {MAX_FILTER_KEYSPACES}")]
    Long(usize),
}

/// Keys from one up to another, which is not among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The first key.
    pub start: Vec<u8>,
    /// The first key behind it.
    pub end: Vec<u8>,
}

impl Filter {
    /// Of these keyspaces, and that of revoked certificates.
    ///
    /// # Errors
    /// One of them is private, or there are too many.
    pub fn new(keyspaces: impl IntoIterator<Item = KeyspaceId>) -> Result<Self, FilterError> {
        let mut keyspaces: Vec<KeyspaceId> = keyspaces.into_iter().chain([KeyspaceId::REVOKED]).collect();
        keyspaces.sort_unstable();
        keyspaces.dedup();
        Self { keyspaces }.checked()
    }

    /// Whether it holds a section.
    #[must_use]
    pub fn holds(&self, section: SectionId) -> bool {
        self.holds_keyspace(section.keyspace)
    }

    /// Whether it holds the keys of a keyspace.
    #[must_use]
    pub fn holds_keyspace(&self, keyspace: KeyspaceId) -> bool {
        self.keyspaces.binary_search(&keyspace).is_ok()
    }

    /// The keyspaces, in ascending order.
    #[must_use]
    pub fn keyspaces(&self) -> &[KeyspaceId] {
        &self.keyspaces
    }

    /// Whether it holds all that another one holds.
    #[must_use]
    pub fn includes(&self, other: &Self) -> bool {
        other.keyspaces.iter().all(|keyspace| self.holds_keyspace(*keyspace))
    }

    /// Whether who holds `own`, or all without a filter, can serve who wants `wanted`, or all.
    #[must_use]
    pub fn serves(own: Option<&Self>, wanted: Option<&Self>) -> bool {
        match (own, wanted) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own), Some(wanted)) => own.includes(wanted),
        }
    }

    /// All that is published and held, in ascending order; the whole without a filter.
    #[must_use]
    pub fn ranges(filter: Option<&Self>) -> Vec<KeyRange> {
        let Some(filter) = filter else { return vec![KeyRange { start: vec![], end: PUBLISHED_END.to_vec() }] };
        let range = |keyspace: &KeyspaceId| {
            let [start, end] = [keyspace.get(), keyspace.get() + 1].map(|number| number.to_be_bytes().to_vec());
            KeyRange { start, end }
        };
        filter.keyspaces.iter().map(range).collect()
    }

    /// As one byte string.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let wire = WireFilter { format: FORMAT, keyspaces: self.keyspaces.clone() };
        rmp_serde::to_vec(&wire).expect("plain data always encodes")
    }

    /// Back from [`Filter::to_bytes`].
    ///
    /// # Errors
    /// Not such bytes, or keyspaces that no filter may have.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FilterError> {
        let wire: WireFilter = read_whole(bytes).map_err(FilterError::Syntax)?;
        if wire.format != FORMAT {
            return Err(FilterError::Format(wire.format));
        }
        let is_ascending = wire.keyspaces.is_sorted_by(|one, next| one < next);
        if !is_ascending || !wire.keyspaces.contains(&KeyspaceId::REVOKED) {
            return Err(FilterError::Order);
        }
        Self { keyspaces: wire.keyspaces }.checked()
    }

    fn checked(self) -> Result<Self, FilterError> {
        match self.keyspaces.iter().find(|keyspace| !keyspace.is_published()) {
            Some(private) => Err(FilterError::Private(*private)),
            None if self.keyspaces.len() > MAX_FILTER_KEYSPACES => Err(FilterError::Long(self.keyspaces.len())),
            None => Ok(self),
        }
    }
}
