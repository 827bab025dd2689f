//! Findings of the builder about a zone: errors that keep it from being served, and warnings.

use std::fmt;

use domain::base::iana::Rtype;
use thiserror::Error;
use zonecast_kv_proto::MAX_VALUE_LEN;
use zonecast_records::Name;

/// Most findings of each kind that are kept: enough for a person to work with, and a limit for a file full of errors.
pub const MAX_FINDINGS: usize = 100;

/// Where a record came from, in numbers that only the caller understands: a line, or the place in a list of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location(u32);

impl Location {
    /// From the caller's number.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The caller's number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// Something about the records of one type at one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding<R> {
    /// Owner of the records.
    pub owner: Name,
    /// The type of the records.
    pub rtype: Rtype,
    /// Where one of them came from, if it came from the caller.
    pub location: Option<Location>,
    /// The rule that the records break.
    pub rule: R,
}

impl<R: fmt::Display> fmt::Display for Finding<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.owner, self.rtype, self.rule)
    }
}

/// A rule whose breach keeps a zone from being served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum Rule {
    /// The owner of the record is not in the zone.
    #[error("the owner is not in the zone")]
    OutOfZone,
    /// RFC 1035 section 5.2.
    #[error("the zone has no SOA record at its apex")]
    NoSoa,
    /// RFC 1035 section 5.2.
    #[error("a zone has one SOA record, not several")]
    SeveralSoas,
    /// SOA at another name than the apex.
    #[error("a SOA record stands only at the apex of a zone")]
    SoaBelowApex,
    /// RFC 1034 section 4.2.1.
    #[error("the zone has no NS record at its apex")]
    NoNs,
    /// RFC 1034 section 3.6.2, RFC 2181 section 10.1.
    #[error("a name with a CNAME record has no other data")]
    CnameAndOther,
    /// RFC 2181 section 10.1.
    #[error("a name has one CNAME record, not several")]
    SeveralCnames,
    /// RFC 6672 section 2.4.
    #[error("a name has one DNAME record, not several")]
    SeveralDnames,
    /// The RRset with its RRSIGs, header, question and OPT.
    #[error("an answer of {0} bytes with this RRset is over the 65,535 of a message")]
    TooLarge(u64),
    /// In-domain glue that no referral can hold.
    #[error("in-domain glue of this delegation is over the 65,535 bytes of a message")]
    GlueTooLarge,
    /// What only the core keeps of one name, over the limit of a value.
    #[error(
        "records that are not served, RRSIG records over types that are not there, or TTLs of single records take over \
         {MAX_VALUE_LEN} bytes at this name"
    )]
    NodeTooLarge,
    /// NSEC3 parameters of more chains than the counts of a zone can hold.
    #[error("NSEC3 records of more than {} chains", crate::MAX_CHAINS)]
    TooManyChains,
    /// RFC 9276 section 3.2: validators take such proofs for none, and each of them costs much.
    #[error(
        "{0} NSEC3 iterations, and over {limit} nobody validates; sign the zone again, best with none",
        limit = zonecast_records::MAX_NSEC3_ITERATIONS
    )]
    Nsec3Iterations(u16),
    /// RFC 6895 section 3.1.
    #[error("this type is for queries, for messages or reserved, not for zones")]
    MetaType,
    /// Deleting everything at and beneath the apex.
    #[error("to delete the apex and all names below it is to delete the zone: delete the zone itself")]
    WholeZone,
    /// RFC 4035 section 2.2.
    #[error("the zone is signed, and this RRset changes without new RRSIG records")]
    Unsigned,
    /// Types that belong to the zone as a whole, or to DNSSEC.
    #[error("records of this type cannot be overridden or disabled")]
    NotLayered,
    /// RDATA that is not of its type.
    #[error("the data is not valid for this type")]
    Rdata,
}

