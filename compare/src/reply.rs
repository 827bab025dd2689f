//! A response taken apart for comparison.

use std::collections::BTreeSet;
use std::fmt;

use domain::base::iana::{OptRcode, Rcode, Rtype};
use domain::base::message::Message;
use domain::base::wire::ParseError;
use thiserror::Error;

use crate::Rr;

/// A response. Sections are sets, as RRsets are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// With the upper bits from OPT.
    pub rcode: OptRcode,
    /// Authoritative answer.
    pub aa: bool,
    /// Truncated.
    pub tc: bool,
    /// Answer section.
    pub answer: BTreeSet<Rr>,
    /// Authority section.
    pub authority: BTreeSet<Rr>,
    /// Additional section without OPT.
    pub additional: BTreeSet<Rr>,
    /// How many records stood in the message more than once.
    pub repeated: usize,
    /// Bytes on the wire.
    pub size: usize,
    /// Whether it has an OPT record.
    pub edns: bool,
    /// What an authoritative server does not say in its header, if it does.
    pub oddity: Option<&'static str>,
}

/// Why bytes are not a response to the query.
#[derive(Debug, Error)]
pub enum ReplyError {
    /// Not a DNS message.
    #[error("response is malformed: {0}")]
    Malformed(#[from] ParseError),
    /// Shorter than a header.
    #[error("response is shorter than a header")]
    Short,
    /// Something in the header or question that is wrong for this query.
    #[error("response has {0}")]
    Wrong(&'static str),
}

impl Reply {
    /// Reads a response and checks that it belongs to `query`: QR, id, opcode and the echoed question.
    ///
    /// # Errors
    /// It is malformed or does not belong to the query.
    pub fn parse(bytes: &[u8], query: &[u8]) -> Result<Self, ReplyError> {
        let message = Message::from_slice(bytes).map_err(|_| ReplyError::Short)?;
        let query = Message::from_slice(query).map_err(|_| ReplyError::Short)?;
        check_header(message, query)?;
        let mut repeated = 0;
        let mut read = |section| -> Result<BTreeSet<Rr>, ParseError> {
            let mut set = BTreeSet::new();
            let section: domain::base::message::RecordSection<'_, [u8]> = section;
            for record in section {
                if let Some(rr) = Rr::parse(&record?)?
                    && !set.insert(rr)
                {
                    repeated += 1;
                }
            }
            Ok(set)
        };
        let answer = read(message.answer()?)?;
        let authority = read(message.authority()?)?;
        let additional = read(message.additional()?)?;
        let header = message.header();
        Ok(Self {
            rcode: message.opt_rcode(),
            aa: header.aa(),
            tc: header.tc(),
            answer,
            authority,
            additional,
            repeated,
            size: bytes.len(),
            edns: message.opt().is_some(),
            oddity: oddity(message, query),
        })
    }

    /// Whether it refers to a zone below: NS and no SOA in authority, RFC 1034 section 4.3.2.
    #[must_use]
    pub fn is_referral(&self) -> bool {
        let has = |rtype| self.authority.iter().any(|rr| rr.rtype == rtype);
        has(Rtype::NS) && !has(Rtype::SOA) && self.rcode == OptRcode::NOERROR
    }

    /// What kind of answer it is, for counts.
    #[must_use]
    pub fn class(&self, qtype: Rtype) -> &'static str {
        let alias = self.answer.iter().any(|rr| rr.rtype == Rtype::CNAME || rr.rtype == Rtype::DNAME);
        match self.rcode.rcode() {
            _ if self.tc => "truncated",
            Rcode::REFUSED => "refused",
            Rcode::NXDOMAIN if alias => "alias to nothing",
            Rcode::NXDOMAIN => "nxdomain",
            Rcode::NOERROR if alias && qtype != Rtype::CNAME => "alias",
            Rcode::NOERROR if self.is_referral() => "referral",
            Rcode::NOERROR if self.answer.is_empty() => "nodata",
            Rcode::NOERROR => "positive",
            _ => "other",
        }
    }
}

fn check_header(message: &Message<[u8]>, query: &Message<[u8]>) -> Result<(), ReplyError> {
    let (header, asked) = (message.header(), query.header());
    let wrong = [
        (!header.qr(), "QR clear"),
        (header.opcode() != asked.opcode(), "another opcode"),
        (header.id() != asked.id(), "another id"),
    ];
    if let Some((_, what)) = wrong.into_iter().find(|(is, _)| *is) {
        return Err(ReplyError::Wrong(what));
    }
    let (Ok(echo), Ok(question)) = (message.sole_question(), query.sole_question()) else {
        return Err(ReplyError::Wrong("no question"));
    };
    let same_bytes = echo.qname().to_string() == question.qname().to_string();
    if !same_bytes || echo.qtype() != question.qtype() || echo.qclass() != question.qclass() {
        return Err(ReplyError::Wrong("another question"));
    }
    Ok(())
}

fn oddity(message: &Message<[u8]>, query: &Message<[u8]>) -> Option<&'static str> {
    let (header, asked) = (message.header(), query.header());
    let odd = [
        (header.rd() != asked.rd(), "RD not copied"),
        (header.ra(), "RA set by an authoritative server"),
        (header.ad(), "AD set by an authoritative server"),
        (header.z(), "the reserved bit set"),
        (message.opt().is_some() && query.opt().is_none(), "OPT though the query has none"),
    ];
    odd.into_iter().find(|(is, _)| *is).map(|(_, what)| what)
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flag = |set, name| if set { name } else { "" };
        write!(f, "{}{}{} {} bytes", self.rcode, flag(self.aa, " AA"), flag(self.tc, " TC"), self.size)?;
        let sections = [("answer", &self.answer), ("authority", &self.authority), ("additional", &self.additional)];
        for (name, records) in sections {
            const SHOWN: usize = 6;
            for rr in records.iter().take(SHOWN) {
                let line: String = rr.to_string().chars().take(160).collect();
                write!(f, "\n      {name}: {line}")?;
            }
            if let Some(more) = records.len().checked_sub(SHOWN + 1) {
                write!(f, "\n      {name}: and {} more", more + 1)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use domain::base::MessageBuilder;
    use domain::base::iana::Class;
    use domain::rdata::{A, Cname};

    use super::*;
    use crate::Name;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn query() -> Vec<u8> {
        let mut builder = MessageBuilder::new_vec();
        builder.header_mut().set_id(7);
        let mut builder = builder.question();
        builder.push((name("WwW.test."), Rtype::A, Class::IN)).unwrap();
        builder.finish()
    }

    fn response(asked: &str, id: u16, target: &str) -> Vec<u8> {
        let mut builder = MessageBuilder::new_vec();
        builder.header_mut().set_id(id);
        builder.header_mut().set_qr(true);
        let mut builder = builder.question();
        builder.push((name(asked), Rtype::A, Class::IN)).unwrap();
        let mut builder = builder.answer();
        builder.push((name(asked), 60, Cname::new(name(target)))).unwrap();
        builder.push((name(target), 60, A::from_octets(192, 0, 2, 1))).unwrap();
        builder.finish()
    }

    #[test]
    fn letter_case_makes_no_difference() {
        let one = Reply::parse(&response("WwW.test.", 7, "Host.test."), &query()).unwrap();
        let other = Reply::parse(&response("WwW.test.", 7, "hosT.TEST."), &query()).unwrap();
        assert_eq!(one, other);
        assert_eq!((one.answer.len(), one.class(Rtype::A)), (2, "alias"));
    }

    #[test]
    fn only_an_answer_to_the_query_counts() {
        for (asked, id) in [("www.test.", 7), ("WwW.test.", 8), ("other.test.", 7)] {
            assert!(
                matches!(Reply::parse(&response(asked, id, "a.test."), &query()), Err(ReplyError::Wrong(_))),
                "{asked} {id}"
            );
        }
        let whole = response("WwW.test.", 7, "a.test.");
        assert!(Reply::parse(&whole[..whole.len() - 1], &query()).is_err());
        assert!(Reply::parse(&query(), &query()).is_err(), "a query is no response");
    }
}
