//! From a query to an answer: RFC 1034 section 4.3.2.
//!
//! Chains stay at and below the apex of the question's zone: a target elsewhere is left to the resolver. Where one
//! enters a zone of ours that lies below, it goes on there. A chain ends without an error where it comes back to a name
//! that it has been at, before a zone that has no data, or after [`MAX_CHAIN`] steps. What signatures cannot say,
//! `proof.rs` proves.
//!
//! Everything but an answer with data is kept out of line: its code and its room on the stack would stand between what
//! most answers use, and the processor's first caches hold little more than that and the store's.

use std::ops::ControlFlow;

use domain::base::iana::{Class, ExtendedErrorCode, Opcode, Rcode, Rtype};
use zonecast_kv_proto::View;
use zonecast_records::{Cut, Name, Path, Rrset, ZoneValue};

use crate::additional;
use crate::answer_state::{AnswerError, Answering, required, truncating};
use crate::finder::{Finder, Reads};
use crate::message::{MessageWriter, Section};
use crate::proof::Lacks;
use crate::query::{Header, Query};
use crate::scratch::{Buffers, Extra};
use crate::wire_name::split_name;
use crate::{AnswerClass, Client, FindError, Found, Lookups, MAX_CHAIN, Outcome, Reader, Scratch, Zone};

/// Extended RCODE 16: its upper eight bits, RFC 6891 section 6.1.3.
const BADVERS_EXTENDED: u8 = 1;

impl<V: View> Reader<'_, V> {
    /// Answers a query, wire to wire: `out` holds the answer afterwards, or nothing when the outcome is
    /// [`AnswerClass::Dropped`](crate::AnswerClass::Dropped).
    pub fn answer<'c>(
        &self,
        scratch: &mut Scratch,
        query: &[u8],
        client: impl Into<Client<'c>>,
        out: &mut Vec<u8>,
    ) -> Outcome {
        let client = client.into();
        let Scratch { buffers, cache } = scratch;
        match cache.as_deref_mut().zip(self.changes) {
            Some((cache, (changes, version))) => {
                let view = cache.view(self.view, changes, version);
                answer(&Reader::new(&view, self.zones), buffers, query, &client, out)
            }
            None => answer(self, buffers, query, &client, out),
        }
    }
}

fn answer<V: View>(
    reader: &Reader<'_, V>,
    buffers: &mut Buffers,
    bytes: &[u8],
    client: &Client<'_>,
    out: &mut Vec<u8>,
) -> Outcome {
    out.clear();
    let Some(header) = Header::read(bytes) else { return Outcome::DROPPED };
    let Buffers { finder, name, path, target_path, chain, extra, offsets, damage } = buffers;
    let mut query = Query::default();
    let read = query.read(header, bytes, name);
    let mut message = MessageWriter::new((out, offsets), client, header, &query);
    if query.edns.is_some_and(|edns| edns.version != 0) && read.as_ref().err() != Some(&Rcode::FORMERR) {
        let address_proven = message.address_proven();
        let outcome = Outcome { class: AnswerClass::Rejected, address_proven, ..Outcome::DROPPED };
        message.finish(Rcode::NOERROR, BADVERS_EXTENDED);
        return outcome;
    }
    let question = match read {
        Ok(question) => question,
        Err(rcode) => return finish(&mut message, AnswerClass::Rejected, rcode, Lookups::default()),
    };
    let full = Path::of(name, 0, path);
    let asks_for_data = header.opcode() == Opcode::QUERY && !matches!(question.rtype, Rtype::AXFR | Rtype::IXFR);
    if query.tsig.is_some() || !asks_for_data {
        let is_apex = |zone: Zone| zone.apex_len == full.as_bytes().len();
        let is_ours = question.class == Class::IN && reader.zones.find(full).is_some_and(is_apex);
        return turn_stranger_away(&mut message, &query, is_ours);
    }
    let is_internet = question.class == Class::IN;
    let Some(zone) = is_internet.then(|| reader.zone_of(full, question.rtype)).flatten() else {
        message.explanation = Some(ExtendedErrorCode::NOT_AUTHORITATIVE);
        return finish(&mut message, AnswerClass::Refused, Rcode::REFUSED, Lookups::default());
    };
    if !zone.has_data() {
        message.explanation = Some(ExtendedErrorCode::INVALID_DATA);
        return finish(&mut message, AnswerClass::Failed, Rcode::SERVFAIL, Lookups::default());
    }
    chain.clear();
    extra.clear();
    let mut answering = Answering {
        reader,
        zone,
        top: zone.apex_labels,
        name,
        rtype: question.rtype,
        message: &mut message,
        chain,
        extra,
        lookups: Lookups::default(),
        steps: 0,
        source_len: u8::try_from(question.name.len()).unwrap_or_default(),
    };
    let result = answering.run(finder, (full, target_path));
    let source_len = answering.source_len;
    let outcome = match result {
        Ok((class, rcode)) => {
            let class = if answering.steps > 0 { AnswerClass::Chain } else { class };
            finish(answering.message, class, rcode, answering.lookups)
        }
        Err(error) => {
            *damage = error.damage();
            answering.message.reset();
            answering.message.explanation = Some(ExtendedErrorCode::OTHER);
            finish(answering.message, AnswerClass::Failed, Rcode::SERVFAIL, answering.lookups)
        }
    };
    Outcome { source_len, ..outcome }
}

