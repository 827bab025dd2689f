//! Changes to the records of a zone.

use thiserror::Error;
use zonecast_kv_proto::MAX_BATCH_LEN;
use zonecast_records::Name;

use crate::finding::{Finding, Location, Refused, Report, Rule};
use crate::layer_change::LayerChange;
use crate::layers::Layers;
use crate::name_change::NameChange;
use crate::node::Rr;
use crate::present::OwnedNode;
use crate::read_error::ReadError;
use crate::rrset_change::RrsetChange;
use crate::undo::RememberError;

/// One change. RDATA is uncompressed wire form. Deleting what is not there changes nothing.
///
/// A name keeps its letter case while it has records; a new one takes that of its first record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A change of an RRset of the zone.
    Rrset(RrsetChange),
    /// A change of a layer over the records: override, disabled record, addresses for an alias.
    Layer(LayerChange),
    /// A change of all records of a name.
    Name(NameChange),
}

impl From<RrsetChange> for Change {
    fn from(change: RrsetChange) -> Self {
        Self::Rrset(change)
    }
}

impl From<LayerChange> for Change {
    fn from(change: LayerChange) -> Self {
        Self::Layer(change)
    }
}

impl From<NameChange> for Change {
    fn from(change: NameChange) -> Self {
        Self::Name(change)
    }
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
    #[error("the change and its inverse do not fit one batch")]
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
            Self::Rrset(change) => change.owner(),
            Self::Layer(change) => change.owner(),
            Self::Name(change) => change.owner(),
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
        let owner = std::mem::take(&mut node.owner);
        let mut layers = Layers::of(std::mem::take(node));
        match self {
            Self::Rrset(change) => change.apply(&mut layers, location, report),
            Self::Layer(change) => change.apply(&mut layers, location, report),
            Self::Name(_) => layers = Layers::none(),
        }
        *node = layers.into_node(owner, flatten);
        self.refuse_too_long(node, location, report);
    }

    /// Refuses records whose data does not fit a message, and takes them out of the node.
    fn refuse_too_long(&self, node: &mut OwnedNode, location: Location, report: &mut Report) {
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
