//! One answer in the making: what all parts of the answer path share.

use domain::base::iana::Rtype;
use thiserror::Error;
use zonecast_records::{Name, Rrset};

use crate::message::{MessageWriter, Section, WriteError};
use crate::scratch::{Chain, Extra};
use crate::{FindError, Lookups, Reader, Zone};

/// Why an answer becomes SERVFAIL.
#[derive(Debug, Error)]
pub(crate) enum AnswerError {
    #[error(transparent)]
    Find(#[from] FindError),
    #[error("RDATA is damaged")]
    Rdata,
}

impl AnswerError {
    /// What makes no sense, if that is it.
    #[cold]
    pub(crate) fn damage(&self) -> Option<String> {
        match self {
            Self::Find(error) => error.damage(),
            Self::Rdata => Some(self.to_string()),
        }
    }
}

/// One answer in the making.
pub(crate) struct Answering<'a, 'w, V> {
    pub(crate) reader: &'a Reader<'a, V>,
    /// The zone that the name lies in.
    pub(crate) zone: Zone,
    /// Labels of the apex that the chain stays below.
    pub(crate) top: usize,
    /// The name where the chain has come to.
    pub(crate) name: &'a mut Name,
    pub(crate) rtype: Rtype,
    pub(crate) message: &'a mut MessageWriter<'w>,
    pub(crate) chain: &'a mut Chain,
    pub(crate) extra: &'a mut Extra,
    pub(crate) lookups: Lookups,
    pub(crate) steps: usize,
    /// Bytes of what the answer comes from, at the end of the name asked for.
    pub(crate) source_len: u8,
}

impl<V> Answering<'_, '_, V> {
    /// The apex, in the letter case of the name at hand.
    pub(crate) fn apex(&self) -> Name {
        self.name.suffix(self.zone.apex_labels)
    }

    pub(crate) fn is_in_zone(&self, name: &Name) -> bool {
        self.shares_suffix(name, self.zone.apex_labels)
    }

    /// Whether a name ends with as many labels as the name at hand does.
    pub(crate) fn shares_suffix(&self, name: &Name, labels: usize) -> bool {
        name.label_count() >= labels && name.suffix_wire(labels).eq_ignore_ascii_case(self.name.suffix_wire(labels))
    }
}

/// Writes an RRset that the answer is not whole without, and says whether it fit.
#[inline]
pub(crate) fn required(
    message: &mut MessageWriter<'_>,
    section: Section,
    owner: &[u8],
    (rtype, rrset): (Rtype, &Rrset<'_>),
) -> Result<bool, AnswerError> {
    let written = message.rrset(section, owner, rtype, rrset);
    truncating(message, written)
}

/// Whether what was written fit; else the message is truncated.
pub(crate) fn truncating(
    message: &mut MessageWriter<'_>,
    written: Result<(), WriteError>,
) -> Result<bool, AnswerError> {
    match written {
        Ok(()) => Ok(true),
        Err(WriteError::Full) => {
            message.truncated = true;
            Ok(false)
        }
        Err(WriteError::Damaged) => Err(AnswerError::Rdata),
    }
}
