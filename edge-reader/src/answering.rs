//! From a query to an answer: RFC 1034 section 4.3.2 within one zone.
//!
//! Chains stay in the zone of the question, as in NSD and Knot: a target elsewhere is left to the resolver. A chain
//! ends without an error where it comes back to a CNAME, a DNAME or a wildcard CNAME that it has used, or after
//! [`MAX_CHAIN`] steps. What signatures cannot say, `proof.rs` proves.
//!
//! Everything but an answer with data is kept out of line: its code and its room on the stack would stand between what
//! most answers use, and the processor's first caches hold little more than that and the store's.

use std::ops::ControlFlow;

use domain::base::iana::{Class, ExtendedErrorCode, Rcode, Rtype};
use thiserror::Error;
use zonecast_kv_proto::View;
use zonecast_records::{Cut, Name, Path, Rrset, ZoneValue};

use crate::additional;
use crate::finder::{Finder, Reads};
use crate::message::{MessageWriter, Section, WriteError, split_name};
use crate::query::{Header, Query};
use crate::scratch::{Buffers, Chain, Extra, Step};
use crate::{AnswerClass, Client, FindError, Found, Lookups, MAX_CHAIN, Outcome, Reader, Zone};

/// Extended RCODE 16: its upper eight bits, RFC 6891 section 6.1.3.
const BADVERS_EXTENDED: u8 = 1;