/// Keys, transfers, notifications and updates are for the core's own, and not of this path: whoever comes with one is a
/// stranger. As BIND, Knot and NSD, as far as they agree.
#[cold]
fn turn_stranger_away<'w>(message: &mut MessageWriter<'w>, query: &Query<'w>, is_ours: bool) -> Outcome {
    let rcode = match query.tsig {
        None if is_ours => Rcode::REFUSED,
        _ => Rcode::NOTAUTH,
    };
    // An answer with more than OPT and TSIG in it says nothing more.
    message.explanation = match query.tsig {
        Some(_) => None,
        None if is_ours => Some(ExtendedErrorCode::NOT_SUPPORTED),
        None => Some(ExtendedErrorCode::NOT_AUTHORITATIVE),
    };
    message.bad_key = query.tsig;
    finish(message, AnswerClass::Refused, rcode, Lookups::default())
}

pub(crate) fn finish(message: &mut MessageWriter<'_>, class: AnswerClass, rcode: Rcode, lookups: Lookups) -> Outcome {
    let (truncated, address_proven) = (message.truncated, message.address_proven());
    message.finish(rcode, 0);
    Outcome { class, rcode, truncated, lookups, source_len: 0, address_proven }
}

/// Whether a chain goes on, or with which RCODE it ends.
type Next = ControlFlow<Rcode, Name>;

