//! The short way through MessagePack that lies in memory.
//!
//! Arrays, numbers without a sign, bytes and what is optional are read here, because values and frames are made of them
//! and an edge decodes one or two values for each answer. Everything else, and whatever is cut off, is left to
//! rmp-serde, so that there is one judge of what is well-formed. Nesting is not counted: none of our types holds itself.

use rmp_serde::Deserializer;
use rmp_serde::decode::Error;
use serde::Deserialize as _;
use serde::de::{DeserializeSeed, IgnoredAny, SeqAccess, Visitor};

const NIL: u8 = 0xc0;
const BIN8: u8 = 0xc4;
const BIN16: u8 = 0xc5;
const BIN32: u8 = 0xc6;
const U8: u8 = 0xcc;
const U64: u8 = 0xcf;
const ARRAY16: u8 = 0xdc;
const ARRAY32: u8 = 0xdd;

/// Reads values one after the other.
#[derive(Debug)]
pub(crate) struct WireReader<'de> {
    rest: &'de [u8],
}

impl<'de> WireReader<'de> {
    pub(crate) fn new(bytes: &'de [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Lets rmp-serde read the next value.
    #[cold]
    fn other<T>(
        &mut self,
        read: impl FnOnce(&mut Deserializer<rmp_serde::decode::ReadRefReader<'de, [u8]>>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut skipping = Deserializer::new(self.rest);
        IgnoredAny::deserialize(&mut skipping)?;
        let (value, rest) = self.rest.split_at(self.rest.len() - skipping.get_ref().len());
        self.rest = rest;
        read(&mut Deserializer::from_read_ref(value))
    }

    /// A number without a sign, and what follows it.
    #[inline]
    fn number(&self) -> Option<(u64, &'de [u8])> {
        let (marker, rest) = self.rest.split_first()?;
        Some(match *marker {
            0..0x80 => (u64::from(*marker), rest),
            U8..=U64 => {
                let (bytes, rest) = rest.split_at_checked(1 << (*marker - U8))?;
                (bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)), rest)
            }
            _ => return None,
        })
    }

    #[inline]
    fn bytes(&self) -> Option<(&'de [u8], &'de [u8])> {
        let (marker, rest) = self.rest.split_first()?;
        let (len, rest) = match *marker {
            BIN8 => rest.split_first().map(|(len, rest)| (usize::from(*len), rest))?,
            BIN16 => rest.split_first_chunk().map(|(len, rest)| (usize::from(u16::from_be_bytes(*len)), rest))?,
            BIN32 => rest.split_first_chunk().map(|(len, rest)| (u32::from_be_bytes(*len) as usize, rest))?,
            _ => return None,
        };
        rest.split_at_checked(len)
    }

    /// Reads so many elements.
    #[inline]
    fn elements<V: Visitor<'de>>(&mut self, len: usize, visitor: V) -> Result<V::Value, Error> {
        let mut elements = Elements { slice: self, left: len };
        let value = visitor.visit_seq(&mut elements)?;
        let read = u32::try_from(len - elements.left).unwrap_or(u32::MAX);
        if elements.left == 0 { Ok(value) } else { Err(Error::LengthMismatch(read)) }
    }

    /// How many elements an array has, and what follows that.
    #[inline]
    fn array(&self) -> Option<(usize, &'de [u8])> {
        let (marker, rest) = self.rest.split_first()?;
        match *marker {
            0x90..0xa0 => Some((usize::from(*marker & 0xf), rest)),
            ARRAY16 => rest.split_first_chunk().map(|(len, rest)| (usize::from(u16::from_be_bytes(*len)), rest)),
            ARRAY32 => rest.split_first_chunk().map(|(len, rest)| (u32::from_be_bytes(*len) as usize, rest)),
            _ => None,
        }
    }
}

/// Methods by what they read: what is left to rmp-serde, numbers, bytes, arrays.
macro_rules! methods {
    (
        other { $($other:ident($($argument:ident: $type:ty),*);)+ }
        number { $($number:ident,)+ }
        bytes { $($bytes:ident,)+ }
        array { $($array:ident($($with:ident: $of:ty),*);)+ }
    ) => {
        $(
            fn $other<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, Error> {
                self.other(|other| other.$other($($argument,)* visitor))
            }
        )+
        $(
            #[inline]
            fn $number<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
                match self.number() {
                    Some((number, rest)) => {
                        self.rest = rest;
                        visitor.visit_u64(number)
                    }
                    None => self.other(|other| other.$number(visitor)),
                }
            }
        )+
        $(
            #[inline]
            fn $bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
                match self.bytes() {
                    Some((bytes, rest)) => {
                        self.rest = rest;
                        visitor.visit_borrowed_bytes(bytes)
                    }
                    None => self.other(|other| other.$bytes(visitor)),
                }
            }
        )+
        $(
            #[inline]
            fn $array<V: Visitor<'de>>(self, $($with: $of,)* visitor: V) -> Result<V::Value, Error> {
                match self.array() {
                    Some((len, rest)) => {
                        self.rest = rest;
                        self.elements(len, visitor)
                    }
                    None => self.other(|other| other.$array($($with,)* visitor)),
                }
            }
        )+
    };
}

