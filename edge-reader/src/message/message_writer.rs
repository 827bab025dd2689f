//! Writes an answer into a buffer that is reused: whole RRsets or nothing, names compressed, never over the limit.
//!
//! Names are compressed in owners and where [`RdataField`] allows it, and only against the same bytes, so that the letter
//! case of every name survives.

use domain::base::iana::{Class, ExtendedErrorCode, OptionCode, Rcode, Rtype, TsigRcode};
use thiserror::Error;
use zonecast_records::{RdataField, Rrset};

use crate::cookie::CookieAnswer;
use crate::message::WrittenNames;
use crate::query::{Edns, HEADER_LEN, Header, Query, Tsig};
use crate::wire_name::split_name;
use crate::{Client, MAX_NSID_LEN, MIN_UDP_PAYLOAD};

/// An OPT record without options.
const OPT_LEN: usize = 11;

/// Code and length of an option.
const OPTION_HEAD_LEN: usize = 4;

const QR: u16 = 0x8000;
const AA: u16 = 0x0400;
const TC: u16 = 0x0200;
/// Opcode, RD and CD: what an answer repeats.
const REPEATED: u16 = 0x7910;
const DO: u16 = 0x8000;

/// Sections that records go to, in the order of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    Answer,
    Authority,
    Additional,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum WriteError {
    /// It does not fit; the message is as it was.
    #[error("the message has no room for the record")]
    Full,
    /// Stored RDATA is not what its type says.
    #[error("RDATA is damaged")]
    Damaged,
}

/// A message in the making.
pub(crate) struct MessageWriter<'w> {
    out: &'w mut Vec<u8>,
    names: &'w mut WrittenNames,
    nsid: Option<&'w [u8]>,
    /// Room for everything but OPT.
    limit: usize,
    header: Header,
    edns: Option<&'w Edns>,
    cookie: Option<CookieAnswer>,
    question_end: usize,
    counts: [u16; 3],
    pub(crate) authoritative: bool,
    pub(crate) truncated: bool,
    /// Why there is no answer, RFC 8914: only for answers without records, which it always fits into.
    pub(crate) explanation: Option<ExtendedErrorCode>,
    /// Of a query that is signed with a key that is not known here.
    pub(crate) bad_key: Option<Tsig<'w>>,
}

impl<'w> MessageWriter<'w> {
    /// Begins with header and question. The least that a transport carries is 512 bytes, which always hold these and OPT.
    pub(crate) fn new(
        out: &'w mut Vec<u8>,
        names: &'w mut WrittenNames,
        client: &Client<'w>,
        header: Header,
        query: &'w Query<'_>,
    ) -> Self {
        out.clear();
        out.resize(HEADER_LEN, 0);
        names.begin(HEADER_LEN);
        let edns = query.edns.as_ref();
        let mut writer = Self {
            out,
            names,
            nsid: None,
            limit: client.transport.limit(edns.map(|edns| edns.payload)),
            header,
            edns,
            cookie: None,
            explanation: None,
            bad_key: None,
            question_end: HEADER_LEN,
            counts: [0; 3],
            authoritative: false,
            truncated: false,
        };
        if let Some(question) = &query.question {
            writer.out.extend_from_slice(question.wire);
            writer.names.begin(HEADER_LEN + question.name.len());
            writer.question_end = writer.out.len();
        }
        if let Some(edns) = edns {
            writer.limit = writer.limit.saturating_sub(OPT_LEN);
            if edns.cookie.is_some() || edns.nsid {
                writer.choose_options(edns, client);
            }
        }
        writer
    }

    /// What an answer says of its server where the query asks: room for it is kept from the beginning.
    #[inline(never)]
    fn choose_options(&mut self, edns: &Edns, client: &Client<'w>) {
        self.cookie = edns.cookie.zip(client.cookies).map(|(option, cookies)| cookies.answer(&option));
        self.nsid = client.nsid.filter(|_| edns.nsid).map(|nsid| nsid.get(..MAX_NSID_LEN).unwrap_or(nsid));
        let lengths = [self.cookie.map(|_| CookieAnswer::LEN), self.nsid.map(<[u8]>::len)];
        let options_len: usize = lengths.into_iter().flatten().map(|len| OPTION_HEAD_LEN + len).sum();
        self.limit = self.limit.saturating_sub(options_len);
    }

