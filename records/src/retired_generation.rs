//! Describes a generation that is not served any more, because its zone has a newer one or was deleted. The core keeps
//! it for a while, so that the zone can be restored.

use serde_bytes::Bytes;
use zonecast_kv_proto::{positional, read_whole};

use crate::{Generation, Name, ValueError};

const FORMAT: u8 = 1;

positional! {
    /// The private value of a retired generation.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct RetiredGeneration<'a> {
        /// 1.
        pub format: u8,
        /// Where its keys are.
        pub generation: Generation,
        /// Since when, on the clock of the core, seconds of Unix time.
        pub since: u64,
        /// Apex of the zone in wire form.
        pub apex: &'a Bytes,
    }
}

impl<'a> RetiredGeneration<'a> {
    /// Of this zone, retired at this time.
    #[must_use]
    pub fn new(apex: &'a Name, generation: Generation, since: u64) -> Self {
        Self { format: FORMAT, generation, since, apex: Bytes::new(apex.as_wire()) }
    }

    /// Reads a stored value.
    ///
    /// # Errors
    /// The bytes are damaged or of another format.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, ValueError> {
        let value: Self = read_whole(bytes)?;
        if value.format != FORMAT {
            return Err(ValueError::Format(value.format));
        }
        value.apex()?;
        Ok(value)
    }

    /// The apex.
    ///
    /// # Errors
    /// The bytes are damaged; never after [`RetiredGeneration::decode`].
    pub fn apex(&self) -> Result<Name, ValueError> {
        Name::from_wire(self.apex).map_err(|_| ValueError::Field("apex"))
    }

    /// The bytes to store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        rmp_serde::to_vec(self).expect("plain data always encodes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote_and_refuses_every_truncation() {
        let apex: Name = "Example.com".parse().unwrap();
        let value = RetiredGeneration::new(&apex, Generation::new(9), 1_795_392_000);
        let bytes = value.encode();
        assert_eq!(RetiredGeneration::decode(&bytes).unwrap(), value);
        assert_eq!(value.apex().unwrap(), apex);
        for cut in 0..bytes.len() {
            assert!(RetiredGeneration::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
    }
}