impl<V: View> Answering<'_, '_, V> {
    fn run<'p>(
        &mut self,
        finder: &mut Finder,
        paths: (Path<'p>, &'p mut Vec<u8>),
    ) -> Result<(AnswerClass, Rcode), AnswerError> {
        let end = self.resolve(finder, paths)?;
        // Of a chain that is not followed to its end.
        self.prove_expansions()?;
        Ok(end)
    }

    fn resolve<'p>(
        &mut self,
        finder: &mut Finder,
        (mut full, target_path): (Path<'p>, &'p mut Vec<u8>),
    ) -> Result<(AnswerClass, Rcode), AnswerError> {
        loop {
            let reads = Reads { view: self.reader.view, zone: &self.zone, count: &mut self.lookups.names };
            let found = finder.find(reads, full, self.rtype)?;
            if self.steps == 0
                && let Some(depth) = found.source()
            {
                let source = self.name.suffix_wire(self.zone.apex_labels + depth);
                self.source_len = u8::try_from(source.len()).unwrap_or_default();
            }
            let next = match found {
                Found::Data { rtype, rrset, wildcard } => {
                    self.data(rtype, &rrset, wildcard)?;
                    let class = if wildcard.is_some() { AnswerClass::Wildcard } else { AnswerClass::Positive };
                    return Ok((class, Rcode::NOERROR));
                }
                Found::NoData { wildcard } => {
                    self.negative(wildcard.map_or(Lacks::Type, Lacks::TypeOfWildcard))?;
                    let class = if wildcard.is_some() { AnswerClass::Wildcard } else { AnswerClass::NoData };
                    return Ok((class, Rcode::NOERROR));
                }
                Found::NoName { encloser } => {
                    self.negative(Lacks::Name(encloser))?;
                    return Ok((AnswerClass::NxDomain, Rcode::NXDOMAIN));
                }
                Found::Cut { cut, depth, nsec } => {
                    self.referral(&cut, depth, nsec)?;
                    return Ok((AnswerClass::Referral, Rcode::NOERROR));
                }
                Found::Alias { rrset, wildcard } => self.alias(&rrset, wildcard)?,
                Found::Dname { rrset, depth } => self.dname(&rrset, depth)?,
            };
            let target = match next {
                Next::Continue(target) => target,
                Next::Break(rcode) => return Ok((AnswerClass::Chain, rcode)),
            };
            full = Path::of(&target, 0, target_path);
            if self.steps >= MAX_CHAIN || self.chain.passed(&target) || !self.enter(full, &target)? {
                return Ok((AnswerClass::Chain, Rcode::NOERROR));
            }
            *self.name = target;
        }
    }

    /// Goes on to the zone of a chain's next name, from step 3a back to step 2, and says whether that can be answered
    /// from.
    fn enter(&mut self, path: Path<'_>, name: &Name) -> Result<bool, AnswerError> {
        if !self.shares_suffix(name, self.top) {
            return Ok(false);
        }
        let Some(zone) = self.reader.zone_of(path, self.rtype).filter(Zone::has_data) else { return Ok(false) };
        if zone.id != self.zone.id {
            // What is still to be proved is of the zone that it leaves.
            if !self.prove_expansions()? {
                return Ok(false);
            }
            self.extra.parameters.clear();
            self.zone = zone;
        }
        Ok(true)
    }

    fn data(&mut self, rtype: Rtype, rrset: &Rrset<'_>, wildcard: Option<usize>) -> Result<(), AnswerError> {
        self.message.authoritative = true;
        self.note_expansion(rrset, wildcard);
        if required(self.message, Section::Answer, self.name.as_wire(), (rtype, rrset))? && self.prove_expansions()? {
            additional::of_data(self, rtype, rrset)?;
        }
        Ok(())
    }

    /// SOA for a negative answer, RFC 2308 section 3, and what proves it.
    #[inline(never)]
    fn negative(&mut self, lacks: Lacks) -> Result<(), AnswerError> {
        self.message.authoritative = true;
        let apex = self.name.suffix(self.zone.apex_labels);
        let Extra { key, path, value, .. } = &mut *self.extra;
        let apex_path = Path::of(&apex, 0, path);
        let mut reads = Reads { view: self.reader.view, zone: &self.zone, count: &mut self.lookups.zones };
        reads.zone_key(key, apex_path, value)?;
        let zone = ZoneValue::decode(value).map_err(FindError::from)?;
        let soa = Rrset { ttl: zone.negative_ttl().map_err(FindError::from)?, ..zone.soa };
        let is_signed = !soa.signatures().is_empty();
        let written = self.message.rrset(Section::Authority, apex.as_wire(), Rtype::SOA, &soa);
        if truncating(self.message, written)? && is_signed && self.message.dnssec_ok() {
            self.prove_absence(lacks)?;
        }
        Ok(())
    }

    #[inline(never)]
    fn referral(&mut self, cut: &Cut<'_>, depth: usize, nsec: bool) -> Result<(), AnswerError> {
        let owner = self.name.suffix(self.zone.apex_labels + depth);
        if !required(self.message, Section::Authority, owner.as_wire(), (Rtype::NS, &cut.ns))? {
            return Ok(());
        }
        if self.message.dnssec_ok() && !(self.prove_delegation(cut, &owner, nsec)? && self.prove_expansions()?) {
            return Ok(());
        }
        for glue in cut.glue() {
            let glue = glue.map_err(FindError::from)?;
            for (rtype, rrset) in [(Rtype::A, glue.a), (Rtype::AAAA, glue.aaaa)] {
                // RFC 9471: glue at or below the cut is no optional extra.
                if let Some(rrset) = rrset
                    && !required(self.message, Section::Additional, glue.name, (rtype, &rrset))?
                {
                    return Ok(());
                }
            }
        }
        additional::of_referral(self, &cut.ns, &owner)
    }

    #[inline(never)]
    fn alias(&mut self, rrset: &Rrset<'_>, wildcard: Option<usize>) -> Result<Next, AnswerError> {
        self.message.authoritative = true;
        self.note_expansion(rrset, wildcard);
        if !required(self.message, Section::Answer, self.name.as_wire(), (Rtype::CNAME, rrset))? {
            return Ok(Next::Break(Rcode::NOERROR));
        }
        self.steps += 1;
        self.chain.pass(self.name);
        Ok(Next::Continue(target(rrset)?))
    }

    /// RFC 6672 section 3.2. A chain may use a DNAME again for another name; it stands in the answer once.
    #[inline(never)]
    fn dname(&mut self, rrset: &Rrset<'_>, depth: usize) -> Result<Next, AnswerError> {
        self.message.authoritative = true;
        let from = *self.name;
        let owner = from.suffix(self.zone.apex_labels + depth);
        if self.chain.use_dname(&owner)
            && !required(self.message, Section::Answer, owner.as_wire(), (Rtype::DNAME, rrset))?
        {
            return Ok(Next::Break(Rcode::NOERROR));
        }
        self.steps += 1;
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
        let synthesised = std::iter::once(to.as_wire());
        let written = self.message.records(Section::Answer, from.as_wire(), (Rtype::CNAME, rrset.ttl), synthesised);
        // The synthesised record is itself what a CNAME query asks for, as NSD, Knot and BIND see it.
        if !truncating(self.message, written)? || self.rtype == Rtype::CNAME {
            return Ok(Next::Break(Rcode::NOERROR));
        }
        // One that leads below itself is met again at every step; NSD goes no further either.
        if above.is_within(&owner) {
            return Ok(Next::Break(Rcode::NOERROR));
        }
        Ok(Next::Continue(to))
    }
}

/// Where a CNAME or DNAME leads.
fn target(rrset: &Rrset<'_>) -> Result<Name, AnswerError> {
    let rdata = rrset.rdata().iter().next().ok_or(AnswerError::Rdata)?;
    let (name, _) = split_name(rdata).ok_or(AnswerError::Rdata)?;
    Name::from_wire(name).map_err(|_| AnswerError::Rdata)
}
