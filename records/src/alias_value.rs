//! Tells which zone has an apex CNAME whose chain passes through a name. The core looks it up when the name changes.

use serde_bytes::Bytes;
use zonecast_kv_proto::{positional, read_whole};

use crate::{Name, ValueError};

const FORMAT: u8 = 1;

positional! {
    /// The private value of an alias that leads through a name.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct AliasValue<'a> {
        /// 1.
        pub format: u8,
        /// Apex of the zone that flattens it, in wire form.
        pub apex: &'a Bytes,
    }
}

impl<'a> AliasValue<'a> {
    /// Of this zone.
    #[must_use]
    pub fn new(apex: &'a Name) -> Self {
        Self { format: FORMAT, apex: Bytes::new(apex.as_wire()) }
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
    /// The bytes are damaged; never after [`AliasValue::decode`].
    pub fn apex(&self) -> Result<Name, ValueError> {
        Name::from_wire(self.apex).map_err(|_| ValueError::Field("apex"))
    }

    /// The bytes to store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        rmp_serde::to_vec(self).expect("plain data always encodes")
    }
}
