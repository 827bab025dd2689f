//! What a resolution says, and who it says it to.

use domain::base::iana::Rtype;
use thiserror::Error;
use zonecast_records::{Name, Rrset};

/// What an RRset is in an answer. Which section it goes to and what happens when it does not fit follow from this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// What was asked for.
    Data,
    /// A CNAME on the way there.
    Alias,
    /// A DNAME on the way there; the CNAME that it makes follows.
    Dname,
    /// The SOA of a negative answer, RFC 2308 section 3.
    Negative,
    /// The NS set of a referral.
    Delegation,
    /// NSEC, NSEC3, or the DS set of a delegation.
    Proof,
    /// Addresses of name servers at or below a cut, without which a referral leads nowhere: RFC 9471.
    Glue,
    /// Addresses that spare the resolver a question.
    Address,
}

/// One RRset of an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step<'s> {
    pub(crate) part: Part,
    /// In wire form.
    pub(crate) owner: &'s [u8],
    pub(crate) rtype: Rtype,
    pub(crate) rrset: &'s Rrset<'s>,
}

/// Whether a step fits the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Fit {
    /// All of it is in the answer.
    Whole,
    /// Nothing of it is; what depends on it can be left out as well.
    Full,
}

/// Stored RDATA is not what its type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("RDATA is damaged")]
pub(crate) struct Damaged;

/// Takes the steps of an answer. There is one for messages and one for tests, both known to the compiler: a step costs
/// no call through a table.
pub(crate) trait Sink {
    /// Whether signatures and proofs are asked for: DO=1.
    fn wants_proofs(&self) -> bool;

    /// The next step.
    fn put(&mut self, step: Step<'_>) -> Result<Fit, Damaged>;

    /// The CNAME that a DNAME makes, from a name to where it leads.
    fn put_synthesised(&mut self, from: &Name, to: &Name, ttl: u32) -> Result<Fit, Damaged>;
}
