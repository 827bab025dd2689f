//! [`positional!`](crate::positional): structs that are MessagePack arrays which only ever grow at the end.
//!
//! Every value and frame of zonecast is such a struct. A writer leaves out trailing fields that hold their default;
//! a reader gives missing fields their default and skips fields it does not know. So a field can be appended
//! without a new format number, and releases one step apart read each other.

use std::fmt;

use serde::de::{SeqAccess, Visitor};

/// A struct that [`positional!`](crate::positional) declares.
pub trait Positional<'de> {
    /// For errors.
    const NAME: &'static str;

    /// Puts into their places the fields that are there; the others stay.
    ///
    /// # Errors
    /// A field is not of its type.
    fn read_fields<A: SeqAccess<'de>>(&mut self, fields: A) -> Result<(), A::Error>;
}

/// Reads an array into the fields of a struct.
#[derive(Debug)]
pub struct Fields<'v, T>(pub &'v mut T);

impl<'de, T: Positional<'de>> Visitor<'de> for Fields<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the fields of {}", T::NAME)
    }

    #[inline]
    fn visit_seq<A: SeqAccess<'de>>(self, fields: A) -> Result<(), A::Error> {
        self.0.read_fields(fields)
    }
}

/// Declares a struct with serde implementations as described in the module.
///
/// Field types need `Default` and `PartialEq`. A struct may borrow from the input with one lifetime, named `'a`.
///
/// A `Vec` may say `where len <= MAX`: more elements are refused before they are kept. An element that holds only
/// defaults is one byte, so without that a message can claim many times its own size.
#[macro_export]
macro_rules! positional {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident<'a> { $( $(#[$field_meta:meta])* $field_vis:vis $field:ident: $type:ty $(where len <= $max:expr)?, )+ }
    ) => {
        $(#[$meta])*
        $vis struct $name<'a> { $( $(#[$field_meta])* $field_vis $field: $type, )+ }
        $crate::positional!(@serde ('de: 'a, 'a) ($name<'a>) $name $($field: $type $(where len <= $max)?,)+);
    };
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident { $( $(#[$field_meta:meta])* $field_vis:vis $field:ident: $type:ty $(where len <= $max:expr)?, )+ }
    ) => {
        $(#[$meta])*
        $vis struct $name { $( $(#[$field_meta])* $field_vis $field: $type, )+ }
        $crate::positional!(@serde ('de) ($name) $name $($field: $type $(where len <= $max)?,)+);
    };
    (@serde ($de:lifetime $(: $bound:lifetime, $a:lifetime)?) ($self:ty) $name:ident $($field:ident: $type:ty $(where len <= $max:expr)?,)+) => {
        impl$(<$a>)? serde::Serialize for $self {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeTuple;
                let (mut position, mut used) = (0_usize, 0_usize);
                $(
                    position += 1;
                    if self.$field != <$type>::default() {
                        used = position;
                    }
                )+
                let mut tuple = serializer.serialize_tuple(used)?;
                position = 0;
                $(
                    if position < used {
                        tuple.serialize_element(&self.$field)?;
                    }
                    position += 1;
                )+
                let _ = position;
                tuple.end()
            }
        }

        impl<$de $(: $bound, $a)?> $crate::Positional<$de> for $self {
            const NAME: &'static str = stringify!($name);

            #[inline]
            fn read_fields<A: serde::de::SeqAccess<$de>>(&mut self, mut fields: A) -> Result<(), A::Error> {
                $(
                    match $crate::positional!(@next fields, $type $(, $max)?) {
                        Some(field) => self.$field = field,
                        None => return Ok(()),
                    }
                )+
                while fields.next_element::<serde::de::IgnoredAny>()?.is_some() {}
                Ok(())
            }
        }

        impl<$de $(: $bound, $a)?> serde::Deserialize<$de> for $self {
            fn deserialize<D: serde::Deserializer<$de>>(deserializer: D) -> Result<Self, D::Error> {
                let mut value = $name { $( $field: <$type>::default(), )+ };
                deserializer.deserialize_seq($crate::Fields(&mut value))?;
                Ok(value)
            }
        }
    };
    (@next $fields:ident, $type:ty) => { $fields.next_element_seed(std::marker::PhantomData::<$type>)? };
    (@next $fields:ident, $type:ty, $max:expr) => { $fields.next_element_seed($crate::AtMost::new($max))? };
}

#[cfg(test)]
mod tests {
    use serde_bytes::Bytes;

    positional! {
        /// Release one.
        #[derive(Debug, Default, PartialEq)]
        struct Old<'a> {
            /// A number.
            number: u8,
            /// Borrowed.
            bytes: &'a Bytes,
        }
    }

    positional! {
        /// Release two.
        #[derive(Debug, Default, PartialEq)]
        struct New<'a> {
            /// A number.
            number: u8,
            /// Borrowed.
            bytes: &'a Bytes,
            /// Appended.
            more: Option<u32>,
        }
    }

    #[test]
    fn releases_read_each_other() {
        let new = New { number: 1, bytes: Bytes::new(b"xy"), more: Some(7) };
        let wire = rmp_serde::to_vec(&(new, 5_u8)).unwrap();
        let (old, after): (Old<'_>, u8) = rmp_serde::from_slice(&wire).unwrap();
        assert_eq!(old, Old { number: 1, bytes: Bytes::new(b"xy") });
        assert_eq!(after, 5, "what follows a longer array is still read at its place");

        let wire = rmp_serde::to_vec(&Old { number: 0, bytes: Bytes::new(b"z") }).unwrap();
        let new: New<'_> = rmp_serde::from_slice(&wire).unwrap();
        assert_eq!(new, New { number: 0, bytes: Bytes::new(b"z"), more: None });
    }

    #[test]
    fn trailing_defaults_take_no_space() {
        assert_eq!(rmp_serde::to_vec(&New::default()).unwrap(), [0x90]);
        let one = New { number: 3, ..New::default() };
        assert_eq!(rmp_serde::to_vec(&one).unwrap(), [0x91, 3]);
    }

    #[test]
    fn truncation_is_an_error_at_every_byte() {
        let wire = rmp_serde::to_vec(&New { number: 1, bytes: Bytes::new(b"xy"), more: Some(70_000) }).unwrap();
        for cut in 0..wire.len() {
            assert!(rmp_serde::from_slice::<New<'_>>(&wire[..cut]).is_err(), "cut at {cut}");
        }
    }
}
