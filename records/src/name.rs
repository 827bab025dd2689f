//! A domain name on the stack: uncompressed wire form, letter case kept, compared without case.
//!
//! Text conversion is the `domain` crate's; this type exists because the answer path may not allocate and needs the
//! suffixes of a name at hand.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use domain::base::name::{FromStrError, UncertainName};
use thiserror::Error;

/// Longest name in wire form, RFC 1035 section 3.1.
pub const MAX_NAME_LEN: usize = 255;

const MAX_LABEL_LEN: u8 = 63;

/// Why bytes or text are not a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NameError {
    /// The bytes end inside the name.
    #[error("name ends early")]
    Short,
    /// The name is over [`MAX_NAME_LEN`] bytes.
    #[error("name is over 255 bytes")]
    Long,
    /// A length byte over 63: a compression pointer or an unknown label type.
    #[error("label of type or length {0} where only plain labels are allowed")]
    Label(u8),
    /// The text is not a name in presentation format.
    #[error("{0}")]
    Text(FromStrError),
}

/// A domain name, always absolute.
#[derive(Clone, Copy)]
pub struct Name {
    len: u8,
    labels: u8,
    wire: [u8; MAX_NAME_LEN],
}

impl Name {
    /// The root.
    pub const ROOT: Self = Self { len: 1, labels: 0, wire: [0; MAX_NAME_LEN] };

    /// Reads a name from the start of `bytes`; its length says how much it took.
    ///
    /// # Errors
    /// The bytes end early, hold a compression pointer, or the name is too long.
    pub fn from_wire(bytes: &[u8]) -> Result<Self, NameError> {
        let mut name = Self::ROOT;
        name.read_wire(bytes)?;
        Ok(name)
    }

    /// The same in place of another name, which stays where there is an error.
    ///
    /// # Errors
    /// As [`Name::from_wire`].
    pub fn read_wire(&mut self, bytes: &[u8]) -> Result<(), NameError> {
        let (mut at, mut labels) = (0, 0);
        loop {
            let length = *bytes.get(at).ok_or(NameError::Short)?;
            if length > MAX_LABEL_LEN {
                return Err(NameError::Label(length));
            }
            at += 1 + usize::from(length);
            if length == 0 {
                break;
            }
            if at >= MAX_NAME_LEN {
                return Err(NameError::Long);
            }
            labels += 1;
        }
        self.fill(bytes.get(..at).ok_or(NameError::Short)?);
        self.labels = labels;
        Ok(())
    }

    /// Reads presentation format; a name without a trailing dot is relative to `origin`.
    ///
    /// # Errors
    /// Bad escapes, empty or long labels, or a result that is too long.
    pub fn parse(text: &str, origin: &Self) -> Result<Self, NameError> {
        match text {
            "@" => return Ok(*origin),
            "." => return Ok(Self::ROOT),
            _ => {}
        }
        match UncertainName::<Vec<u8>>::from_chars(text.chars()).map_err(NameError::Text)? {
            UncertainName::Absolute(name) => Self::from_wire(name.as_slice()),
            UncertainName::Relative(name) => {
                let wire = [name.as_slice(), origin.as_wire()].concat();
                Self::from_wire(&wire)
            }
        }
    }

    /// From labels given from the apex down, below `apex`.
    ///
    /// # Errors
    /// The result is too long.
    pub fn below<'l>(apex: &Self, labels: impl DoubleEndedIterator<Item = &'l [u8]>) -> Result<Self, NameError> {
        let mut wire = [0; MAX_NAME_LEN];
        let mut at = 0;
        for label in labels.rev() {
            let length = u8::try_from(label.len()).ok().filter(|length| *length <= MAX_LABEL_LEN);
            let target = wire.get_mut(at..=at + label.len()).ok_or(NameError::Long)?;
            let (first, rest) = target.split_first_mut().ok_or(NameError::Long)?;
            *first = length.ok_or(NameError::Long)?;
            rest.copy_from_slice(label);
            at += 1 + label.len();
        }
        let end = at + apex.as_wire().len();
        wire.get_mut(at..end).ok_or(NameError::Long)?.copy_from_slice(apex.as_wire());
        Self::from_wire(wire.get(..end).ok_or(NameError::Long)?)
    }

    /// The wire form, final zero byte included.
    #[must_use]
    #[inline]
    pub fn as_wire(&self) -> &[u8] {
        self.wire.get(..usize::from(self.len)).expect("len is at most 255")
    }

    /// The wire form, and whatever follows it.
    pub(crate) fn room(&self) -> &[u8; MAX_NAME_LEN] {
        &self.wire
    }

    /// How many labels it has, the root's empty one not counted.
    #[must_use]
    #[inline]
    pub fn label_count(&self) -> usize {
        usize::from(self.labels)
    }

    /// Labels from left to right, without the root's.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> + Clone {
        Labels { rest: self.as_wire() }
    }

    /// The wire form of the rightmost `count` labels; the whole name when it has fewer.
    #[must_use]
    pub fn suffix_wire(&self, count: usize) -> &[u8] {
        let mut labels = Labels { rest: self.as_wire() };
        for _ in count..self.label_count() {
            labels.next();
        }
        labels.rest
    }

    /// The name of the rightmost `count` labels; itself when it has fewer.
    #[must_use]
    pub fn suffix(&self, count: usize) -> Self {
        let wire = self.suffix_wire(count);
        let mut name = Self::ROOT;
        name.labels = self.labels.min(u8::try_from(count).unwrap_or(u8::MAX));
        name.fill(wire);
        name
    }

    /// The name without its first label; `None` at the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.label_count().checked_sub(1).map(|count| self.suffix(count))
    }

    /// `*.` in front of it; `None` where that is too long for a name.
    #[must_use]
    pub fn wildcard_child(&self) -> Option<Self> {
        Self::below(self, std::iter::once(&b"*"[..])).ok()
    }

    /// Whether the first label is `*`.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        self.labels().next() == Some(b"*")
    }

    /// Whether it is `apex` or lies below it.
    #[must_use]
    pub fn is_within(&self, apex: &Self) -> bool {
        self.label_count() >= apex.label_count()
            && self.suffix_wire(apex.label_count()).eq_ignore_ascii_case(apex.as_wire())
    }

    /// With ASCII letters in lower case.
    #[must_use]
    pub fn to_lowercase(&self) -> Self {
        let mut lower = *self;
        lower.wire.make_ascii_lowercase();
        lower
    }

    /// Whether both are the same name in the same letter case.
    #[must_use]
    pub fn same_case(&self, other: &Self) -> bool {
        self.as_wire() == other.as_wire()
    }

    fn fill(&mut self, wire: &[u8]) {
        let target = self.wire.get_mut(..wire.len()).expect("callers checked the length");
        target.copy_from_slice(wire);
        self.len = u8::try_from(wire.len()).expect("callers checked the length");
    }
}

