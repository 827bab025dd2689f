//! From a question to the steps of its answer: RFC 1034 section 4.3.2.
//!
//! Chains stay at and below the apex of the question's zone: a target elsewhere is left to the resolver. Where one
//! enters a zone of ours that lies below, it goes on there. A chain ends without an error where it comes back to a name
//! that it has been at, before a zone that has no data, or after [`MAX_CHAIN`] steps. What signatures cannot say,
//! `proofs.rs` proves.
//!
//! Everything but an answer with data is kept out of line: its code and its room on the stack would stand between what
//! most answers use, and the processor's first caches hold little more than that and the store's.

use std::ops::ControlFlow;

use domain::base::iana::{Rcode, Rtype};
use zonecast_kv_proto::View;
use zonecast_records::{Cut, Name, Path, Rrset, ZoneValue};

use crate::finder::{Finder, Reads};
use crate::resolution::addresses::{self, Addresses};
use crate::resolution::here::{Here, share_suffix};
use crate::resolution::proofs::{Lacks, Proofs};
use crate::resolution::{Damaged, Fit, Part, ResolveError, Sink, Step};
use crate::scratch::{Chain, Extra};
use crate::wire_name::split_name;
use crate::{AnswerClass, FindError, Found, Lookups, MAX_CHAIN, Reader, Zone};

/// One answer in the making.
pub(crate) struct Resolution<'a, V, S> {
    pub(crate) reader: &'a Reader<'a, V>,
    /// The zone that the name lies in.
    pub(crate) zone: Zone,
    /// Labels of the apex that the chain stays below.
    pub(crate) top: usize,
    /// The name where the chain has come to.
    pub(crate) name: &'a mut Name,
    pub(crate) rtype: Rtype,
    pub(crate) sink: &'a mut S,
    pub(crate) chain: &'a mut Chain,
    pub(crate) extra: &'a mut Extra,
    pub(crate) lookups: Lookups,
    /// CNAMEs and DNAMEs followed.
    pub(crate) hops: usize,
    /// Bytes of what the answer comes from, at the end of the name asked for.
    pub(crate) source_len: u8,
}

/// How a resolution ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) class: AnswerClass,
    pub(crate) rcode: Rcode,
}

impl End {
    const fn with(class: AnswerClass) -> Self {
        Self { class, rcode: Rcode::NOERROR }
    }
}

/// Whether a chain goes on, or with which RCODE it ends.
type Next = ControlFlow<Rcode, Name>;