/// Why an answer becomes SERVFAIL.
#[derive(Debug, Error)]
pub(crate) enum AnswerError {
    #[error(transparent)]
    Find(#[from] FindError),
    #[error("RDATA is damaged")]
    Rdata,
}

impl AnswerError {
    /// What makes no sense, if that is it.
    #[cold]
    fn damage(&self) -> Option<String> {
        match self {
            Self::Find(error) => error.damage(),
            Self::Rdata => Some(self.to_string()),
        }
    }
}

pub(crate) fn answer<V: View>(
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
    let question = match read {
        Ok(question) => question,
        Err(rcode) => return finish(&mut message, AnswerClass::Rejected, rcode, Lookups::default()),
    };
    if query.edns.is_some_and(|edns| edns.version != 0) {
        let address_proven = message.address_proven();
        let outcome = Outcome { class: AnswerClass::Rejected, address_proven, ..Outcome::DROPPED };
        message.finish(Rcode::NOERROR, BADVERS_EXTENDED);
        return outcome;
    }
    let full = Path::of(name, 0, path);
    let zone = match question.rtype {
        _ if question.class != Class::IN => None,
        // Transfers are not for everybody, and not of this path.
        Rtype::AXFR | Rtype::IXFR => None,
        rtype => reader.zone_of(full, rtype),
    };
    let Some(zone) = zone else {
        message.explanation = Some(match question.rtype {
            Rtype::AXFR | Rtype::IXFR => ExtendedErrorCode::NOT_SUPPORTED,
            _ => ExtendedErrorCode::NOT_AUTHORITATIVE,
        });
        return finish(&mut message, AnswerClass::Refused, Rcode::REFUSED, Lookups::default());
    };
    chain.clear();
    extra.clear();
    let zone_len = u8::try_from(name.suffix_wire(zone.apex_labels).len()).unwrap_or_default();
    let mut answering = Answering {
        reader,
        zone,
        question: question.name,
        name,
        rtype: question.rtype,
        message: &mut message,
        chain,
        extra,
        lookups: Lookups::default(),
        steps: 0,
    };
    let outcome = match answering.run(finder, (full, target_path)) {
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
    Outcome { zone_len, ..outcome }
}

pub(crate) fn finish(message: &mut MessageWriter<'_>, class: AnswerClass, rcode: Rcode, lookups: Lookups) -> Outcome {
    let (truncated, address_proven) = (message.truncated, message.address_proven());
    message.finish(rcode, 0);
    Outcome { class, rcode, truncated, lookups, zone_len: 0, address_proven }
}

/// One answer in the making.
pub(crate) struct Answering<'a, 'w, V> {
    pub(crate) reader: &'a Reader<'a, V>,
    pub(crate) zone: Zone,
    /// The name asked for.
    question: &'a [u8],
    /// The name where the chain has come to.
    pub(crate) name: &'a mut Name,
    rtype: Rtype,
    pub(crate) message: &'a mut MessageWriter<'w>,
    chain: &'a mut Chain,
    pub(crate) extra: &'a mut Extra,
    pub(crate) lookups: Lookups,
    steps: usize,
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
        // Of a chain that ends outside the zone.
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
            let next = match finder.find(reads, full, self.rtype)? {
                Found::Data { rtype, rrset, wildcard } => {
                    self.data(rtype, &rrset, wildcard)?;
                    let class = if wildcard.is_some() { AnswerClass::Wildcard } else { AnswerClass::Positive };
                    return Ok((class, Rcode::NOERROR));
                }
                Found::NoData { wildcard } => {
                    self.negative(wildcard)?;
                    let class = if wildcard.is_some() { AnswerClass::Wildcard } else { AnswerClass::NoData };
                    return Ok((class, Rcode::NOERROR));
                }
                Found::NoName { encloser } => {
                    self.negative(Some(encloser))?;
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
            let inside = self.is_in_zone(&target);
            *self.name = target;
            if !inside || self.steps >= MAX_CHAIN {
                return Ok((AnswerClass::Chain, Rcode::NOERROR));
            }
            full = Path::of(self.name, 0, target_path);
        }
    }

    /// The apex, in the letter case of the question.
    pub(crate) fn apex(&self) -> Name {
        Name::from_wire(self.question).unwrap_or_default().suffix(self.zone.apex_labels)
    }

    pub(crate) fn is_in_zone(&self, name: &Name) -> bool {
        let labels = self.zone.apex_labels;
        name.label_count() >= labels && name.suffix_wire(labels).eq_ignore_ascii_case(self.name.suffix_wire(labels))
    }

    fn data(&mut self, rtype: Rtype, rrset: &Rrset<'_>, wildcard: Option<usize>) -> Result<(), AnswerError> {
        self.message.authoritative = true;
        self.note_expansion(rrset, wildcard);
        if required(self.message, Section::Answer, self.name.as_wire(), (rtype, rrset))? && self.prove_expansions()? {
            additional::of_data(self, rtype, rrset)?;
        }
        Ok(())
    }

    /// SOA for a negative answer, RFC 2308 section 3, and what proves it. `encloser` is the depth of the closest encloser
    /// when it is the wildcard below it that has no data, or that is not there.
    #[inline(never)]
    fn negative(&mut self, encloser: Option<usize>) -> Result<(), AnswerError> {
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
            self.prove_absence(encloser)?;
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
        let owner = *self.name;
        self.note_expansion(rrset, wildcard);
        if !self.chain.visit(Step::Alias, owner)
            || !required(self.message, Section::Answer, owner.as_wire(), (Rtype::CNAME, rrset))?
        {
            return Ok(Next::Break(Rcode::NOERROR));
        }
        self.steps += 1;
        if let Some(depth) = wildcard
            && !self.chain.visit(Step::Wildcard, owner.suffix(self.zone.apex_labels + depth))
        {
            return Ok(Next::Break(Rcode::NOERROR));
        }
        Ok(Next::Continue(target(rrset)?))
    }

    /// RFC 6672 section 3.2.
    #[inline(never)]
    fn dname(&mut self, rrset: &Rrset<'_>, depth: usize) -> Result<Next, AnswerError> {
        self.message.authoritative = true;
        let from = *self.name;
        let owner = from.suffix(self.zone.apex_labels + depth);
        if !self.chain.visit(Step::Dname, owner)
            || !required(self.message, Section::Answer, owner.as_wire(), (Rtype::DNAME, rrset))?
        {
            return Ok(Next::Break(Rcode::NOERROR));
        }
        self.steps += 1;
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
        Ok(Next::Continue(to))
    }
}

/// Writes an RRset that the answer is not whole without, and says whether it fit.
#[inline]
pub(crate) fn required(
    message: &mut MessageWriter<'_>,
    section: Section,
    owner: &[u8],
    (rtype, rrset): (Rtype, &Rrset<'_>),
) -> Result<bool, AnswerError> {
    let written = message.rrset(section, owner, rtype, rrset);
    truncating(message, written)
}

fn truncating(message: &mut MessageWriter<'_>, written: Result<(), WriteError>) -> Result<bool, AnswerError> {
    match written {
        Ok(()) => Ok(true),
        Err(WriteError::Full) => {
            message.truncated = true;
            Ok(false)
        }
        Err(WriteError::Damaged) => Err(AnswerError::Rdata),
    }
}

/// Where a CNAME or DNAME leads.
fn target(rrset: &Rrset<'_>) -> Result<Name, AnswerError> {
    let rdata = rrset.rdata().iter().next().ok_or(AnswerError::Rdata)?;
    let (name, _) = split_name(rdata).ok_or(AnswerError::Rdata)?;
    Name::from_wire(name).map_err(|_| AnswerError::Rdata)
}
