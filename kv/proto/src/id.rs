//! The numbers and names that order and identify things, each a type of its own so that they cannot be mixed up.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! counter {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(u64);

        impl $name {
            /// Before the first.
            pub const ZERO: Self = Self(0);

            /// From its number on disk, on the wire or in a command line.
            #[must_use]
            pub const fn new(number: u64) -> Self {
                Self(number)
            }

            /// Its number on disk, on the wire and for people.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }

            /// The one after this, or `None` at the end of 64 bits.
            #[must_use]
            pub const fn next(self) -> Option<Self> {
                match self.0.checked_add(1) {
                    Some(number) => Some(Self(number)),
                    None => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

counter! {
    /// Dense number of every accepted batch, private ones included. Stays inside the core.
    Revision
}
counter! {
    /// Dense number of every batch with a published part: what edges, receipts and people talk about.
    Version
}
counter! {
    /// Raised when a backup is restored or a quorum is forced, so that two histories never share a position.
    Epoch
}
counter! {
    /// How many accepted batches have touched one section: the number preconditions compare.
    ///
    /// Unlike a revision it can be foretold for a section while earlier batches are still in flight, so changes to
    /// one busy zone are pipelined instead of costing one commit per round trip.
    Edition
}

/// Identity of one replicated store, drawn at random when it is created.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StoreId(u128);

impl StoreId {
    /// From 128 random bits.
    #[must_use]
    pub const fn new(bits: u128) -> Self {
        Self(bits)
    }

    /// The 128 bits.
    #[must_use]
    pub const fn get(self) -> u128 {
        self.0
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreId({self})")
    }
}

/// Drawn at random when a store is restored: it enters the chain, so that two restores of one backup never look alike.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RestoreId(u128);

impl RestoreId {
    /// From 128 random bits, not all of them 0.
    #[must_use]
    pub const fn new(bits: u128) -> Self {
        Self(bits)
    }

    /// The 128 bits.
    #[must_use]
    pub const fn get(self) -> u128 {
        self.0
    }
}

impl fmt::Display for RestoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for RestoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RestoreId({self})")
    }
}

/// A named part of the store. The first two bytes of every key, big-endian.
///
/// The highest bit says who may see it: clear is published to edges, set stays in the core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyspaceId(u16);

impl KeyspaceId {
    /// The DNS answers, published to every edge.
    pub const DNS: Self = Self(0x0001);
    /// Which certificates are revoked, published to every edge.
    pub const REVOKED: Self = Self(0x0002);
    /// Where every node sums up its copy, and what voters have come to; published to every edge.
    pub const VERIFIED: Self = Self(0x0004);
    /// Private data that the published keys do not hold.
    pub const CORE: Self = Self(0x8000);
    /// Which nodes are waited for; private.
    pub const NODES: Self = Self(0x8001);
    /// Who may ask the API for what, and which core imports its zone files; private.
    pub const ACCESS: Self = Self(0x8002);

    /// From its number.
    #[must_use]
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Whether edges hold it.
    #[must_use]
    pub const fn is_published(self) -> bool {
        self.0 & 0x8000 == 0
    }
}
