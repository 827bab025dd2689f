//! Queries as they come in, RFC 1035 section 4.1 and RFC 6891.
//!
//! As NSD does it: records in the answer or authority section of a query are FORMERR, but for the SOA of an IXFR; bytes
//! after the last record are ignored. Records of the additional section other than OPT and TSIG are stepped over.

use domain::base::iana::{Class, Opcode, OptionCode, Rcode, Rtype};
use zonecast_records::Name;

use crate::cookie::CookieOption;
use crate::wire_name::split_name;

pub(crate) const HEADER_LEN: usize = 12;

/// What follows the name in a question.
const TYPE_AND_CLASS_LEN: usize = 4;

/// Bytes of the time at which a message was signed, and of its fudge.
const TSIG_TIME_LEN: usize = 8;

const QR: u16 = 0x8000;
const OPCODE_SHIFT: u32 = 11;

/// What an answer depends on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Query<'q> {
    /// When it could be read: it is repeated in the answer.
    pub(crate) question: Option<Question<'q>>,
    pub(crate) edns: Option<Edns>,
    pub(crate) tsig: Option<Tsig<'q>>,
}

/// What of a TSIG record is repeated to who signs with a key that is not known here, RFC 8945 section 5.2.1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tsig<'q> {
    /// Of the key, as it stands in the query: one that is compressed is not repeated.
    pub(crate) owner: Option<&'q [u8]>,
    pub(crate) algorithm: &'q [u8],
    /// When it was signed, and how much a clock may be wrong.
    pub(crate) time: &'q [u8; TSIG_TIME_LEN],
    pub(crate) original_id: u16,
}

/// The question, borrowed from the query.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'q> {
    /// All of it, as it stands in the query.
    pub(crate) wire: &'q [u8],
    /// A whole name without compression.
    pub(crate) name: &'q [u8],
    pub(crate) rtype: Rtype,
    pub(crate) class: Class,
}

/// What the OPT record says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Edns {
    pub(crate) payload: u16,
    pub(crate) version: u8,
    pub(crate) dnssec_ok: bool,
    pub(crate) cookie: Option<CookieOption>,
    /// Asks which server this is, RFC 5001.
    pub(crate) nsid: bool,
}

/// Id and flags, the only parts of a header that an answer repeats.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Header {
    pub(crate) id: u16,
    pub(crate) flags: u16,
}

impl Header {
    /// `None` when there is no id, or when it is itself a response: it gets no answer, so that two servers cannot keep
    /// each other busy.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut input = Input { bytes, at: 0 };
        let header = Self { id: input.number()?, flags: input.number()? };
        (bytes.len() >= HEADER_LEN && header.flags & QR == 0).then_some(header)
    }

    pub(crate) fn opcode(self) -> Opcode {
        let [_, opcode] = (self.flags >> OPCODE_SHIFT & 0xf).to_be_bytes();
        Opcode::from_int(opcode)
    }
}

impl<'q> Query<'q> {
    /// Reads a query, and its question's name into `name`; gives the question.
    ///
    /// # Errors
    /// The RCODE of an answer without records, NOERROR where the query asks for nothing but a cookie. What could be read
    /// before stands here.
    pub(crate) fn read(&mut self, header: Header, bytes: &'q [u8], name: &mut Name) -> Result<Question<'q>, Rcode> {
        let malformed = Rcode::FORMERR;
        let mut input = Input { bytes, at: 4 };
        let mut count = || input.number();
        let (questions, answers, authorities, additionals) = (
            count().ok_or(malformed)?,
            count().ok_or(malformed)?,
            count().ok_or(malformed)?,
            count().ok_or(malformed)?,
        );
        let opcode = header.opcode();
        if !matches!(opcode, Opcode::QUERY | Opcode::NOTIFY | Opcode::UPDATE) {
            // What else it has to say is not known here.
            let before = usize::from(answers) + usize::from(authorities);
            self.edns = input.find_edns(questions, before, additionals);
            return Err(Rcode::NOTIMP);
        }
        match questions {
            0 if opcode == Opcode::QUERY => {}
            1 => self.question = Some(input.question(name).ok_or(malformed)?),
            _ => return Err(malformed),
        }
        let is_ixfr = self.question.is_some_and(|question| question.rtype == Rtype::IXFR);
        if opcode == Opcode::QUERY && (answers != 0 || (authorities != 0 && !is_ixfr)) {
            return Err(malformed);
        }
        for _ in 0..usize::from(answers) + usize::from(authorities) {
            input.record().ok_or(malformed)?;
        }
        for _ in 0..additionals {
            // Nothing stands behind a TSIG record, RFC 8945 section 5.1.
            let record = input.record().filter(|_| self.tsig.is_none());
            match record.ok_or(malformed)? {
                Record::Opt(edns) if self.edns.is_none() => self.edns = Some(edns),
                Record::Opt(_) => return Err(malformed),
                Record::Tsig(tsig) => self.tsig = Some(tsig),
                Record::Other => {}
            }
        }
        match self.question {
            Some(question) => Ok(question),
            // RFC 7873 section 5.4.
            None if self.edns.is_some_and(|edns| edns.cookie.is_some()) => Err(Rcode::NOERROR),
            None => Err(malformed),
        }
    }
}

/// A record, as far as it matters.
enum Record<'a> {
    Opt(Edns),
    Tsig(Tsig<'a>),
    Other,
}

struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(len)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn number(&mut self) -> Option<u16> {
        self.take(2)?.first_chunk::<2>().map(|bytes| u16::from_be_bytes(*bytes))
    }

