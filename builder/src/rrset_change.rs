//! Changes of the RRsets of a zone.

use domain::base::iana::Rtype;
use zonecast_records::Name;

use crate::finding::{Finding, Location, Report, Warning};
use crate::layers::Layers;
use crate::node::{Node, Rr};

/// One change of an RRset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RrsetChange {
    /// The record is in the zone, with this TTL and this letter case in its RDATA.
    Add {
        /// Owner.
        owner: Name,
        /// Type.
        rtype: Rtype,
        /// The TTL in seconds.
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
        /// The TTL in seconds.
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
}

impl RrsetChange {
    /// The name it is about.
    #[must_use]
    pub fn owner(&self) -> &Name {
        match self {
            Self::Add { owner, .. }
            | Self::Set { owner, .. }
            | Self::Delete { owner, .. }
            | Self::DeleteRrset { owner, .. } => owner,
        }
    }

    /// Applies the change to the records of its name; warns when an override hides them.
    pub(crate) fn apply(&self, layers: &mut Layers<Vec<u8>>, location: Location, report: &mut Report) {
        if let Self::Add { owner, rtype, .. } | Self::Set { owner, rtype, .. } = self
            && layers.overrides.iter().any(|(other, _)| other == rtype)
        {
            let rule = Warning::Overridden;
            report.warnings.push(Finding { owner: *owner, rtype: *rtype, location: Some(location), rule });
        }
        match self {
            Self::Add { rtype, ttl, rdata, .. } => {
                layers.add(Rr { rtype: *rtype, ttl: *ttl, rdata: rdata.clone(), location: Some(location) });
            }
            Self::Set { owner, rtype, ttl, rdatas } => {
                layers.remove_type(*rtype);
                let set = once_each(owner, records(*rtype, *ttl, rdatas, location), report);
                layers.source.extend(set.into_iter().map(|rr| (rr, false)));
            }
            Self::Delete { rtype, rdata, .. } => layers.remove(*rtype, rdata),
            Self::DeleteRrset { rtype, .. } => layers.remove_type(*rtype),
        }
    }
}

/// Records of one type.
pub(crate) fn records(rtype: Rtype, ttl: u32, rdatas: &[Vec<u8>], location: Location) -> Vec<Rr<Vec<u8>>> {
    let rr = |rdata: &Vec<u8>| Rr { rtype, ttl, rdata: rdata.clone(), location: Some(location) };
    rdatas.iter().map(rr).collect()
}

/// Records of one type in order, each once; warns of what repeats.
pub(crate) fn once_each(owner: &Name, rrs: Vec<Rr<Vec<u8>>>, report: &mut Report) -> Vec<Rr<Vec<u8>>> {
    let mut node = Node { rrs, ..Node::default() };
    node.normalise(|gone| {
        let (rtype, location) = (gone.rtype, gone.location);
        report.warnings.push(Finding { owner: *owner, rtype, location, rule: Warning::Duplicate });
    });
    node.rrs
}
