//! Settings of one zone.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::Guards;

/// What happens to the serial of the SOA when a change of records does not set one itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum SerialPolicy {
    /// One is added, RFC 1982.
    #[default]
    Increment = 0,
    /// The day and two digits, `2026112700` (RFC 1912 section 2.2); one is added where that is not after the present one.
    Date = 1,
    /// Seconds of Unix time; one is added where that is not after the present one.
    Unix = 2,
    /// It stays, for who counts serials elsewhere.
    Keep = 3,
}

/// The settings of one zone, which an operator chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ZoneSettings {
    /// What a record change does with the serial of the SOA.
    pub serial: SerialPolicy,
    /// Seconds of a new RRset whose change names no TTL; 0 for the default of zonecast.
    pub default_ttl: u32,
    /// Whether a CNAME at the apex stands for the addresses of its target.
    pub flatten: bool,
    /// What a replacement of the zone must not do unless the request says so; what is not chosen is as the store has it.
    pub guards: Guards,
}

/// Not the name of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is no serial policy: increment, date, unix or keep")]
pub struct SerialPolicyError(String);

impl ZoneSettings {
    /// With this policy.
    #[must_use]
    pub const fn with_serial(self, serial: SerialPolicy) -> Self {
        Self { serial, ..self }
    }

    /// With this TTL, in seconds, for RRsets whose change names none; 0 for the default of zonecast.
    #[must_use]
    pub const fn with_default_ttl(self, default_ttl: u32) -> Self {
        Self { default_ttl, ..self }
    }

    /// With or without addresses in place of a CNAME at the apex.
    #[must_use]
    pub const fn with_flatten(self, flatten: bool) -> Self {
        Self { flatten, ..self }
    }

    /// With these guards.
    #[must_use]
    pub const fn with_guards(self, guards: Guards) -> Self {
        Self { guards, ..self }
    }
}

impl SerialPolicy {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Increment, Self::Date, Self::Unix, Self::Keep];

    /// As people write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Increment => "increment",
            Self::Date => "date",
            Self::Unix => "unix",
            Self::Keep => "keep",
        }
    }

    /// As it is stored; `None` for a number that is none.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| *policy as u8 == number)
    }
}

impl fmt::Display for SerialPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for SerialPolicy {
    type Err = SerialPolicyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let policy = Self::ALL.into_iter().find(|policy| policy.as_str() == text);
        policy.ok_or_else(|| SerialPolicyError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_have_names_and_numbers() {
        for policy in SerialPolicy::ALL {
            assert_eq!(policy.to_string().parse(), Ok(policy));
            assert_eq!(SerialPolicy::from_number(policy as u8), Some(policy));
        }
        assert_eq!(SerialPolicy::from_number(4), None);
        assert!("Date".parse::<SerialPolicy>().is_err());
    }
}
