//! Changes to the records of a zone.

use domain::base::iana::Rtype;
use thiserror::Error;
use zonecast_kv_proto::MAX_BATCH_LEN;
use zonecast_records::Name;

use crate::finding::{Finding, Location, Refused, Report, Rule, Warning};
use crate::layers::{Layers, can_be_layered};
use crate::node::{Node, Rr};
use crate::present::OwnedNode;
use crate::read_error::ReadError;
use crate::undo::RememberError;

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
    /// The name has no records afterwards; names below it stay.
    DeleteName {
        /// Owner.
        owner: Name,
    },
    /// The name and all names below it have no records afterwards. Refused for the apex, where it would delete the
    /// zone.
    DeleteSubtree {
        /// Topmost owner.
        owner: Name,
    },
    /// These records are answered for this name and type instead of those of the zone; an empty list answers with no
    /// records. The override stays when the zone is replaced.
    Override {
        /// Owner.
        owner: Name,
        /// Type.
        rtype: Rtype,
        /// Seconds.
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
        /// Seconds.
        ttl: u32,
        /// Addresses of type A.
        a: Vec<Vec<u8>>,
        /// Addresses of type AAAA.
        aaaa: Vec<Vec<u8>>,
    },
    /// The records of this name move to another name, beside the records that are there. Names below it stay.
    Rename {
        /// Owner before.
        owner: Name,
        /// Owner afterwards.
        to: Box<Name>,
    },
}

/// The time of a change, for serials that contain it.
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
    /// The change adds or removes a cut or DNAME above too many names.
    #[error("the change moves more keys than a batch of {MAX_BATCH_LEN} bytes holds; import the zone as a whole")]
    TooLarge,
    /// The change and its inverse do not fit one batch: build a new generation instead, see
    /// [`RememberError::TooLarge`].
    #[error("the change and what takes it back do not fit one batch")]
    Beside,
}

impl From<RememberError> for ChangeError {
    fn from(error: RememberError) -> Self {
        match error {
            RememberError::Read(error) => error.into(),
            RememberError::TooLarge => Self::Beside,
        }
    }
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
            | Self::Override { owner, .. }
            | Self::Restore { owner, .. }
            | Self::Disable { owner, .. }
            | Self::Enable { owner, .. }
            | Self::Flatten { owner, .. }
            | Self::Rename { owner, .. } => owner,
        }
    }

    /// Does it to the records of its name, and of no other. `labels` spells the owner if the node is new.
    /// `flatten` says whether an alias at it stands for addresses.
    pub(crate) fn apply(
        &self,
        node: &mut OwnedNode,
        labels: &[u8],
        flatten: bool,
        location: Location,
        report: &mut Report,
    ) {
        if node.is_bare() {
            node.owner = if labels.iter().any(u8::is_ascii_uppercase) { labels.to_vec() } else { Vec::new() };
        }
        let rr = |rtype, ttl, rdata: &Vec<u8>| Rr { rtype, ttl, rdata: rdata.clone(), location: Some(location) };
        let finding = |rtype, rule| Finding { owner: *self.owner(), rtype, location: Some(location), rule };
        let owner = std::mem::take(&mut node.owner);
        let mut layers = Layers::of(std::mem::take(node));
        let is_overridden = |rtype: &Rtype| layers.overrides.iter().any(|(other, _)| other == rtype);
        match self {
            Self::Override { rtype, .. } | Self::Disable { rtype, .. } if !can_be_layered(*rtype) => {
                report.refusals.push(Finding {
                    owner: *self.owner(),
                    rtype: *rtype,
                    location: Some(location),
                    rule: Rule::NotLayered,
                });
            }
            Self::Add { rtype, .. } | Self::Set { rtype, .. } if is_overridden(rtype) => {
                report.warnings.push(finding(*rtype, Warning::Overridden));
            }
            _ => {}
        }
        let all = |rtype: Rtype, ttl, rdatas: &[Vec<u8>]| -> Vec<Rr<Vec<u8>>> {
            rdatas.iter().map(|rdata| rr(rtype, ttl, rdata)).collect()
        };
        let mut on_duplicate = |gone: &Rr<Vec<u8>>| report.warnings.push(finding(gone.rtype, Warning::Duplicate));
        match self {
            Self::Add { rtype, ttl, rdata, .. } => layers.add(rr(*rtype, *ttl, rdata)),
            Self::Set { rtype, ttl, rdatas, .. } => {
                layers.remove_type(*rtype);
                let set = normalised(all(*rtype, *ttl, rdatas), &mut on_duplicate);
                layers.source.extend(set.into_iter().map(|rr| (rr, false)));
            }
            Self::Delete { rtype, rdata, .. } => layers.remove(*rtype, rdata),
            Self::DeleteRrset { rtype, .. } => layers.remove_type(*rtype),
            Self::Override { rtype, ttl, rdatas, .. } => {
                layers.set_override(*rtype, normalised(all(*rtype, *ttl, rdatas), &mut on_duplicate));
            }
            Self::Flatten { ttl, a, aaaa, .. } => {
                let both = [(Rtype::A, a), (Rtype::AAAA, aaaa)];
                layers.addresses = both.into_iter().flat_map(|(rtype, rdatas)| all(rtype, *ttl, rdatas)).collect();
            }
            Self::Restore { rtype, .. } => layers.clear_override(*rtype),
            Self::Disable { rtype, rdata, .. } => layers.set_disabled(*rtype, rdata, true),
            Self::Enable { rtype, rdata, .. } => layers.set_disabled(*rtype, rdata, false),
            Self::DeleteName { .. } | Self::DeleteSubtree { .. } | Self::Rename { .. } => {
                layers = Layers::none();
            }
        }
        *node = layers.into_node(owner, flatten);
        let too_long = |rr: &Rr<Vec<u8>>| u16::try_from(rr.rdata.len()).is_err();
        if let Some(long) = node.rrs.iter().chain(node.aside.iter().map(|aside| &aside.rr)).find(|rr| too_long(rr)) {
            let total = u64::try_from(long.rdata.len()).unwrap_or(u64::MAX);
            let finding = Finding {
                owner: *self.owner(),
                rtype: long.rtype,
                location: Some(location),
                rule: Rule::TooLarge(total),
            };
            report.refusals.push(finding);
            node.rrs.retain(|rr| !too_long(rr));
            node.aside.retain(|aside| !too_long(&aside.rr));
        }
    }
}

/// Records of one type in order, each once.
fn normalised(rrs: Vec<Rr<Vec<u8>>>, on_duplicate: impl FnMut(&Rr<Vec<u8>>)) -> Vec<Rr<Vec<u8>>> {
    let mut node = Node { rrs, ..Node::default() };
    node.normalise(on_duplicate);
    node.rrs
}
