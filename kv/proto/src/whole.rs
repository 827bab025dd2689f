//! Bytes that are one MessagePack value and nothing else.
//!
//! What a later release appends stands inside the array of the value, see [`positional!`](crate::positional). Bytes
//! after the array are damage, or something smuggled past whoever compares decoded values.

use rmp_serde::decode::Error;
use serde::{Deserialize, Deserializer as _};

use crate::wire_reader::WireReader;
use crate::{Fields, Positional};

/// Reads one value that ends where the bytes end.
///
/// # Errors
/// Not the MessagePack of this value, or more follows after it.
pub fn read_whole<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Error> {
    let mut slice = WireReader::new(bytes);
    let value = T::deserialize(&mut slice)?;
    at_end(&slice)?;
    Ok(value)
}

/// The same into a value that holds only defaults: for one that is large, and read for each answer.
///
/// # Errors
/// As [`read_whole`]; some of the fields may have been read.
#[inline]
pub fn read_whole_into<'a, T: Positional<'a>>(bytes: &'a [u8], value: &mut T) -> Result<(), Error> {
    let mut slice = WireReader::new(bytes);
    slice.deserialize_seq(Fields(value))?;
    at_end(&slice)
}

#[inline]
fn at_end(slice: &WireReader<'_>) -> Result<(), Error> {
    if slice.is_at_end() { Ok(()) } else { Err(serde::de::Error::custom("bytes after the end")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_follows_is_noticed() {
        let wire = rmp_serde::to_vec(&(1_u8, Some("x"), None::<u8>)).unwrap();
        let read = |bytes: &[u8]| read_whole::<(u8, Option<&str>, Option<u8>)>(bytes).map(|_| ()).is_ok();
        assert!(read(&wire));
        for byte in 0..=u8::MAX {
            assert!(!read(&[&wire[..], &[byte]].concat()), "{byte:#x}");
        }
        assert!(!read(&[&wire[..], &wire].concat()));
    }
}