/// A warning: the record is served, but is probably a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum Warning {
    /// RFC 2181 section 5.2.
    #[error("records of one RRset have several TTLs; the smallest is served")]
    MixedTtls,
    /// RFC 2181 section 5.
    #[error("a record occurs twice; one is kept")]
    Duplicate,
    /// Below a zone cut or DNAME, or at a cut and not of its types.
    #[error("a zone cut or DNAME above hides the record; it is kept, but never served")]
    Occluded,
    /// Left out, as was chosen.
    #[error("the owner is not in the zone; left out")]
    OutOfZone,
    /// Served all the same, as was chosen.
    #[error("the zone has no NS record at its apex; nobody can check a delegation to it")]
    NoNs,
    /// RFC 1034 section 4.3.2 step 2: the zone that is nearest to the name answers.
    #[error("the name belongs to another zone that is hosted here; the record is kept, but never served")]
    InAnotherZone,
    /// RFC 5890 section 2.3.2.1. Service instances (RFC 6763 section 4.1.1) may have them.
    #[error("letters outside ASCII in the owner name: clients query for its A-labels")]
    NotAscii,
    /// Hardly meant, and hardly ever asked for. Service instances may have spaces.
    #[error("white space or a control character in the owner name")]
    Blank,
    /// As [`Warning::NotAscii`], of a name that NS, CNAME, MX, SRV and the like lead to.
    #[error("letters outside ASCII in a name in the data: clients query for its A-labels")]
    TargetNotAscii,
    /// As [`Warning::Blank`].
    #[error("white space or a control character in a name in the data")]
    TargetBlank,
    /// A name server at or below the cut has no address in the zone.
    #[error("a name server below this delegation has no address here")]
    MissingGlue,
    /// RFC 4592 section 4.2.
    #[error("a delegation at a wildcard")]
    WildcardNs,
    /// DS at the apex or where no delegation is.
    #[error("a DS record without a delegation")]
    StrayDs,
    /// RFC 4035 section 2.2.
    #[error("an RRSIG over a type that the name does not have; it is kept, but never served")]
    OrphanSignature,
    /// An owner that is not a hash below the apex, or parameters of several chains at one owner.
    #[error("an NSEC3 record that belongs to no chain; it is kept, but never served")]
    StrayNsec3,
    /// A change to records that something is laid over.
    #[error("the record is in the zone, but an override is served in its place until it is restored")]
    Overridden,
    /// RFC 4035 section 5: what is laid over has no signature.
    #[error("overridden in a signed zone: validating resolvers will not take it")]
    OverrideInSigned,
    /// RFC 1982.
    #[error("the new serial is not after the old one; secondaries will not take it")]
    SerialBack,
}

/// A bounded list of findings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings<R> {
    kept: Vec<Finding<R>>,
    total: usize,
}

impl<R> Default for Findings<R> {
    fn default() -> Self {
        Self { kept: Vec::new(), total: 0 }
    }
}

impl<R> Findings<R> {
    pub(crate) fn push(&mut self, finding: Finding<R>) {
        self.total += 1;
        if self.kept.len() < MAX_FINDINGS {
            self.kept.push(finding);
        }
    }

    /// The same with another rule.
    pub(crate) fn extend_as<S>(&mut self, others: &Findings<S>, rule: R)
    where
        R: Copy,
    {
        for Finding { owner, rtype, location, .. } in &others.kept {
            self.push(Finding { owner: *owner, rtype: *rtype, location: *location, rule });
        }
        self.total += others.total - others.kept.len();
    }

    /// The first [`MAX_FINDINGS`].
    pub fn iter(&self) -> impl Iterator<Item = &Finding<R>> {
        self.kept.iter()
    }

    /// How many there were, kept or not.
    #[must_use]
    pub fn total(&self) -> usize {
        self.total
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }
}

/// A source that cannot be served, and why.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct Refused {
    /// The findings; there is at least one.
    pub findings: Findings<Rule>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.findings.kept.as_slice() {
            [] => f.write_str("refused"),
            [only] => only.fmt(f),
            [first, ..] => write!(f, "{first} (and {} more)", self.findings.total - 1),
        }
    }
}

/// What one build found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) refusals: Findings<Rule>,
    pub(crate) warnings: Findings<Warning>,
}

impl Report {
    /// The warnings, or the refusals if there are any.
    pub(crate) fn finish(self) -> Result<Findings<Warning>, Refused> {
        if self.refusals.is_empty() { Ok(self.warnings) } else { Err(Refused { findings: self.refusals }) }
    }
}
