//! One record as the comparison sees it: names without case, RDATA in canonical form.

use std::fmt;

use domain::base::ToName;
use domain::base::iana::Rtype;
use domain::base::name::ParsedName;
use domain::base::rdata::{ComposeRecordData, ParseAnyRecordData};
use domain::base::record::ParsedRecord;
use domain::base::wire::ParseError;
use domain::dep::octseq::Parser;
use domain::rdata::AllRecordData;

/// An absolute name that owns its bytes.
pub type Name = domain::base::Name<Vec<u8>>;

/// A record whose equality is what RFC 2181 section 5 and RFC 4343 call the same record, TTL included.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rr {
    /// Owner in lower case.
    pub owner: Name,
    /// Type.
    pub rtype: Rtype,
    /// RDATA in the canonical form of RFC 4034 section 6.2.
    pub rdata: Vec<u8>,
    /// Seconds.
    pub ttl: u32,
}

impl Rr {
    /// From a message; `None` for the OPT pseudo-record.
    ///
    /// # Errors
    /// The RDATA is not what its type says.
    pub fn parse(record: &ParsedRecord<'_, [u8]>) -> Result<Option<Self>, ParseError> {
        if record.rtype() == Rtype::OPT {
            return Ok(None);
        }
        let mut owner: Name = record.owner().to_vec();
        owner.make_canonical();
        let ttl = record.ttl().as_secs();
        let data = record.to_any_record::<AllRecordData<_, ParsedName<_>>>()?;
        let mut rdata = Vec::new();
        data.data()
            .compose_canonical_rdata(&mut rdata)
            .map_err(|_| ParseError::form_error("RDATA cannot be composed"))?;
        Ok(Some(Self { owner, rtype: record.rtype(), rdata, ttl }))
    }

    /// The name that the RDATA of this type begins or ends with and that a resolver asks for next.
    #[must_use]
    pub fn target(&self) -> Option<Name> {
        let skip = match self.rtype {
            Rtype::NS | Rtype::CNAME | Rtype::DNAME | Rtype::PTR => 0,
            Rtype::MX | Rtype::SVCB | Rtype::HTTPS => 2,
            Rtype::SRV => 6,
            _ => return None,
        };
        let mut parser = Parser::from_ref(self.rdata.get(skip..)?);
        let mut name: Name = ParsedName::parse(&mut parser).ok()?.to_vec();
        name.make_canonical();
        Some(name)
    }
}

/// Presentation format, RFC 3597 for RDATA that `domain` does not know.
impl fmt::Display for Rr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} ", self.owner.fmt_with_dot(), self.ttl, self.rtype)?;
        let mut parser = Parser::from_ref(self.rdata.as_slice());
        match AllRecordData::<&[u8], ParsedName<&[u8]>>::parse_any_rdata(self.rtype, &mut parser) {
            Ok(data) => write!(f, "{data}"),
            Err(_) => write!(f, "\\# {} {:02x?}", self.rdata.len(), self.rdata),
        }
    }
}

impl fmt::Debug for Rr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
