//! What a caller asks of a zone, record by record.

use std::cmp::Ordering;

use domain::base::iana::Rtype;
use thiserror::Error;
use zonecast_kv_proto::MAX_BATCH_LEN;
use zonecast_records::Name;

use crate::finding::{Finding, Location, Oddity, Refused, Report, Rule};
use crate::node::Rr;
use crate::present::OwnedNode;
use crate::rdata::canonical_cmp;
use crate::read_error::ReadError;

/// One change. RDATA is uncompressed wire form. Deleting what is not there changes nothing.
///
/// A name keeps its letter case while it has records; a new one takes that of its first record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The record is in the zone, with this TTL and this letter case in its RDATA.
    Add {
        /// Owner.
        owner: Name,
        /// Type.
        rtype: Rtype,
        /// Seconds.
        ttl: u32,
        /// Data.
        rdata: Vec<u8>,
    },
    /// The RRset is exactly these records; without any it is deleted.
    Set {
        /// Owner.
        owner: Name,
        /// Type.
        rtype: Rtype,
        /// Seconds.
        ttl: u32,
        /// Data of each record.
        rdatas: Vec<Vec<u8>>,
    },
    /// The record is not in the zone, whatever its TTL.
    Delete {
        /// Owner.
        owner: Name,
        /// Type.
        rtype: Rtype,
        /// Data.
        rdata: Vec<u8>,
    },
    /// The RRset is not in the zone.
    DeleteRrset {
        /// Owner.
        owner: Name,
        /// Type.
        rtype: Rtype,
    },
    /// Nothing is at this name; what is beneath stays.
    DeleteName {
        /// Owner.
        owner: Name,
    },
    /// Nothing is at this name or beneath it. Not for the apex: that deletes a zone.
    DeleteSubtree {
        /// Topmost owner.
        owner: Name,
    },
    /// The records of this name are at another, beside what is there; what is beneath stays.
    Rename {
        /// Owner before.
        owner: Name,
        /// Owner afterwards.
        to: Box<Name>,
    },
}

/// The time of a change, as far as a serial can show it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SerialTime {
    /// Seconds of Unix time, modulo 2^32.
    pub unix: u32,
    /// The day in UTC as a number, `20261127`.
    pub date: u32,
}

/// Why changes were not turned into a batch.
#[derive(Debug, Error)]
pub enum ChangeError {
    /// The zone would break a rule.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The present keys could not be read, or there is no such zone.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A cut or DNAME comes or goes above too many names.
    #[error("the change moves more keys than a batch of {MAX_BATCH_LEN} bytes holds; import the zone as a whole")]
    TooLarge,
}

impl Change {
    /// The name it is about.
    #[must_use]
    pub fn owner(&self) -> &Name {
        match self {
            Self::Add { owner, .. }
            | Self::Set { owner, .. }
            | Self::Delete { owner, .. }
            | Self::DeleteRrset { owner, .. }
            | Self::DeleteName { owner }
            | Self::DeleteSubtree { owner }
            | Self::Rename { owner, .. } => owner,
        }
    }

    /// Does it to the records of its name, and of no other. `labels` spells the owner if the node is new.
    pub(crate) fn apply(&self, node: &mut OwnedNode, labels: &[u8], location: Location, report: &mut Report) {
        if node.rrs.is_empty() {
            node.owner = if labels.iter().any(u8::is_ascii_uppercase) { labels.to_vec() } else { Vec::new() };
        }
        let rr = |rtype, ttl, rdata: &Vec<u8>| Rr { rtype, ttl, rdata: rdata.clone(), location: Some(location) };
        let finding = |rtype, rule| Finding { owner: *self.owner(), rtype, location: Some(location), rule };
        match self {
            Self::Add { rtype, ttl, rdata, .. } => {
                remove(node, *rtype, rdata);
                node.rrs.push(rr(*rtype, *ttl, rdata));
            }
            Self::Set { rtype, ttl, rdatas, .. } => {
                node.rrs.retain(|rr| rr.rtype != *rtype);
                node.rrs.extend(rdatas.iter().map(|rdata| rr(*rtype, *ttl, rdata)));
            }
            Self::Delete { rtype, rdata, .. } => remove(node, *rtype, rdata),
            Self::DeleteRrset { rtype, .. } => node.rrs.retain(|rr| rr.rtype != *rtype),
            Self::DeleteName { .. } | Self::DeleteSubtree { .. } | Self::Rename { .. } => node.rrs.clear(),
        }
        let too_long = |rr: &Rr<Vec<u8>>| u16::try_from(rr.rdata.len()).is_err();
        if let Some(long) = node.rrs.iter().find(|rr| too_long(rr)) {
            let total = u64::try_from(long.rdata.len()).unwrap_or(u64::MAX);
            let finding = Finding {
                owner: *self.owner(),
                rtype: long.rtype,
                location: Some(location),
                rule: Rule::TooLarge(total),
            };
            report.refusals.push(finding);
            node.rrs.retain(|rr| !too_long(rr));
        }
        node.normalise(|gone| report.warnings.push(finding(gone.rtype, Oddity::Duplicate)));
    }
}

fn remove(node: &mut OwnedNode, rtype: Rtype, rdata: &[u8]) {
    node.rrs.retain(|rr| rr.rtype != rtype || canonical_cmp(rtype, &rr.rdata, rdata) != Ordering::Equal);
}
