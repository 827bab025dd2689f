//! The types present at a node, as the type bit maps field of RFC 4034 section 4.1.2.

use domain::base::iana::Rtype;
use serde_bytes::Bytes;

use crate::ValueError;

/// A checked, borrowed bitmap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TypeBitmap<'a>(&'a [u8]);

impl<'a> TypeBitmap<'a> {
    /// Checks that the windows ascend and are whole. `field` names them in the error.
    ///
    /// # Errors
    /// A window is empty, too long, out of order or ends early.
    pub fn check(bytes: &'a Bytes, field: &'static str) -> Result<Self, ValueError> {
        let mut rest: &[u8] = bytes;
        let mut previous = None;
        while !rest.is_empty() {
            let (number, bits, after) = split_window(rest).ok_or(ValueError::Field(field))?;
            if bits.is_empty() || bits.len() > 32 || previous >= Some(number) {
                return Err(ValueError::Field(field));
            }
            previous = Some(number);
            rest = after;
        }
        Ok(Self(bytes))
    }

    /// Trusts that the bytes passed [`TypeBitmap::check`].
    #[must_use]
    pub fn checked(bytes: &'a Bytes) -> Self {
        Self(bytes)
    }

    /// Whether the type is present.
    #[must_use]
    pub fn contains(self, rtype: Rtype) -> bool {
        let [window, low] = rtype.to_int().to_be_bytes();
        let mut rest = self.0;
        while let Some((number, bits, after)) = split_window(rest) {
            if number == window {
                return bits.get(usize::from(low / 8)).is_some_and(|byte| byte & (0x80 >> (low % 8)) != 0);
            }
            rest = after;
        }
        false
    }

    /// Types present, ascending.
    pub fn iter(self) -> impl Iterator<Item = Rtype> + 'a {
        let mut rest = self.0;
        let windows = std::iter::from_fn(move || {
            let (number, bits, after) = split_window(rest)?;
            rest = after;
            Some((number, bits))
        });
        windows.flat_map(|(number, bits)| {
            (0..=u8::MAX)
                .filter(|low| bits.get(usize::from(low / 8)).is_some_and(|byte| byte & (0x80 >> (low % 8)) != 0))
                .map(move |low| Rtype::from_int(u16::from_be_bytes([number, low])))
        })
    }

    /// Whether no type is present: an empty non-terminal.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

fn split_window(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[number, length], rest) = bytes.split_first_chunk::<2>()?;
    let (bits, after) = rest.split_at_checked(usize::from(length))?;
    Some((number, bits, after))
}

/// Makes a bitmap.
#[derive(Clone, Debug, Default)]
pub struct TypeBitmapBuilder(Vec<u8>);

impl TypeBitmapBuilder {
    /// From types in any order.
    #[must_use]
    pub fn from_types(types: impl IntoIterator<Item = Rtype>) -> Self {
        let mut numbers: Vec<u16> = types.into_iter().map(Rtype::to_int).collect();
        numbers.sort_unstable();
        let mut bytes = Vec::new();
        for window in numbers.chunk_by(|one, other| one >> 8 == other >> 8) {
            let mut bits = [0_u8; 32];
            let mut used: u8 = 0;
            for [_, low] in window.iter().map(|number| number.to_be_bytes()) {
                if let Some(byte) = bits.get_mut(usize::from(low / 8)) {
                    *byte |= 0x80 >> (low % 8);
                }
                used = used.max(low / 8 + 1);
            }
            let [number, _] = window.first().copied().unwrap_or_default().to_be_bytes();
            bytes.extend_from_slice(&[number, used]);
            bytes.extend(bits.iter().take(usize::from(used)));
        }
        Self(bytes)
    }

    /// The bytes of the bitmap.
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        Bytes::new(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn holds_exactly_its_types(types in prop::collection::btree_set(any::<u16>(), 0..12), probe in any::<u16>()) {
            let builder = TypeBitmapBuilder::from_types(types.iter().copied().map(Rtype::from_int));
            let bitmap = TypeBitmap::check(builder.as_bytes(), "types").unwrap();
            prop_assert!(bitmap.iter().map(Rtype::to_int).eq(types.iter().copied()));
            prop_assert_eq!(bitmap.contains(Rtype::from_int(probe)), types.contains(&probe));
            prop_assert_eq!(bitmap.is_empty(), types.is_empty());
        }
    }

    #[test]
    fn cut_windows_are_refused() {
        let builder = TypeBitmapBuilder::from_types([Rtype::A, Rtype::from_int(1234)]);
        for cut in [1, 2, 4, 5] {
            assert!(TypeBitmap::check(Bytes::new(&builder.as_bytes()[..cut]), "types").is_err(), "cut at {cut}");
        }
    }
}
