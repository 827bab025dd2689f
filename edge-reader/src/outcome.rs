//! The outcome of one query, for metrics, rate limiting and tests.

use domain::base::iana::Rcode;

/// Numbers of reads for one answer. Each is a get or a seek in the store or the hot cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lookups {
    /// Reads for the names of the answer, counted again for every hop of a chain.
    pub names: u16,
    /// Reads for the SOA of negative answers.
    pub zones: u16,
    /// Reads for additional data and glue.
    pub additional: u16,
    /// Reads for NSEC and NSEC3 proofs.
    pub proofs: u16,
}

impl Lookups {
    /// The sum of all reads.
    #[must_use]
    pub fn total(self) -> u16 {
        self.names.saturating_add(self.zones).saturating_add(self.additional).saturating_add(self.proofs)
    }
}

/// Kinds of answers, grouped by their cost in reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum AnswerClass {
    /// Data of the name asked.
    Positive,
    /// Data or no data from a wildcard.
    Wildcard,
    /// At least one step of CNAME or DNAME, whatever its end.
    Chain,
    /// The name exists, the type does not.
    NoData,
    /// The name does not exist.
    NxDomain,
    /// A referral to the name servers of a delegation.
    Referral,
    /// No hosted zone contains the name, or the class is not IN.
    Refused,
    /// The store is damaged or cannot be read: SERVFAIL.
    Failed,
    /// The query is refused with FORMERR, NOTIMP or BADVERS.
    Rejected,
    /// Not a query: nothing is sent.
    Dropped,
}

impl AnswerClass {
    /// Every class, in order.
    pub const ALL: [Self; 10] = [
        Self::Positive,
        Self::Wildcard,
        Self::Chain,
        Self::NoData,
        Self::NxDomain,
        Self::Referral,
        Self::Refused,
        Self::Failed,
        Self::Rejected,
        Self::Dropped,
    ];

    /// The label of this class in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Positive => "positive",
            Self::Wildcard => "wildcard",
            Self::Chain => "chain",
            Self::NoData => "nodata",
            Self::NxDomain => "nxdomain",
            Self::Referral => "referral",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::Dropped => "dropped",
        }
    }
}

/// The outcome of one query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// Kind of answer.
    pub class: AnswerClass,
    /// RCODE of the header. BADVERS shows as NOERROR here, as in the header.
    pub rcode: Rcode,
    /// Whether TC is set.
    pub truncated: bool,
    /// Reads that the answer took.
    pub lookups: Lookups,
    /// Length in wire form of the name that the answer comes from, which is a suffix of the queried name: the queried
    /// name itself, the delegation, the owner of the DNAME, the parent of the wildcard, or the apex if the name does
    /// not exist. 0 if no hosted zone contains the name.
    pub source_len: u8,
    /// Whether the query has a valid cookie for its source address, which proves that the address is not forged.
    pub address_proven: bool,
}

impl Outcome {
    /// Nothing is sent.
    pub(crate) const DROPPED: Self = Self::new(AnswerClass::Dropped, Rcode::NOERROR);

    /// The outcome of an answer that a server made itself: no reads, not truncated, and from no hosted zone.
    #[must_use]
    pub const fn new(class: AnswerClass, rcode: Rcode) -> Self {
        Self {
            class,
            rcode,
            truncated: false,
            lookups: Lookups { names: 0, zones: 0, additional: 0, proofs: 0 },
            source_len: 0,
            address_proven: false,
        }
    }

    /// Whether there is an answer to send.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        self.class != AnswerClass::Dropped
    }
}
