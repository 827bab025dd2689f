//! What happened to one query, for metrics and tests.

use domain::base::iana::Rcode;

/// Reads that one answer took, each a get or a seek, of the store or of what is kept of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lookups {
    /// For the names of the answer, every hop of a chain anew.
    pub names: u16,
    /// For the SOA of negative answers.
    pub zones: u16,
    /// For additional data and glue.
    pub additional: u16,
    /// For what proves that something is not there.
    pub proofs: u16,
}

impl Lookups {
    /// All of them.
    #[must_use]
    pub fn total(self) -> u16 {
        self.names.saturating_add(self.zones).saturating_add(self.additional).saturating_add(self.proofs)
    }
}

/// Kinds of answers, by what they cost.
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
    /// A delegation.
    Referral,
    /// Not of our zones, or of another class.
    Refused,
    /// Damage, or a store that cannot be read: SERVFAIL.
    Failed,
    /// FORMERR, NOTIMP, BADVERS.
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

    /// As it stands in metrics.
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

/// What happened to one query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// Kind of answer.
    pub class: AnswerClass,
    /// RCODE of the header. BADVERS shows as NOERROR here, as in the header.
    pub rcode: Rcode,
    /// Whether TC is set.
    pub truncated: bool,
    /// What it cost.
    pub lookups: Lookups,
    /// Bytes of what the answer comes from, at the end of the name asked for, in wire form: that name itself, the
    /// delegation, the owner of a DNAME, what a wildcard stands below; the apex where there is no such name; 0 when it is
    /// in no zone of ours.
    pub source_len: u8,
    /// Whether the query shows a cookie that was given to its address, so that the address is the client's.
    pub address_proven: bool,
}

impl Outcome {
    /// Nothing is sent.
    pub(crate) const DROPPED: Self = Self::new(AnswerClass::Dropped, Rcode::NOERROR);

    /// An answer that took no reads, is whole and comes from no zone of ours: for a server that has made one itself.
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