#[derive(Clone)]
struct Labels<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.rest.split_first().filter(|(length, _)| **length != 0)?;
        let (label, rest) = rest.split_at_checked(usize::from(*length))?;
        self.rest = rest;
        Some(label)
    }
}

/// Without letter case, RFC 4343. Length bytes are below 64, so they are not letters.
impl Default for Name {
    fn default() -> Self {
        Self::ROOT
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.as_wire().eq_ignore_ascii_case(other.as_wire())
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for byte in self.as_wire() {
            state.write_u8(byte.to_ascii_lowercase());
        }
    }
}

/// Canonical order, RFC 4034 section 6.1.
impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        domain::base::name::ToName::name_cmp(&self.as_domain(), &other.as_domain())
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Name {
    /// As the `domain` crate's type.
    #[must_use]
    pub fn as_domain(&self) -> &domain::base::Name<[u8]> {
        domain::base::Name::from_slice(self.as_wire()).expect("the wire form is valid")
    }
}

/// Presentation format with the trailing dot.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.label_count() == 0 {
            return f.write_str(".");
        }
        write!(f, "{}.", self.as_domain())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

impl std::str::FromStr for Name {
    type Err = NameError;

    /// Absolute, with or without the trailing dot.
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text, &Self::ROOT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_goes_both_ways() {
        let origin: Name = "example.com".parse().unwrap();
        assert_eq!(Name::parse("www", &origin).unwrap().to_string(), "www.example.com.");
        assert_eq!(Name::parse("www.", &origin).unwrap().to_string(), "www.");
        assert_eq!(Name::parse("@", &origin).unwrap(), origin);
        assert_eq!(Name::parse(r"a\.b\000c", &origin).unwrap().label_count(), 3);
        assert_eq!(Name::parse(r"a\.b\000c", &origin).unwrap().to_string(), r"a\.b\000c.example.com.");
        assert_eq!(Name::ROOT.to_string(), ".");
        assert_eq!(".".parse::<Name>().unwrap(), Name::ROOT);
        assert!(Name::parse("a..b", &origin).is_err());
        assert!(Name::parse(&"a.".repeat(128), &origin).is_err());
    }

    #[test]
    fn wire_is_bounded() {
        let longest = [&[1, b'a'].repeat(127)[..], &[0]].concat();
        assert_eq!(Name::from_wire(&longest).unwrap().label_count(), 127);
        let over = [&[1, b'a'].repeat(128)[..], &[0]].concat();
        assert_eq!(Name::from_wire(&over), Err(NameError::Long));
        assert_eq!(Name::from_wire(&[3, b'a']), Err(NameError::Short));
        assert_eq!(Name::from_wire(&[3]), Err(NameError::Short));
        assert_eq!(Name::from_wire(&[]), Err(NameError::Short));
        assert_eq!(Name::from_wire(&[0xc0, 0]), Err(NameError::Label(0xc0)));
        assert!(Name::from_wire(&longest).unwrap().wildcard_child().is_none());
    }

    #[test]
    fn suffixes_and_case() {
        let name: Name = "WWW.Example.com".parse().unwrap();
        let apex: Name = "example.COM".parse().unwrap();
        assert!(name.is_within(&apex) && apex.is_within(&apex) && !apex.is_within(&name));
        assert!(name.is_within(&Name::ROOT));
        assert_eq!(name.suffix(2), apex);
        assert_eq!(name.parent(), Some(apex));
        assert!(!name.suffix(2).same_case(&apex));
        assert_eq!(Name::ROOT.parent(), None);
        assert!(!"notexample.com".parse::<Name>().unwrap().is_within(&apex));
    }
}
