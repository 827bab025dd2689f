//! Where two replies differ.

use std::collections::BTreeSet;

use crate::Reply;

/// Part of a reply that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Aspect {
    /// Response code.
    Rcode,
    /// Authoritative answer bit.
    Aa,
    /// Truncated bit.
    Tc,
    /// Answer section.
    Answer,
    /// Authority section.
    Authority,
    /// Addresses in the additional section of a referral.
    Glue,
}

impl Aspect {
    /// As people write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rcode => "rcode",
            Self::Aa => "aa",
            Self::Tc => "tc",
            Self::Answer => "answer",
            Self::Authority => "authority",
            Self::Glue => "glue",
        }
    }
}

/// Aspects in which two replies differ. What a truncated reply still holds is not compared: a client does not use it
/// (RFC 2181 section 9).
#[must_use]
pub fn differences(one: &Reply, other: &Reply) -> BTreeSet<Aspect> {
    let truncated = one.tc || other.tc;
    let referral = one.is_referral() || other.is_referral();
    let compared = [
        (Aspect::Rcode, one.rcode != other.rcode),
        (Aspect::Aa, one.aa != other.aa),
        (Aspect::Tc, one.tc != other.tc),
        (Aspect::Answer, !truncated && one.answer != other.answer),
        (Aspect::Authority, !truncated && one.authority != other.authority),
        (Aspect::Glue, !truncated && referral && one.additional != other.additional),
    ];
    compared.into_iter().filter_map(|(aspect, differs)| differs.then_some(aspect)).collect()
}

#[cfg(test)]
mod tests {
    use domain::base::iana::{OptRcode, Rtype};

    use super::*;
    use crate::Rr;

    fn rr(owner: &str, rtype: Rtype, rdata: &[u8], ttl: u32) -> Rr {
        Rr { owner: owner.parse().unwrap(), rtype, rdata: rdata.to_vec(), ttl }
    }

    fn reply(answer: &[&Rr], authority: &[&Rr], additional: &[&Rr]) -> Reply {
        let set = |records: &[&Rr]| records.iter().map(|rr| (*rr).clone()).collect();
        Reply {
            rcode: OptRcode::NOERROR,
            aa: true,
            tc: false,
            answer: set(answer),
            authority: set(authority),
            additional: set(additional),
            repeated: 0,
            size: 100,
            edns: false,
            oddity: None,
        }
    }

    #[test]
    fn every_aspect_is_noticed() {
        let (a, b) = (rr("a.test.", Rtype::A, &[1, 2, 3, 4], 60), rr("a.test.", Rtype::A, &[1, 2, 3, 5], 60));
        let ns = rr("sub.test.", Rtype::NS, b"\x01a\x04test\x00", 60);
        let same = reply(&[&a, &b], &[], &[]);
        assert!(differences(&same, &reply(&[&b, &a], &[], &[])).is_empty(), "order does not matter");
        assert_eq!(differences(&same, &reply(&[&a], &[], &[])), [Aspect::Answer].into());
        let later = Rr { ttl: 61, ..a.clone() };
        assert_eq!(differences(&same, &reply(&[&later, &b], &[], &[])), [Aspect::Answer].into());
        assert_eq!(differences(&same, &reply(&[&a, &b], &[&ns], &[])), [Aspect::Authority].into());
        assert!(differences(&same, &reply(&[&a, &b], &[], &[&ns])).is_empty());
        let referral = reply(&[], &[&ns], &[&a]);
        assert!(referral.is_referral());
        assert_eq!(differences(&referral, &reply(&[], &[&ns], &[&a, &b])), [Aspect::Glue].into());
        let refused = Reply { rcode: OptRcode::REFUSED, aa: false, ..same.clone() };
        assert_eq!(differences(&same, &refused), [Aspect::Rcode, Aspect::Aa].into());
        let truncated = Reply { tc: true, ..reply(&[], &[], &[]) };
        assert_eq!(differences(&same, &truncated), [Aspect::Tc].into(), "what is left of it is not compared");
    }
}
