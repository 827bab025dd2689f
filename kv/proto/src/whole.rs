//! Bytes that are one MessagePack value and nothing else.
//!
//! What a later release appends stands inside the array of the value, see [`positional!`](crate::positional). Bytes
//! after the array are damage, or something smuggled past whoever compares decoded values.

use rmp_serde::Deserializer;
use rmp_serde::decode::Error;
use serde::Deserialize;

/// Reads one value that ends where the bytes end.
///
/// # Errors
/// Not the MessagePack of this value, or more follows after it.
pub fn read_whole<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Error> {
    let mut deserializer = Deserializer::from_read_ref(bytes);
    let value = T::deserialize(&mut deserializer)?;
    if is_at_end(&mut deserializer) { Ok(value) } else { Err(serde::de::Error::custom("bytes after the end")) }
}

/// Whether nothing follows, not even half a value: the only way in which a scalar's first byte cannot be read.
pub(crate) fn is_at_end<'de>(deserializer: impl serde::Deserializer<'de, Error = Error>) -> bool {
    matches!(bool::deserialize(deserializer), Err(Error::InvalidMarkerRead(_)))
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