    fn question(&mut self, name: &mut Name) -> Option<Question<'a>> {
        name.read_wire(self.bytes.get(self.at..)?).ok()?;
        let wire = self.take(name.as_wire().len() + TYPE_AND_CLASS_LEN)?;
        let (name, &[t0, t1, c0, c1]) = wire.split_last_chunk::<TYPE_AND_CLASS_LEN>()?;
        let (rtype, class) = (u16::from_be_bytes([t0, t1]), u16::from_be_bytes([c0, c1]));
        Some(Question { wire, name, rtype: Rtype::from_int(rtype), class: Class::from_int(class) })
    }

    /// The OPT record of a message whose other records mean nothing here, if it can be found.
    fn find_edns(&mut self, questions: u16, before: usize, additionals: u16) -> Option<Edns> {
        for _ in 0..questions {
            self.skip_name()?;
            self.take(TYPE_AND_CLASS_LEN)?;
        }
        for _ in 0..before {
            self.record()?;
        }
        for _ in 0..additionals {
            if let Record::Opt(edns) = self.record()? {
                return Some(edns);
            }
        }
        None
    }

    /// Steps over one record; `None` when it is malformed.
    fn record(&mut self) -> Option<Record<'a>> {
        let start = self.at;
        let root = self.bytes.get(self.at) == Some(&0);
        self.skip_name()?;
        let owner = self.bytes.get(start..self.at)?;
        let rtype = Rtype::from_int(self.number()?);
        let payload = self.number()?;
        let [_, version] = self.number()?.to_be_bytes();
        let flags = self.number()?;
        let length = self.number()?;
        let mut options = Input { bytes: self.take(usize::from(length))?, at: 0 };
        if rtype == Rtype::TSIG {
            return options.tsig(owner).map(Record::Tsig);
        }
        if rtype != Rtype::OPT {
            return Some(Record::Other);
        }
        let (mut cookie, mut nsid) = (None, false);
        while options.at < options.bytes.len() {
            let code = OptionCode::from_int(options.number()?);
            let length = options.number()?;
            let data = options.take(usize::from(length))?;
            nsid |= code == OptionCode::NSID;
            // Of several the first counts, RFC 7873 section 5.2.
            if code == OptionCode::COOKIE && cookie.is_none() {
                cookie = Some(CookieOption::read(data)?);
            }
        }
        root.then_some(Record::Opt(Edns { payload, version, dnssec_ok: flags & 0x8000 != 0, cookie, nsid }))
    }

    /// RDATA of a TSIG record, RFC 8945 section 4.2.
    fn tsig(&mut self, owner: &'a [u8]) -> Option<Tsig<'a>> {
        let (algorithm, _) = split_name(self.bytes)?;
        self.take(algorithm.len())?;
        let time = self.take(TSIG_TIME_LEN)?.first_chunk::<TSIG_TIME_LEN>()?;
        let mac = self.number()?;
        self.take(usize::from(mac))?;
        let (original_id, _error) = (self.number()?, self.number()?);
        let other = self.number()?;
        self.take(usize::from(other))?;
        // A pointer ends a name that has no root label.
        let owner = Some(owner)
            .filter(|owner| split_name(owner).is_some_and(|(name, rest)| name.len() + rest.len() == owner.len()));
        Some(Tsig { owner, algorithm, time, original_id })
    }

    fn skip_name(&mut self) -> Option<()> {
        loop {
            match *self.take(1)?.first()? {
                0 => return Some(()),
                length @ 1..=63 => self.take(usize::from(length)).map(|_| ())?,
                192.. => return self.take(1).map(|_| ()),
                64..=191 => return None,
            }
        }
    }
}
