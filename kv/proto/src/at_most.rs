//! A `Vec` from outside that may hold so many elements and no more.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};

/// Reads a `Vec` of at most so many elements. See [`positional!`](crate::positional).
#[derive(Clone, Copy, Debug)]
pub struct AtMost<T> {
    max: usize,
    element: PhantomData<T>,
}

impl<T> AtMost<T> {
    /// Up to and with `max` elements.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { max, element: PhantomData }
    }
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for AtMost<T> {
    type Value = Vec<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<T>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for AtMost<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {} elements", self.max)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<T>, A::Error> {
        // A claimed length is checked and not trusted: nothing is reserved for it.
        if let Some(claimed) = elements.size_hint().filter(|claimed| *claimed > self.max) {
            return Err(A::Error::invalid_length(claimed, &self));
        }
        let mut read = Vec::new();
        while let Some(element) = elements.next_element()? {
            if read.len() == self.max {
                return Err(A::Error::invalid_length(self.max + 1, &self));
            }
            read.push(element);
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(wire: &[u8], max: usize) -> Result<Vec<u64>, rmp_serde::decode::Error> {
        AtMost::new(max).deserialize(&mut rmp_serde::Deserializer::from_read_ref(wire))
    }

    #[test]
    fn one_too_many_is_refused() {
        let wire = rmp_serde::to_vec(&[7_u64; 5]).unwrap();
        assert_eq!(read(&wire, 5).unwrap(), [7; 5]);
        assert!(read(&wire, 4).unwrap_err().to_string().contains("at most 4"));
    }

    #[test]
    fn a_claimed_length_reserves_nothing() {
        // An array that says it has 2^32 - 1 elements, and has one.
        let wire = [0xdd, 0xff, 0xff, 0xff, 0xff, 7];
        assert!(read(&wire, usize::MAX).is_err());
        let claims_none =
            serde::de::value::SeqDeserializer::<_, serde::de::value::Error>::new(std::iter::repeat(7_u64));
        assert!(AtMost::<u64>::new(1000).deserialize(claims_none).is_err(), "an endless one ends");
        assert!(read(&rmp_serde::to_vec(&[0_u64; 3]).unwrap(), 1000).unwrap().capacity() < 16);
    }
}
