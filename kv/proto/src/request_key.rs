//! The key under which a client asks for a change, so that it can ask again when it has not heard the answer.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Microseconds of a millisecond.
const MILLISECOND: u64 = 1000;
/// Digits of a key in each of its parts.
const PARTS: [usize; 5] = [8, 4, 4, 4, 12];

/// A UUID of version 7, drawn by the client for one change: its first 48 bits are the milliseconds of Unix time when it
/// was made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestKey(u128);

/// Why something is not a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a UUID of version 7")]
pub struct RequestKeyError;

impl RequestKey {
    /// From the bits of a UUID.
    ///
    /// # Errors
    /// It has another version or variant.
    pub const fn new(bits: u128) -> Result<Self, RequestKeyError> {
        let (version, variant) = (bits >> 76 & 0xf, bits >> 62 & 0b11);
        if version == 7 && variant == 0b10 { Ok(Self(bits)) } else { Err(RequestKeyError) }
    }

    /// The key made at this millisecond of Unix time with these other bits, of which some are overwritten.
    #[must_use]
    pub const fn made_at(ms: u64, other: u128) -> Self {
        let free = other & 0x0fff_3fff_ffff_ffff_ffff;
        Self((ms as u128) << 80 | free | 7 << 76 | 0b10 << 62)
    }

    /// Its bits.
    #[must_use]
    pub const fn get(self) -> u128 {
        self.0
    }

    /// When it was made, milliseconds of Unix time.
    #[must_use]
    pub const fn made_ms(self) -> u64 {
        (self.0 >> 80) as u64
    }

    /// The same in microseconds.
    #[must_use]
    pub const fn made_us(self) -> u64 {
        self.made_ms() * MILLISECOND
    }
}

impl FromStr for RequestKey {
    type Err = RequestKeyError;

    /// From 32 hexadecimal digits in five parts.
    fn from_str(text: &str) -> Result<Self, RequestKeyError> {
        let is_hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !text.split('-').map(str::len).eq(PARTS) || !text.split('-').all(is_hex) {
            return Err(RequestKeyError);
        }
        Self::new(u128::from_str_radix(&text.replace('-', ""), 16).map_err(|_| RequestKeyError)?)
    }
}

impl fmt::Display for RequestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:032x}", self.0);
        let mut rest = &digits[..];
        for (number, len) in PARTS.into_iter().enumerate() {
            let (part, after) = rest.split_at(len);
            write!(f, "{}{part}", if number == 0 { "" } else { "-" })?;
            rest = after;
        }
        Ok(())
    }
}

impl fmt::Debug for RequestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_says_when_it_was_made() {
        // The example of RFC 9562, appendix A.6: made on 2022-02-22 at 19:22:22 GMT.
        let text = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
        let key: RequestKey = text.parse().unwrap();
        assert_eq!((key.made_ms(), key.to_string()), (0x017f_22e2_79b0, text.to_owned()));
        assert_eq!(text.to_uppercase().parse(), Ok(key));
        assert_eq!(RequestKey::made_at(key.made_ms(), key.get()), key);
        let made = RequestKey::made_at((1 << 48) - 1, u128::MAX);
        assert_eq!(RequestKey::new(made.get()), Ok(made));
    }

    #[test]
    fn what_is_no_uuid_of_version_7_is_no_key() {
        for text in [
            "",
            "017f22e279b07cc398c4dc0c0c07398f",
            "017f22e2-79b0-4cc3-98c4-dc0c0c07398f",
            "017f22e2-79b0-7cc3-18c4-dc0c0c07398f",
            "017f22e2-79b0-7cc3-98c4-dc0c0c07398f-",
            "+17f22e2-79b0-7cc3-98c4-dc0c0c07398f",
            "017f22e-279b0-7cc3-98c4-dc0c0c07398f",
            "017f22é-79b0-7cc3-98c4-dc0c0c07398f",
        ] {
            assert_eq!(text.parse::<RequestKey>(), Err(RequestKeyError), "{text}");
        }
    }
}
