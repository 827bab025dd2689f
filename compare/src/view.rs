//! What of a reply matters to whoever compares two servers.

use std::collections::BTreeSet;

use domain::base::iana::Rtype;

use crate::{Question, Reply, Rr, ZoneData};

/// How much of what the RFCs leave open is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// What a resolver acts on. Left out is what servers may choose: NS in the authority section beside an answer (RFC
    /// 1034 section 4.3.2), what ANY and RRSIG queries get (RFC 8482), the serial, which moves, and how long it is kept that
    /// a name has no SOA, which BIND says is for no time at all.
    Meaning,
    /// Everything.
    Everything,
}

impl Strictness {
    /// Whether a question is asked at all.
    #[must_use]
    pub fn asks(self, question: &Question) -> bool {
        self == Self::Everything || !matches!(question.rtype, Rtype::ANY | Rtype::RRSIG)
    }

    /// Whether a question about a zone is asked. Left out is what nobody asks and servers disagree on: bytes 0 and above 127
    /// in names that the zone does not have, which are SERVFAIL at PowerDNS; and NSEC for an alias that has none, where some
    /// follow the alias and some do not.
    #[must_use]
    pub fn asks_about(self, zone: &ZoneData, question: &Question) -> bool {
        if self == Self::Everything {
            return true;
        }
        let types = zone.types_at(&question.name);
        let is_odd = question.name.iter().any(|label| label.as_slice().iter().any(|byte| matches!(byte, 0 | 128..)));
        let is_bare_alias = types.is_some_and(|types| types.contains(&Rtype::CNAME) && !types.contains(&Rtype::NSEC));
        self.asks(question) && !(is_odd && types.is_none()) && !(question.rtype == Rtype::NSEC && is_bare_alias)
    }

    /// The reply to a question less what does not count.
    #[must_use]
    pub fn view(self, question: &Question, mut reply: Reply) -> Reply {
        if self == Self::Everything {
            return reply;
        }
        let has_soa = reply.authority.iter().any(|rr| rr.rtype == Rtype::SOA);
        if !reply.answer.is_empty() && !has_soa && reply.aa {
            reply.authority.retain(|rr| rr.rtype != Rtype::NS && !covers(rr, Rtype::NS));
        }
        reply.answer = without_serials(reply.answer);
        reply.authority = without_serials(reply.authority);
        if question.rtype == Rtype::SOA && has_soa {
            reply.authority = reply.authority.into_iter().map(without_ttl_of_soa).collect();
        }
        reply
    }
}

/// Whether it is a signature over this type.
fn covers(rr: &Rr, rtype: Rtype) -> bool {
    rr.rtype == Rtype::RRSIG && rr.rdata.starts_with(&rtype.to_int().to_be_bytes())
}

fn without_ttl_of_soa(rr: Rr) -> Rr {
    let counts = rr.rtype != Rtype::SOA && !covers(&rr, Rtype::SOA);
    Rr { ttl: if counts { rr.ttl } else { 0 }, ..rr }
}

fn without_serials(records: BTreeSet<Rr>) -> BTreeSet<Rr> {
    const NUMBERS: usize = 20;
    let without = |mut rr: Rr| {
        if rr.rtype == Rtype::SOA
            && let Some(start) = rr.rdata.len().checked_sub(NUMBERS)
        {
            rr.rdata.iter_mut().skip(start).take(4).for_each(|byte| *byte = 0);
        }
        rr
    };
    records.into_iter().map(without).collect()
}

#[cfg(test)]
mod tests {
    use domain::base::iana::OptRcode;

    use super::*;
    use crate::differences;

    fn rr(rtype: Rtype, rdata: &[u8]) -> Rr {
        Rr { owner: "test.".parse().unwrap(), rtype, rdata: rdata.to_vec(), ttl: 60 }
    }

