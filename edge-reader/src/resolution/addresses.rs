//! Addresses that spare the resolver a question: of name servers, mail hosts and services in the same zone.
//!
//! Names that only a wildcard makes are left out, except for name servers, which could not be reached otherwise.

use domain::base::iana::Rtype;
use zonecast_kv_proto::View;
use zonecast_records::{AddressValue, KeySection, Name, Path, RdataField, Rrset};

use crate::finder::{NodeKey, Reads};
use crate::resolution::here::Here;
use crate::resolution::{Damaged, Fit, Part, ResolveError, Sink, Step};
use crate::scratch::Extra;
use crate::wire_name::split_name;
use crate::{FindError, Found, MAX_ADDITIONAL_TARGETS};

/// Where the name stands that data leads on to, for types whose targets are looked up.
#[inline]
pub(crate) fn target_at(rtype: Rtype) -> Option<usize> {
    let leads_on = matches!(rtype, Rtype::NS | Rtype::MX | Rtype::SRV | Rtype::SVCB | Rtype::HTTPS);
    if leads_on { RdataField::first_name_at(rtype) } else { None }
}

/// Looks for addresses at one place of a chain.
pub(crate) struct Addresses<'a, V, S> {
    pub(crate) here: Here<'a, V>,
    pub(crate) sink: &'a mut S,
    pub(crate) extra: &'a mut Extra,
    pub(crate) count: &'a mut u16,
}

impl<V: View, S: Sink> Addresses<'_, V, S> {
    /// For an RRset that was asked for, of names that stand at `offset`.
    pub(crate) fn of_data(mut self, rtype: Rtype, rrset: &Rrset<'_>, offset: usize) -> Result<(), ResolveError> {
        self.collect(rrset, offset, |_| true);
        self.addresses(rtype == Rtype::NS)
    }

    /// For the name servers of a referral that are not at or below the cut.
    pub(crate) fn of_referral(mut self, ns: &Rrset<'_>, cut: &Name) -> Result<(), ResolveError> {
        self.collect(ns, 0, |target| !target.is_within(cut));
        self.addresses(true)
    }

    fn collect(&mut self, rrset: &Rrset<'_>, offset: usize, wanted: impl Fn(&Name) -> bool) {
        let targets = &mut self.extra.targets;
        targets.clear();
        for rdata in rrset.rdata().iter() {
            let name = rdata.get(offset..).and_then(split_name).and_then(|(name, _)| Name::from_wire(name).ok());
            // In SVCB and HTTPS the root says that there is no other name, RFC 9460 section 2.5.
            if let Some(name) = name.filter(|name| name.label_count() > 0)
                && self.here.is_in_zone(&name)
                && wanted(&name)
                && targets.len() < MAX_ADDITIONAL_TARGETS
                && !targets.contains(&name)
            {
                targets.push(name);
            }
        }
    }

    /// Says the addresses of every target: from its node, for name servers else from glue, else from a wildcard.
    fn addresses(self, of_name_servers: bool) -> Result<(), ResolveError> {
        let sections: &[KeySection] =
            if of_name_servers { &[KeySection::Name, KeySection::Glue] } else { &[KeySection::Name] };
        let Self { here: Here { view, zone, .. }, sink, extra, count } = self;
        let Extra { key, path, value, targets, finder, .. } = extra;
        for target in targets.iter() {
            let full = Path::of(target, 0, path);
            let Some((_, below)) = full.split(zone.apex_len) else { continue };
            let mut is_found = false;
            for section in sections {
                let mut reads = Reads { view, zone, count };
                if !is_found && reads.node(key, NodeKey::address(*section), below, value)? {
                    let node = AddressValue::decode(value).map_err(FindError::from)?;
                    is_found = node.a.is_some() || node.aaaa.is_some();
                    if put(sink, target, [node.a, node.aaaa])? == Fit::Full {
                        return Ok(());
                    }
                }
            }
            if is_found || !of_name_servers || zone.summary.wildcards == 0 {
                continue;
            }
            for rtype in [Rtype::A, Rtype::AAAA] {
                let reads = Reads { view, zone, count };
                if let Found::Data { rrset, .. } = finder.find(reads, full, rtype)? {
                    let found = [(rtype == Rtype::A).then_some(rrset), (rtype == Rtype::AAAA).then_some(rrset)];
                    if put(sink, target, found)? == Fit::Full {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }
}

/// A and AAAA of one target.
fn put(sink: &mut impl Sink, target: &Name, [a, aaaa]: [Option<Rrset<'_>>; 2]) -> Result<Fit, Damaged> {
    for (rtype, rrset) in [(Rtype::A, a), (Rtype::AAAA, aaaa)] {
        let Some(rrset) = &rrset else { continue };
        if sink.put(Step { part: Part::Address, owner: target.as_wire(), rtype, rrset })? == Fit::Full {
            return Ok(Fit::Full);
        }
    }
    Ok(Fit::Whole)
}
