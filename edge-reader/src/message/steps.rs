//! What a step of a resolution becomes in a message: its section, AA, and TC where it does not fit.

use domain::base::iana::Rtype;
use zonecast_records::Name;

use crate::message::{MessageWriter, Section, WriteError};
use crate::resolution::{Damaged, Fit, Part, Sink, Step};

/// What a part is in a message.
impl Part {
    #[inline]
    const fn section(self) -> Section {
        match self {
            Self::Data | Self::Alias | Self::Dname => Section::Answer,
            Self::Negative | Self::Delegation | Self::Proof => Section::Authority,
            Self::Glue | Self::Address => Section::Additional,
        }
    }

    /// Whether the zone says it of itself, with authority; what comes beside it says nothing of that.
    #[inline]
    const fn is_authoritative(self) -> bool {
        matches!(self, Self::Data | Self::Alias | Self::Dname | Self::Negative)
    }

    /// Whether an answer without it is not whole, RFC 2181 section 9 and RFC 9471.
    #[inline]
    const fn is_required(self) -> bool {
        !matches!(self, Self::Address)
    }
}

impl Sink for MessageWriter<'_> {
    fn wants_proofs(&self) -> bool {
        self.dnssec_ok()
    }

    // Each caller knows the part: inlined, all that follows from it is decided when this is compiled. Left to itself the
    // compiler calls it, which costs 50 instructions of 2,700 for an answer with data.
    #[inline(always)]
    fn put(&mut self, step: Step<'_>) -> Result<Fit, Damaged> {
        let Step { part, owner, rtype, rrset } = step;
        self.authoritative |= part.is_authoritative();
        let written = self.rrset(part.section(), owner, rtype, rrset);
        self.fit(written, part.is_required())
    }

    fn put_synthesised(&mut self, from: &Name, to: &Name, ttl: u32) -> Result<Fit, Damaged> {
        let rdata = std::iter::once(to.as_wire());
        let written = self.records(Section::Answer, from.as_wire(), Rtype::CNAME, ttl, rdata);
        self.fit(written, true)
    }
}

impl MessageWriter<'_> {
    /// What was written, if it fit; what is required and did not makes the message truncated.
    fn fit(&mut self, written: Result<(), WriteError>, is_required: bool) -> Result<Fit, Damaged> {
        match written {
            Ok(()) => Ok(Fit::Whole),
            Err(WriteError::Full) => {
                self.truncated |= is_required;
                Ok(Fit::Full)
            }
            Err(WriteError::Damaged) => Err(Damaged),
        }
    }
}
