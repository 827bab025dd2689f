//! The result of a lookup of one name and type in a zone.

use domain::base::iana::Rtype;
use thiserror::Error;
use zonecast_kv_proto::ViewError;
use zonecast_records::{Cut, DnsKeyError, Rrset, ValueError};

/// The result of a lookup of one name and type: one step of RFC 1034 section 4.3.2. Depths are labels below the apex.
/// The enum is exhaustive and no case will be added, because a server must handle each case in its own way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Found<'s> {
    /// The RRset, or for ANY and RRSIG queries one that stands for all, RFC 8482.
    Data {
        /// Its type; RRSIG where `rrset`'s signatures are what was asked for.
        rtype: Rtype,
        /// The RRset that answers the query.
        rrset: Rrset<'s>,
        /// Depth of the closest encloser when the owner is made from the wildcard below it.
        wildcard: Option<usize>,
    },
    /// The name has a CNAME.
    Alias {
        /// The CNAME RRset.
        rrset: Rrset<'s>,
        /// Depth of the closest encloser when the owner is made from the wildcard below it.
        wildcard: Option<usize>,
    },
    /// A DNAME above the name.
    Dname {
        /// The DNAME RRset.
        rrset: Rrset<'s>,
        /// The depth of the owner of the DNAME.
        depth: usize,
    },
    /// A zone cut at or above the name.
    Cut {
        /// The delegation.
        cut: Cut<'s>,
        /// The depth of the owner of the NS set.
        depth: usize,
        /// Whether the zone has an NSEC record there.
        nsec: bool,
    },
    /// The name exists, the type does not.
    NoData {
        /// Depth of the closest encloser when it exists through the wildcard below it.
        wildcard: Option<usize>,
    },
    /// The name does not exist.
    NoName {
        /// Depth of its closest encloser.
        encloser: usize,
    },
}

impl Found<'_> {
    /// Depth of what it comes from, where that is above the name asked for: the delegation, the DNAME, what a wildcard
    /// stands below. Of no name it is the apex.
    pub(crate) fn source(&self) -> Option<usize> {
        match self {
            Self::Data { wildcard, .. } | Self::Alias { wildcard, .. } | Self::NoData { wildcard } => *wildcard,
            Self::Dname { depth, .. } | Self::Cut { depth, .. } => Some(*depth),
            Self::NoName { .. } => Some(0),
        }
    }
}

/// Why a name could not be looked up; an answer is then SERVFAIL.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FindError {
    /// The store could not be read.
    #[error(transparent)]
    View(#[from] ViewError),
    /// A stored value is damaged.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// A stored key is damaged.
    #[error(transparent)]
    Key(#[from] DnsKeyError),
    /// Stored values contradict each other.
    #[error("{0}")]
    Inconsistent(&'static str),
}

impl FindError {
    /// Describes the damage; `None` if the store could not be read, which the store itself reports.
    #[must_use]
    pub fn damage(&self) -> Option<String> {
        (!matches!(self, Self::View(_))).then(|| self.to_string())
    }
}