    fn reply(answer: &[Rr], authority: &[Rr]) -> Reply {
        Reply {
            rcode: OptRcode::NOERROR,
            aa: true,
            tc: false,
            answer: answer.iter().cloned().collect(),
            authority: authority.iter().cloned().collect(),
            additional: BTreeSet::new(),
            repeated: 0,
            size: 100,
            edns: false,
            oddity: None,
        }
    }

    fn soa(serial: u8) -> Rr {
        rr(Rtype::SOA, &[&[0, 0, 0, 0, 0, serial][..], &[7; 16]].concat())
    }

    #[test]
    fn what_servers_may_choose_does_not_count() {
        let (a, ns) = (rr(Rtype::A, &[192, 0, 2, 1]), rr(Rtype::NS, b"\x01n\x00"));
        let signature = rr(Rtype::RRSIG, &[0, 2, 9]);
        let same = |one: &Reply, other: &Reply, strictness: Strictness| {
            let question = Question { name: "test.".parse().unwrap(), rtype: Rtype::A };
            let view = |reply: &Reply| strictness.view(&question, reply.clone());
            differences(&view(one), &view(other)).is_empty()
        };
        let meaning = |one: &Reply, other: &Reply| same(one, other, Strictness::Meaning);
        let answer = std::slice::from_ref(&a);
        let (bare, full) = (reply(answer, &[]), reply(answer, &[ns.clone(), signature]));
        assert!(meaning(&bare, &full) && !same(&bare, &full, Strictness::Everything));
        assert!(meaning(&reply(&[soa(1)], &[]), &reply(&[soa(2)], &[])));
        assert!(meaning(&reply(&[], &[soa(1)]), &reply(&[], &[soa(2)])));
        let other = rr(Rtype::SOA, &[&[0, 0, 0, 0, 0, 1][..], &[8; 16]].concat());
        assert!(!meaning(&reply(&[], &[soa(1)]), &reply(&[], &[other])));
        let referral = Reply { aa: false, ..reply(&[], &[ns]) };
        assert!(!meaning(&referral, &reply(&[], &[])), "a referral is no decoration");
    }

    #[test]
    fn what_nobody_asks_is_asked_only_when_everything_is() {
        let name = |text: &str| text.parse().unwrap();
        let alias = Rr { owner: name("alias.test."), ..rr(Rtype::CNAME, b"\x04test\x00") };
        let odd = Rr { owner: name("h\\195\\182st.test."), ..rr(Rtype::A, &[192, 0, 2, 1]) };
        let zone = ZoneData::new(name("test."), [soa(1), alias, odd]);
        for (asked, rtype, by_meaning) in [
            ("x\\255.test.", Rtype::A, false),
            ("x\\000.test.", Rtype::A, false),
            ("h\\195\\182st.test.", Rtype::A, true),
            ("alias.test.", Rtype::NSEC, false),
            ("alias.test.", Rtype::A, true),
            ("test.", Rtype::NSEC, true),
        ] {
            let question = Question { name: name(asked), rtype };
            assert_eq!(Strictness::Meaning.asks_about(&zone, &question), by_meaning, "{question}");
            assert!(Strictness::Everything.asks_about(&zone, &question));
        }
    }

    #[test]
    fn the_ttl_of_an_absent_soa_does_not_count() {
        let ttl = |rr: Rr, ttl| Rr { ttl, ..rr };
        let signature = |of: u8| rr(Rtype::RRSIG, &[0, of, 8]);
        let at = |seconds| reply(&[], &[ttl(soa(1), seconds), ttl(signature(6), seconds), signature(47)]);
        let same = |rtype, strictness: Strictness| {
            let question = Question { name: "test.".parse().unwrap(), rtype };
            differences(&strictness.view(&question, at(0)), &strictness.view(&question, at(300))).is_empty()
        };
        assert!(same(Rtype::SOA, Strictness::Meaning));
        assert!(!same(Rtype::SOA, Strictness::Everything) && !same(Rtype::A, Strictness::Meaning));
    }
}
