//! Limits on what a write may do to a zone without `--allow-shrink`. A zone has its own guards, or those of the store,
//! or the defaults.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use zonecast_kv_proto::{positional, read_whole};

use crate::ValueError;

const FORMAT: u8 = 1;

/// A share of 0 to 100 of a hundred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u8);

/// What happens to a write that sets a lower serial than the zone has, RFC 1982.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum OlderSerial {
    /// It is done, with a warning.
    Warn = 1,
    /// The write is refused.
    Refuse = 2,
}

/// The guards of a zone or of the whole store; `None` falls back to the store or the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Guards {
    /// The largest share of a zone's records that a write may take away.
    pub max_shrink: Option<Percent>,
    /// What happens to a write that sets a lower serial.
    pub older_serial: Option<OlderSerial>,
}

positional! {
    /// The private value of what is chosen for the whole store.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    struct StoreValue {
        format: u8,
        max_shrink: u8,
        older_serial: u8,
    }
}

/// Not one of the words.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is neither warn nor refuse")]
pub struct OlderSerialError(String);

impl Percent {
    /// All of it.
    pub const ALL: Self = Self(100);

    /// `None` above 100.
    #[must_use]
    pub const fn new(share: u8) -> Option<Self> {
        if share <= 100 { Some(Self(share)) } else { None }
    }

    /// Of a hundred.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Whether `part` is more than this share of `whole`.
    #[must_use]
    pub fn is_exceeded(self, part: u64, whole: u64) -> bool {
        u128::from(part) * 100 > u128::from(whole) * u128::from(self.0)
    }
}

impl Guards {
    /// With this share, or as the store has it.
    #[must_use]
    pub const fn with_max_shrink(self, max_shrink: Option<Percent>) -> Self {
        Self { max_shrink, ..self }
    }

    /// With this treatment of a lower serial, or as the store has it.
    #[must_use]
    pub const fn with_older_serial(self, older_serial: Option<OlderSerial>) -> Self {
        Self { older_serial, ..self }
    }
}

impl OlderSerial {
    const ALL: [Self; 2] = [Self::Warn, Self::Refuse];
}

impl fmt::Display for OlderSerial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warn => "warn",
            Self::Refuse => "refuse",
        })
    }
}

impl FromStr for OlderSerial {
    type Err = OlderSerialError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|word| word.to_string() == text);
        found.ok_or_else(|| OlderSerialError(text.to_owned()))
    }
}

impl Guards {
    /// Where nothing is chosen. Half a zone rarely goes on purpose; a serial goes back after any change by the API.
    const DEFAULT: (Percent, OlderSerial) = (Percent(50), OlderSerial::Warn);

    /// These, and where they choose nothing, others.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self {
            max_shrink: self.max_shrink.or(others.max_shrink),
            older_serial: self.older_serial.or(others.older_serial),
        }
    }

    /// The largest share of a zone's records that a write may take away.
    #[must_use]
    pub fn max_shrink(self) -> Percent {
        self.max_shrink.unwrap_or(Self::DEFAULT.0)
    }

    /// What happens to a write that sets a lower serial.
    #[must_use]
    pub fn older_serial(self) -> OlderSerial {
        self.older_serial.unwrap_or(Self::DEFAULT.1)
    }

    /// As they are stored: the share and one, and the word; 0 where nothing is chosen.
    pub(crate) fn to_numbers(self) -> (u8, u8) {
        (self.max_shrink.map_or(0, |share| share.0 + 1), self.older_serial.map_or(0, |word| word as u8))
    }

    /// `None` for numbers that are none.
    pub(crate) fn from_numbers(max_shrink: u8, older_serial: u8) -> Option<Self> {
        let max_shrink = match max_shrink {
            0 => None,
            number => Some(Percent::new(number - 1)?),
        };
        let older_serial = match older_serial {
            0 => None,
            number => Some(OlderSerial::ALL.into_iter().find(|word| *word as u8 == number)?),
        };
        Some(Self { max_shrink, older_serial })
    }

    /// Reads what is stored for the whole store.
    ///
    /// # Errors
    /// The bytes are damaged or of another format.
    pub fn decode(bytes: &[u8]) -> Result<Self, ValueError> {
        let StoreValue { format, max_shrink, older_serial } = read_whole(bytes)?;
        match Self::from_numbers(max_shrink, older_serial) {
            _ if format != FORMAT => Err(ValueError::Format(format)),
            guards => guards.ok_or(ValueError::Field("guards")),
        }
    }

    /// The bytes to store for the whole store.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        let (max_shrink, older_serial) = self.to_numbers();
        let value = StoreValue { format: FORMAT, max_shrink, older_serial };
        rmp_serde::to_vec(&value).expect("plain data always encodes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote_and_refuses_every_truncation() {
        for max_shrink in [None, Percent::new(0), Percent::new(100)] {
            for older_serial in [None, Some(OlderSerial::Warn), Some(OlderSerial::Refuse)] {
                let guards = Guards { max_shrink, older_serial };
                let bytes = guards.encode();
                assert_eq!(Guards::decode(&bytes).unwrap(), guards);
                (0..bytes.len()).for_each(|cut| assert!(Guards::decode(&bytes[..cut]).is_err(), "cut at {cut}"));
            }
        }
        for value in [[1, 102, 0], [1, 0, 3], [2, 0, 0]] {
            assert!(Guards::decode(&rmp_serde::to_vec(&value).unwrap()).is_err(), "{value:?}");
        }
        assert_eq!("refuse".parse(), Ok(OlderSerial::Refuse));
        assert!("Refuse".parse::<OlderSerial>().is_err());
    }

    #[test]
    fn a_share_is_exceeded_by_more_than_it() {
        let half = Percent::new(50).unwrap();
        assert!(half.is_exceeded(3, 5) && !half.is_exceeded(2, 4) && !half.is_exceeded(0, 0));
        assert!(Percent::new(0).unwrap().is_exceeded(1, 1_000_000));
        assert!(!Percent::ALL.is_exceeded(u64::MAX, u64::MAX));
        assert_eq!(Percent::new(101), None);
    }

    #[test]
    fn a_zone_goes_before_the_store() {
        let zone = Guards { max_shrink: Percent::new(10), older_serial: None };
        let store = Guards { max_shrink: Percent::new(20), older_serial: Some(OlderSerial::Refuse) };
        let both = zone.or(store);
        assert_eq!((both.max_shrink().get(), both.older_serial()), (10, OlderSerial::Refuse));
        assert_eq!((Guards::default().max_shrink().get(), Guards::default().older_serial()), (50, OlderSerial::Warn));
    }
}