    /// Whether the query asks for signatures and proofs.
    pub(crate) fn dnssec_ok(&self) -> bool {
        self.edns.is_some_and(|edns| edns.dnssec_ok)
    }

    /// Whether the query shows a cookie that we gave to its address.
    pub(crate) fn address_proven(&self) -> bool {
        self.cookie.is_some_and(|cookie| cookie.proven)
    }

    /// Adds one RRset, with its signatures where these are asked for: all of it or nothing.
    #[inline]
    pub(crate) fn rrset(
        &mut self,
        section: Section,
        owner: &[u8],
        rtype: Rtype,
        rrset: &Rrset<'_>,
    ) -> Result<(), WriteError> {
        if !self.dnssec_ok() || rtype == Rtype::RRSIG || rrset.signatures().is_empty() {
            return self.unsigned(section, owner, rtype, rrset);
        }
        let (len, used, counts) = (self.out.len(), self.names.count(), self.counts);
        self.unsigned(section, owner, rtype, rrset)?;
        let signatures = self.records(section, owner, Rtype::RRSIG, rrset.ttl, rrset.signatures().iter());
        if signatures.is_err() {
            self.out.truncate(len);
            self.names.forget_from(used);
            self.counts = counts;
        }
        signatures
    }

    fn unsigned(&mut self, section: Section, owner: &[u8], rtype: Rtype, rrset: &Rrset<'_>) -> Result<(), WriteError> {
        match rtype {
            Rtype::A => self.records(section, owner, rtype, rrset.ttl, rrset.fixed(4)),
            Rtype::AAAA => self.records(section, owner, rtype, rrset.ttl, rrset.fixed(16)),
            Rtype::RRSIG => self.records(section, owner, rtype, rrset.ttl, rrset.signatures().iter()),
            _ => self.records(section, owner, rtype, rrset.ttl, rrset.rdata().iter()),
        }
    }