impl<V: View, S: Sink> Resolution<'_, V, S> {
    /// Says all steps of the answer. The paths are that of the name from the root, and room for those of a chain.
    pub(crate) fn run(
        &mut self,
        finder: &mut Finder,
        full: Path<'_>,
        target_path: &mut Vec<u8>,
    ) -> Result<End, ResolveError> {
        let end = self.resolve(finder, full, target_path)?;
        // Of a chain that is not followed to its end. Nothing comes after it that could depend on its fit.
        let _ = self.prove_expansions()?;
        let class = if self.hops > 0 { AnswerClass::Chain } else { end.class };
        Ok(End { class, ..end })
    }

    fn resolve(&mut self, finder: &mut Finder, full: Path<'_>, target_path: &mut Vec<u8>) -> Result<End, ResolveError> {
        // Each next name has its path in the same place.
        let mut full = full;
        loop {
            let reads = Reads { view: self.reader.view, zone: &self.zone, count: &mut self.lookups.names };
            let found = finder.find(reads, full, self.rtype)?;
            if self.hops == 0
                && let Some(depth) = found.source()
            {
                let source = self.name.suffix_wire(self.zone.apex_labels + depth);
                self.source_len = u8::try_from(source.len()).unwrap_or_default();
            }
            let next = match found {
                Found::Data { rtype, rrset, wildcard } => {
                    self.data(rtype, &rrset, wildcard)?;
                    let class = if wildcard.is_some() { AnswerClass::Wildcard } else { AnswerClass::Positive };
                    return Ok(End::with(class));
                }
                Found::NoData { wildcard } => {
                    self.negative(wildcard.map_or(Lacks::Type, Lacks::TypeOfWildcard))?;
                    let class = if wildcard.is_some() { AnswerClass::Wildcard } else { AnswerClass::NoData };
                    return Ok(End::with(class));
                }
                Found::NoName { encloser } => {
                    self.negative(Lacks::Name(encloser))?;
                    return Ok(End { class: AnswerClass::NxDomain, rcode: Rcode::NXDOMAIN });
                }
                Found::Cut { cut, depth, nsec } => {
                    self.referral(&cut, depth, nsec)?;
                    return Ok(End::with(AnswerClass::Referral));
                }
                Found::Alias { rrset, wildcard } => self.alias(&rrset, wildcard)?,
                Found::Dname { rrset, depth } => self.dname(&rrset, depth)?,
            };
            let target = match next {
                Next::Continue(target) => target,
                Next::Break(rcode) => return Ok(End { class: AnswerClass::Chain, rcode }),
            };
            full = Path::of(&target, 0, target_path);
            if self.hops >= MAX_CHAIN || self.chain.passed(&target) || !self.enter(full, &target)? {
                return Ok(End::with(AnswerClass::Chain));
            }
            *self.name = target;
        }
    }

    /// Goes on to the zone of a chain's next name, from step 3a back to step 2, and says whether that can be answered
    /// from.
    fn enter(&mut self, path: Path<'_>, name: &Name) -> Result<bool, ResolveError> {
        if !share_suffix(self.name, name, self.top) {
            return Ok(false);
        }
        let Some(zone) = self.reader.zone_of(path, self.rtype).filter(Zone::has_data) else { return Ok(false) };
        if zone.id != self.zone.id {
            // What is still to be proved is of the zone that it leaves.
            if self.prove_expansions()? == Fit::Full {
                return Ok(false);
            }
            self.extra.parameters.clear();
            self.zone = zone;
        }
        Ok(true)
    }

    fn data(&mut self, rtype: Rtype, rrset: &Rrset<'_>, wildcard: Option<usize>) -> Result<(), ResolveError> {
        self.note_expansion(rrset, wildcard);
        let step = Step { part: Part::Data, owner: self.name.as_wire(), rtype, rrset };
        if self.sink.put(step)? == Fit::Whole
            && self.prove_expansions()? == Fit::Whole
            && let Some(offset) = addresses::target_at(rtype)
        {
            self.addresses().of_data(rtype, rrset, offset)?;
        }
        Ok(())
    }

    /// SOA for a negative answer, RFC 2308 section 3, and what proves it.
    #[inline(never)]
    fn negative(&mut self, lacks: Lacks) -> Result<(), ResolveError> {
        let apex = self.name.suffix(self.zone.apex_labels);
        let Extra { key, path, value, .. } = &mut *self.extra;
        let apex_path = Path::of(&apex, 0, path);
        let mut reads = Reads { view: self.reader.view, zone: &self.zone, count: &mut self.lookups.zones };
        reads.zone_key(key, apex_path, value)?;
        let zone = ZoneValue::decode(value).map_err(FindError::from)?;
        let soa = Rrset { ttl: zone.negative_ttl().map_err(FindError::from)?, ..zone.soa };
        let is_signed = !soa.signatures().is_empty();
        let step = Step { part: Part::Negative, owner: apex.as_wire(), rtype: Rtype::SOA, rrset: &soa };
        if self.sink.put(step)? == Fit::Whole && is_signed && self.sink.wants_proofs() {
            self.proofs().prove_absence(lacks)?;
        }
        Ok(())
    }

    #[inline(never)]
    fn referral(&mut self, cut: &Cut<'_>, depth: usize, nsec: bool) -> Result<(), ResolveError> {
        let owner = self.name.suffix(self.zone.apex_labels + depth);
        let step = Step { part: Part::Delegation, owner: owner.as_wire(), rtype: Rtype::NS, rrset: &cut.ns };
        if self.sink.put(step)? == Fit::Full {
            return Ok(());
        }
        if self.sink.wants_proofs()
            && (self.proofs().prove_delegation(cut, &owner, nsec)? == Fit::Full
                || self.prove_expansions()? == Fit::Full)
        {
            return Ok(());
        }
        for glue in cut.glue() {
            let glue = glue.map_err(FindError::from)?;
            for (rtype, rrset) in [(Rtype::A, glue.a), (Rtype::AAAA, glue.aaaa)] {
                let Some(rrset) = &rrset else { continue };
                if self.sink.put(Step { part: Part::Glue, owner: glue.name, rtype, rrset })? == Fit::Full {
                    return Ok(());
                }
            }
        }
        self.addresses().of_referral(&cut.ns, &owner)
    }

    #[inline(never)]
    fn alias(&mut self, rrset: &Rrset<'_>, wildcard: Option<usize>) -> Result<Next, ResolveError> {
        self.note_expansion(rrset, wildcard);
        let step = Step { part: Part::Alias, owner: self.name.as_wire(), rtype: Rtype::CNAME, rrset };
        if self.sink.put(step)? == Fit::Full {
            return Ok(Next::Break(Rcode::NOERROR));
        }
        self.hops += 1;
        self.chain.pass(self.name);
        Ok(Next::Continue(target(rrset)?))
    }

    /// RFC 6672 section 3.2. A chain may use a DNAME again for another name; it stands in the answer once.
    #[inline(never)]
    fn dname(&mut self, rrset: &Rrset<'_>, depth: usize) -> Result<Next, ResolveError> {
        let from = *self.name;
        let owner = from.suffix(self.zone.apex_labels + depth);
        let step = Step { part: Part::Dname, owner: owner.as_wire(), rtype: Rtype::DNAME, rrset };
        if self.chain.use_dname(&owner) && self.sink.put(step)? == Fit::Full {
            return Ok(Next::Break(Rcode::NOERROR));
        }
        self.hops += 1;
        self.chain.pass(&from);
        let above = target(rrset)?;
        let kept = from.label_count() - owner.label_count();
        let mut labels = [&[][..]; 128];
        for (place, label) in labels.iter_mut().zip(from.labels()).take(kept) {
            *place = label;
        }
        // `below` wants the labels from the apex down.
        let Ok(to) = Name::below(&above, labels.iter().take(kept).rev().copied()) else {
            return Ok(Next::Break(Rcode::YXDOMAIN));
        };
        let fit = self.sink.put_synthesised(&from, &to, rrset.ttl)?;
        // The synthesised record is itself what a CNAME query asks for, as NSD, Knot and BIND see it.
        if fit == Fit::Full || self.rtype == Rtype::CNAME {
            return Ok(Next::Break(Rcode::NOERROR));
        }
        // One that leads below itself is met again at every step; NSD goes no further either.
        if above.is_within(&owner) {
            return Ok(Next::Break(Rcode::NOERROR));
        }
        Ok(Next::Continue(to))
    }

    /// Remembers that the name at hand is made from a wildcard, where that must be proved.
    fn note_expansion(&mut self, rrset: &Rrset<'_>, wildcard: Option<usize>) {
        if let Some(depth) = wildcard
            && self.sink.wants_proofs()
            && !rrset.signatures().is_empty()
        {
            self.extra.expanded.push((*self.name, depth));
        }
    }

    #[inline]
    fn prove_expansions(&mut self) -> Result<Fit, ResolveError> {
        if self.extra.expanded.is_empty() { Ok(Fit::Whole) } else { self.proofs().prove_expansions() }
    }

    fn proofs(&mut self) -> Proofs<'_, V, S> {
        let Self { reader, zone, name, sink, extra, lookups, .. } = self;
        Proofs { here: Here { view: reader.view, zone, name }, sink, extra, count: &mut lookups.proofs }
    }

    fn addresses(&mut self) -> Addresses<'_, V, S> {
        let Self { reader, zone, name, sink, extra, lookups, .. } = self;
        Addresses { here: Here { view: reader.view, zone, name }, sink, extra, count: &mut lookups.additional }
    }
}

/// Where a CNAME or DNAME leads.
fn target(rrset: &Rrset<'_>) -> Result<Name, ResolveError> {
    let rdata = rrset.rdata().iter().next().ok_or(Damaged)?;
    let (name, _) = split_name(rdata).ok_or(Damaged)?;
    Ok(Name::from_wire(name).map_err(|_| Damaged)?)
}