impl<'de> serde::Deserializer<'de> for &mut WireReader<'de> {
    type Error = Error;

    fn is_human_readable(&self) -> bool {
        false
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.rest.split_first() {
            Some((&NIL, rest)) => {
                self.rest = rest;
                visitor.visit_none()
            }
            _ => visitor.visit_some(self),
        }
    }

    methods! {
        other {
            deserialize_any();
            deserialize_bool();
            deserialize_i8();
            deserialize_i16();
            deserialize_i32();
            deserialize_i64();
            deserialize_i128();
            deserialize_u128();
            deserialize_f32();
            deserialize_f64();
            deserialize_char();
            deserialize_str();
            deserialize_string();
            deserialize_unit();
            deserialize_unit_struct(name: &'static str);
            deserialize_newtype_struct(name: &'static str);
            deserialize_tuple_struct(name: &'static str, len: usize);
            deserialize_map();
            deserialize_enum(name: &'static str, variants: &'static [&'static str]);
            deserialize_identifier();
            deserialize_ignored_any();
        }
        number {
            deserialize_u8,
            deserialize_u16,
            deserialize_u32,
            deserialize_u64,
        }
        bytes {
            deserialize_bytes,
            deserialize_byte_buf,
        }
        array {
            deserialize_seq();
            deserialize_tuple(len: usize);
            deserialize_struct(name: &'static str, fields: &'static [&'static str]);
        }
    }
}

/// Elements of an array.
struct Elements<'s, 'de> {
    slice: &'s mut WireReader<'de>,
    left: usize,
}

impl<'de> SeqAccess<'de> for &mut Elements<'_, 'de> {
    type Error = Error;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        seed.deserialize(&mut *self.slice).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_bytes::Bytes;

    use super::*;
    use crate::positional;

    positional! {
        /// What a value can be made of, and more.
        #[derive(Clone, Debug, Default, PartialEq)]
        struct Sample<'a> {
            /// Numbers of each size.
            small: u8,
            /// Two bytes.
            middle: u16,
            /// Four bytes.
            large: u32,
            /// Eight bytes.
            huge: u64,
            /// Borrowed.
            bytes: &'a Bytes,
            /// Perhaps another.
            inner: Option<Inner<'a>>,
            /// With serde's own derivation.
            derived: Derived,
            /// What this reader leaves to another.
            text: String,
            /// The same.
            pair: (bool, i64),
            /// More than a few.
            list: Vec<u64>,
        }
    }

    #[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Derived {
        one: u32,
        other: u64,
    }

    positional! {
        /// One within another.
        #[derive(Clone, Debug, Default, PartialEq)]
        struct Inner<'a> {
            /// A number.
            number: u32,
            /// Borrowed.
            bytes: &'a Bytes,
        }
    }

    type SampleParts = (u8, u16, u32, u64, Vec<u8>, Option<(u32, Vec<u8>)>, String, (bool, i64), Vec<u64>);

    fn parts() -> impl Strategy<Value = SampleParts> {
        let bytes = || prop::collection::vec(any::<u8>(), 0..300);
        let number = || prop_oneof![any::<u64>(), 0..300_u64];
        (
            any::<u8>(),
            any::<u16>(),
            any::<u32>(),
            number(),
            bytes(),
            prop::option::of((any::<u32>(), bytes())),
            ".{0,9}",
            any::<(bool, i64)>(),
            prop::collection::vec(number(), 0..40),
        )
    }

    fn written((small, middle, large, huge, bytes, inner, text, pair, list): &SampleParts) -> Vec<u8> {
        let inner = inner.as_ref().map(|(number, bytes)| Inner { number: *number, bytes: Bytes::new(bytes) });
        let (small, middle, large, huge) = (*small, *middle, *large, *huge);
        let (text, list) = (text.clone(), list.clone());
        let (bytes, derived) = (Bytes::new(bytes), Derived { one: large, other: huge });
        let sample = Sample { small, middle, large, huge, bytes, inner, derived, text, pair: *pair, list };
        rmp_serde::to_vec(&sample).unwrap()
    }

    /// Reads both ways, says whether it could be read, and compares.
    fn compare(wire: &[u8]) -> Result<bool, TestCaseError> {
        let theirs: Result<Sample<'_>, Error> = rmp_serde::from_slice(wire);
        let ours = Sample::deserialize(&mut WireReader::new(wire));
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => prop_assert_eq!(ours, theirs),
            (Err(_), Err(_)) => return Ok(false),
            (ours, theirs) => prop_assert!(false, "{:?} is not {:?}", ours, theirs),
        }
        Ok(true)
    }

    proptest! {
        #[test]
        fn it_reads_what_rmp_serde_reads(parts in parts(), at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
            let wire = written(&parts);
            prop_assert!(compare(&wire)?);
            prop_assert!(!compare(&wire[..cut.index(wire.len())])?);
            let mut damaged = wire;
            let at = at.index(damaged.len());
            damaged[at] = byte;
            compare(&damaged)?;
        }

        #[test]
        fn it_stops_where_the_value_ends(parts in parts(), after in prop::collection::vec(any::<u8>(), 0..9)) {
            let wire = [written(&parts), after.clone()].concat();
            let mut slice = WireReader::new(&wire);
            Sample::deserialize(&mut slice).unwrap();
            prop_assert_eq!(slice.rest, &after);
        }

        #[test]
        fn any_bytes_are_read_or_refused_alike(bytes in prop::collection::vec(any::<u8>(), 0..60), short in 0..16_u8) {
            compare(&bytes)?;
            compare(&[&[0x90 | short], &bytes[..]].concat())?;
        }
    }
}
