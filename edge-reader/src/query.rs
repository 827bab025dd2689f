//! Queries as they come in, RFC 1035 section 4.1 and RFC 6891.
//!
//! As NSD does it: records in the answer or authority section are FORMERR, bytes after the last record are ignored.
//! Records of the additional section other than OPT (a TSIG that nobody asked for) are stepped over.

use domain::base::iana::{Class, Opcode, OptionCode, Rcode, Rtype};
use zonecast_records::Name;

use crate::cookie::CookieOption;

pub(crate) const HEADER_LEN: usize = 12;

/// What follows the name in a question.
const TYPE_AND_CLASS_LEN: usize = 4;

const QR: u16 = 0x8000;
const OPCODE_SHIFT: u32 = 11;

/// What an answer depends on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Query<'q> {
    /// When it could be read: it is repeated in the answer.
    pub(crate) question: Option<Question<'q>>,
    pub(crate) edns: Option<Edns>,
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

    fn opcode(self) -> Opcode {
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
        if header.opcode() != Opcode::QUERY {
            return Err(Rcode::NOTIMP);
        }
        let malformed = Rcode::FORMERR;
        let mut input = Input { bytes, at: 4 };
        let mut count = || input.number();
        let (questions, answers, authorities, additionals) = (
            count().ok_or(malformed)?,
            count().ok_or(malformed)?,
            count().ok_or(malformed)?,
            count().ok_or(malformed)?,
        );
        match questions {
            0 => {}
            1 => self.question = Some(input.question(name).ok_or(malformed)?),
            _ => return Err(malformed),
        }
        if answers != 0 || authorities != 0 {
            return Err(malformed);
        }
        for _ in 0..additionals {
            match input.additional() {
                Some(None) => {}
                Some(opt) if self.edns.is_none() => self.edns = opt,
                Some(_) | None => return Err(malformed),
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

    /// Steps over one record; `None` when it is malformed, `Some(Some)` when it is OPT.
    fn additional(&mut self) -> Option<Option<Edns>> {
        let root = self.bytes.get(self.at) == Some(&0);
        self.skip_name()?;
        let rtype = Rtype::from_int(self.number()?);
        let payload = self.number()?;
        let [_, version] = self.number()?.to_be_bytes();
        let flags = self.number()?;
        let length = self.number()?;
        let mut options = Input { bytes: self.take(usize::from(length))?, at: 0 };
        if rtype != Rtype::OPT {
            return Some(None);
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
        root.then_some(Some(Edns { payload, version, dnssec_ok: flags & 0x8000 != 0, cookie, nsid }))
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
