//! What of a reply matters to whoever compares two servers.

use std::collections::BTreeSet;

use domain::base::iana::Rtype;

use crate::{Question, Reply, Rr};

/// How much of what the RFCs leave open is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// What a resolver acts on. Left out is what servers may choose: NS in the authority section beside an answer (RFC
    /// 1034 section 4.3.2), what ANY and RRSIG queries get (RFC 8482), and the serial, which moves.
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

    /// The reply less what does not count.
    #[must_use]
    pub fn view(self, mut reply: Reply) -> Reply {
        if self == Self::Everything {
            return reply;
        }
        let has_soa = reply.authority.iter().any(|rr| rr.rtype == Rtype::SOA);
        if !reply.answer.is_empty() && !has_soa && reply.aa {
            reply.authority.retain(|rr| rr.rtype != Rtype::NS && !covers(rr, Rtype::NS));
        }
        reply.answer = without_serials(reply.answer);
        reply.authority = without_serials(reply.authority);
        reply
    }
}

/// Whether it is a signature over this type.
fn covers(rr: &Rr, rtype: Rtype) -> bool {
    rr.rtype == Rtype::RRSIG && rr.rdata.starts_with(&rtype.to_int().to_be_bytes())
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
            differences(&strictness.view(one.clone()), &strictness.view(other.clone())).is_empty()
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
}
