//! A slow, obvious answerer over a list of records: RFC 1034 section 4.3.2 with RFC 4592 and RFC 6672, word by word.

use domain::base::iana::{Rcode, Rtype};
use zonecast_edge_reader::MAX_CHAIN;
use zonecast_records::Name;

use crate::world::{Answer, Rec};

pub(crate) struct Model {
    pub(crate) apex: Name,
    pub(crate) records: Vec<Rec>,
}

impl Model {
    fn at(&self, name: &Name, rtype: Rtype) -> Vec<Rec> {
        self.records.iter().filter(|record| record.owner == *name && record.rtype == rtype).cloned().collect()
    }

    fn has(&self, name: &Name, rtype: Rtype) -> bool {
        !self.at(name, rtype).is_empty()
    }

    fn is_cut(&self, name: &Name) -> bool {
        *name != self.apex && self.has(name, Rtype::NS)
    }

    fn ancestors(&self, name: &Name) -> Vec<Name> {
        (self.apex.label_count()..name.label_count()).map(|count| name.suffix(count)).collect()
    }

    fn is_occluded(&self, name: &Name) -> bool {
        self.ancestors(name).iter().any(|above| self.is_cut(above) || self.has(above, Rtype::DNAME))
    }

    fn exists(&self, name: &Name) -> bool {
        *name == self.apex
            || self.records.iter().any(|record| record.owner.is_within(name) && !self.is_occluded(&record.owner))
    }

    fn addresses(&self, name: &Name) -> Vec<Rec> {
        [self.at(name, Rtype::A), self.at(name, Rtype::AAAA)].concat()
    }

    /// Addresses of a name server: its own wherever they lie, or a wildcard's.
    fn server(&self, name: &Name) -> Vec<Rec> {
        let own = self.addresses(name);
        let hidden = self.is_occluded(name) || self.is_cut(name);
        if !own.is_empty() || hidden || self.exists(name) {
            return own;
        }
        let encloser = self.ancestors(name).into_iter().rev().find(|above| self.exists(above)).unwrap();
        let source = encloser.wildcard_child().filter(|wildcard| !self.is_cut(wildcard));
        let made = source.map(|source| self.addresses(&source)).unwrap_or_default();
        made.into_iter().map(|record| Rec { owner: *name, ..record }).collect()
    }

    pub(crate) fn answer(&self, name: &Name, rtype: Rtype) -> Answer {
        let mut answer = Answer {
            rcode: Rcode::NOERROR,
            aa: false,
            tc: false,
            answer: vec![],
            authority: vec![],
            additional: vec![],
            opt: None,
        };
        self.step(*name, rtype, &mut vec![*name], &mut answer);
        for section in [&mut answer.answer, &mut answer.authority, &mut answer.additional] {
            section.sort();
            section.dedup();
        }
        answer
    }

    /// `passed` holds the names that the chain has been at.
    fn step(&self, name: Name, rtype: Rtype, passed: &mut Vec<Name>, answer: &mut Answer) {
        for above in self.ancestors(&name) {
            if self.is_cut(&above) {
                return self.refer(&above, &above, answer);
            }
            if let [dname] = &self.at(&above, Rtype::DNAME)[..] {
                answer.aa = true;
                answer.answer.push(Rec { owner: name.suffix(above.label_count()), ..dname.clone() });
                let kept = name.as_wire().len() - above.as_wire().len();
                let Ok(target) = Name::from_wire(&[&name.as_wire()[..kept], &dname.rdata].concat()) else {
                    answer.rcode = Rcode::YXDOMAIN;
                    return;
                };
                let rdata = target.as_wire().to_vec();
                answer.answer.push(Rec { owner: name, rtype: Rtype::CNAME, ttl: dname.ttl, rdata });
                if rtype == Rtype::CNAME || dname.target().is_within(&above) {
                    return;
                }
                return self.follow(target, rtype, passed, answer);
            }
        }
        if self.exists(&name) {
            return self.node(&name, name, rtype, passed, answer);
        }
        let encloser = self.ancestors(&name).into_iter().rev().find(|above| self.exists(above)).unwrap();
        match encloser.wildcard_child().filter(|wildcard| self.exists(wildcard)) {
            Some(wildcard) => self.node(&wildcard, name, rtype, passed, answer),
            None => {
                answer.rcode = Rcode::NXDOMAIN;
                self.negative(answer);
            }
        }
    }

    fn node(&self, source: &Name, name: Name, rtype: Rtype, passed: &mut Vec<Name>, answer: &mut Answer) {
        let as_asked = |record: Rec| Rec { owner: name, ..record };
        let of_the_parent = rtype == Rtype::DS || (rtype == Rtype::NSEC && self.has(source, Rtype::NSEC));
        if self.is_cut(source) && !of_the_parent {
            return self.refer(source, &name, answer);
        }
        answer.aa = true;
        if let [cname] = &self.at(source, Rtype::CNAME)[..]
            && !matches!(rtype, Rtype::CNAME | Rtype::NSEC)
        {
            answer.answer.push(as_asked(cname.clone()));
            return self.follow(cname.target(), rtype, passed, answer);
        }
        let data = self.at(source, rtype);
        if data.is_empty() || (name == self.apex && rtype == Rtype::DS) {
            return self.negative(answer);
        }
        for record in data {
            if rtype == Rtype::MX {
                let target = Name::from_wire(&record.rdata[2..]).unwrap();
                if target.is_within(&self.apex) && !self.is_occluded(&target) && !self.is_cut(&target) {
                    answer.additional.extend(self.addresses(&target));
                }
            }
            if rtype == Rtype::NS && record.target().is_within(&self.apex) {
                answer.additional.extend(self.server(&record.target()));
            }
            answer.answer.push(as_asked(record));
        }
    }

    fn follow(&self, target: Name, rtype: Rtype, passed: &mut Vec<Name>, answer: &mut Answer) {
        if target.is_within(&self.apex) && !passed.contains(&target) && passed.len() < MAX_CHAIN {
            passed.push(target);
            self.step(target, rtype, passed, answer);
        }
    }

    fn refer(&self, source: &Name, owner: &Name, answer: &mut Answer) {
        for ns in self.at(source, Rtype::NS) {
            if ns.target().is_within(&self.apex) {
                answer.additional.extend(self.server(&ns.target()));
            }
            answer.authority.push(Rec { owner: *owner, ..ns });
        }
    }

    fn negative(&self, answer: &mut Answer) {
        answer.aa = true;
        let mut soa = self.at(&self.apex, Rtype::SOA);
        let tail: [u8; 4] = soa[0].rdata[soa[0].rdata.len() - 4..].try_into().unwrap();
        soa[0].ttl = soa[0].ttl.min(u32::from_be_bytes(tail));
        answer.authority.extend(soa);
    }
}