    /// Adds records of one owner and type, all of them or nothing.
    pub(crate) fn records<'r>(
        &mut self,
        section: Section,
        owner: &[u8],
        rtype: Rtype,
        ttl: u32,
        rdata: impl Iterator<Item = &'r [u8]>,
    ) -> Result<(), WriteError> {
        let (len, used) = (self.out.len(), self.names.count());
        match self.try_records(owner, rtype, ttl, rdata) {
            Ok(records) => {
                if let Some(count) = self.counts.get_mut(section as usize) {
                    *count = count.saturating_add(records);
                }
                Ok(())
            }
            Err(error) => {
                self.out.truncate(len);
                self.names.forget_from(used);
                Err(error)
            }
        }
    }

    /// Forgets every record, for an answer that turns out to be SERVFAIL.
    pub(crate) fn reset(&mut self) {
        self.out.truncate(self.question_end);
        self.names.forget_from(0);
        self.counts = [0; 3];
        self.authoritative = false;
        self.truncated = false;
    }

    /// Adds OPT and TSIG and fills in the header. `rcode` is that of the header, `extended` the upper eight bits in OPT.
    pub(crate) fn finish(&mut self, rcode: Rcode, extended: u8) {
        if let Some(edns) = self.edns {
            self.out.push(0);
            self.out.extend_from_slice(&Rtype::OPT.to_int().to_be_bytes());
            self.out.extend_from_slice(&crate::DEFAULT_UDP_PAYLOAD.to_be_bytes());
            self.out.extend_from_slice(&[extended, 0]);
            self.out.extend_from_slice(&(if edns.dnssec_ok { DO } else { 0 }).to_be_bytes());
            let start = self.out.len();
            self.number(0);
            if let Some(cookie) = self.cookie {
                self.option(OptionCode::COOKIE, cookie.as_bytes());
            }
            if let Some(nsid) = self.nsid {
                self.option(OptionCode::NSID, nsid);
            }
            if let Some(explanation) = self.explanation {
                self.option(OptionCode::EXTENDED_ERROR, &explanation.to_int().to_be_bytes());
            }
            self.fill_in_length(start);
        }
        let signed = self.bad_key.take_if(|tsig| tsig_len(tsig) + self.out.len() <= usize::from(MIN_UDP_PAYLOAD));
        if let Some(tsig) = &signed {
            self.tsig(tsig);
        }
        let mut flags = QR | (self.header.flags & REPEATED) | u16::from(rcode.to_int());
        flags |= if self.authoritative { AA } else { 0 };
        flags |= if self.truncated { TC } else { 0 };
        let [answers, authorities, additionals] = self.counts;
        let questions = u16::from(self.question_end > HEADER_LEN);
        let additionals = additionals.saturating_add(u16::from(self.edns.is_some()) + u16::from(signed.is_some()));
        let numbers = [self.header.id, flags, questions, answers, authorities, additionals];
        for (place, number) in self.out.chunks_exact_mut(2).zip(numbers) {
            place.copy_from_slice(&number.to_be_bytes());
        }
    }

    fn try_records<'r>(
        &mut self,
        owner: &[u8],
        rtype: Rtype,
        ttl: u32,
        rdata: impl Iterator<Item = &'r [u8]>,
    ) -> Result<u16, WriteError> {
        let mut records: u16 = 0;
        for rdata in rdata {
            self.names.write(self.out, owner);
            let ([t0, t1], [c0, c1]) = (rtype.to_int().to_be_bytes(), Class::IN.to_int().to_be_bytes());
            let [l0, l1, l2, l3] = ttl.to_be_bytes();
            self.out.extend_from_slice(&[t0, t1, c0, c1, l0, l1, l2, l3, 0, 0]);
            let start = self.out.len() - 2;
            self.rdata(rtype, rdata)?;
            if self.out.len() > self.limit {
                return Err(WriteError::Full);
            }
            self.fill_in_length(start);
            records = records.saturating_add(1);
        }
        Ok(records)
    }

    /// A TSIG record without a signature, RFC 8945 section 5.3.2.
    fn tsig(&mut self, tsig: &Tsig<'_>) {
        self.out.extend_from_slice(tsig.owner.unwrap_or_default());
        self.number(Rtype::TSIG.to_int());
        self.number(Class::ANY.to_int());
        self.out.extend_from_slice(&[0; 4]);
        let start = self.out.len();
        self.number(0);
        self.out.extend_from_slice(tsig.algorithm);
        self.out.extend_from_slice(tsig.time);
        self.number(0);
        self.number(tsig.original_id);
        self.number(TsigRcode::BADKEY.to_int());
        self.number(0);
        self.fill_in_length(start);
    }

    fn number(&mut self, number: u16) {
        self.out.extend_from_slice(&number.to_be_bytes());
    }

    fn option(&mut self, code: OptionCode, data: &[u8]) {
        self.number(code.to_int());
        self.number(u16::try_from(data.len()).unwrap_or_default());
        self.out.extend_from_slice(data);
    }

    /// Two bytes at `start` say how many follow them: never more than a message has.
    fn fill_in_length(&mut self, start: usize) {
        let length = u16::try_from(self.out.len() - start - 2).unwrap_or_default();
        if let Some(place) = self.out.get_mut(start..start + 2) {
            place.copy_from_slice(&length.to_be_bytes());
        }
    }

    fn rdata(&mut self, rtype: Rtype, rdata: &[u8]) -> Result<(), WriteError> {
        let Some(names) = RdataField::compressed(rtype) else {
            self.out.extend_from_slice(rdata);
            return Ok(());
        };
        let (numbers, mut rest) = rdata.split_at_checked(names.after).ok_or(WriteError::Damaged)?;
        self.out.extend_from_slice(numbers);
        for _ in 0..names.count {
            let (name, after) = split_name(rest).ok_or(WriteError::Damaged)?;
            self.names.write(self.out, name);
            rest = after;
        }
        self.out.extend_from_slice(rest);
        Ok(())
    }
}

/// Bytes of a TSIG record that [`MessageWriter::finish`] writes; without an owner it writes none.
fn tsig_len(tsig: &Tsig<'_>) -> usize {
    /// Type, class, TTL, length; and lengths, original id and error in the RDATA.
    const HEAD_AND_NUMBERS: usize = 10 + 8;
    match tsig.owner {
        Some(owner) => owner.len() + HEAD_AND_NUMBERS + tsig.algorithm.len() + tsig.time.len(),
        None => usize::from(u16::MAX),
    }
}
