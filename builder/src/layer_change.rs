//! Changes of the layers over the records of a zone: overrides, disabled records, addresses for an alias.

use domain::base::iana::Rtype;
use zonecast_records::Name;

use crate::finding::{Finding, Location, Report, Rule};
use crate::layers::{Layers, can_be_layered};
use crate::rrset_change::{once_each, records};

/// One change of a layer. It leaves the records of the zone as they are; only the answers change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LayerChange {
    /// These records are answered for this name and type instead of those of the zone; an empty list answers with no
    /// records. The override stays when the zone is replaced.
    Override {
        /// Owner.
        owner: Name,
        /// Type.
        rtype: Rtype,
        /// The TTL in seconds.
        ttl: u32,
        /// Data of each record.
        rdatas: Vec<Vec<u8>>,
    },
    /// The records of the zone are answered again for this name and type.
    Restore {
        /// Owner.
        owner: Name,
        /// Type.
        rtype: Rtype,
    },
    /// The record stays in the zone but is not served, also after the zone is replaced.
    Disable {
        /// Owner.
        owner: Name,
        /// Type.
        rtype: Rtype,
        /// Data.
        rdata: Vec<u8>,
    },
    /// The record is served again.
    Enable {
        /// Owner.
        owner: Name,
        /// Type.
        rtype: Rtype,
        /// Data.
        rdata: Vec<u8>,
    },
    /// These addresses stand for the CNAME at this name, where the zone flattens it; else nothing changes. See
    /// [`flattened_build`](crate::flattened_build).
    Flatten {
        /// The apex.
        owner: Name,
        /// The TTL of the addresses in seconds.
        ttl: u32,
        /// Addresses of type A.
        a: Vec<Vec<u8>>,
        /// Addresses of type AAAA.
        aaaa: Vec<Vec<u8>>,
    },
}

impl LayerChange {
    /// The name it is about.
    #[must_use]
    pub fn owner(&self) -> &Name {
        match self {
            Self::Override { owner, .. }
            | Self::Restore { owner, .. }
            | Self::Disable { owner, .. }
            | Self::Enable { owner, .. }
            | Self::Flatten { owner, .. } => owner,
        }
    }

    /// Applies the change to the records and layers of its name.
    pub(crate) fn apply(&self, layers: &mut Layers<Vec<u8>>, location: Location, report: &mut Report) {
        if let Self::Override { owner, rtype, .. } | Self::Disable { owner, rtype, .. } = self
            && !can_be_layered(*rtype)
        {
            let rule = Rule::NotLayered;
            report.refusals.push(Finding { owner: *owner, rtype: *rtype, location: Some(location), rule });
        }
        match self {
            Self::Override { owner, rtype, ttl, rdatas } => {
                let rrs = once_each(owner, records(*rtype, *ttl, rdatas, location), report);
                layers.set_override(*rtype, rrs);
            }
            Self::Flatten { ttl, a, aaaa, .. } => {
                let both = [(Rtype::A, a), (Rtype::AAAA, aaaa)];
                layers.addresses =
                    both.into_iter().flat_map(|(rtype, rdatas)| records(rtype, *ttl, rdatas, location)).collect();
            }
            Self::Restore { rtype, .. } => layers.clear_override(*rtype),
            Self::Disable { rtype, rdata, .. } => layers.set_disabled(*rtype, rdata, true),
            Self::Enable { rtype, rdata, .. } => layers.set_disabled(*rtype, rdata, false),
        }
    }
}
