//! What zone files may have although it breaks a rule, chosen by whoever brings them.

#[cfg(feature = "clap")]
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

/// What becomes of records whose owner is not in the zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "clap", derive(ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum OutOfZone {
    /// They keep the zone from being served.
    #[default]
    Refuse,
    /// They are left out, with a warning.
    Drop,
}

/// What becomes of a zone without NS at its apex.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "clap", derive(ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum WithoutNs {
    /// It is refused.
    #[default]
    Refuse,
    /// It is served, with a warning.
    Serve,
}

/// See the module. Zones of control panels come so, and other servers take them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(Args))]
pub struct Tolerance {
    /// What becomes of records whose owner is not in the zone: they keep the zone out, or are left out with a warning.
    #[cfg_attr(feature = "clap", arg(long, value_name = "CHOICE", value_enum, default_value_t))]
    pub out_of_zone: OutOfZone,
    /// What becomes of a zone without NS records at its apex: it is refused, or served with a warning.
    #[cfg_attr(feature = "clap", arg(long, value_name = "CHOICE", value_enum, default_value_t))]
    pub without_ns: WithoutNs,
}
