//! Rules for zone files that an import may relax.

#[cfg(feature = "clap")]
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

/// What to do with records whose owner is outside the zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "clap", derive(ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum OutOfZone {
    /// Refuse the zone.
    #[default]
    Refuse,
    /// Drop the records, with a warning.
    Drop,
}

/// What to do with a zone without NS records at its apex.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "clap", derive(ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum WithoutNs {
    /// Refuse the zone.
    #[default]
    Refuse,
    /// Serve the zone, with a warning.
    Serve,
}

/// Which rules for zone files an import relaxes. Control panels write zone files that break these rules, and other name
/// servers accept them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(Args))]
pub struct Tolerance {
    /// What to do with records whose owner is outside the zone: refuse the zone, or drop the records with a warning.
    #[cfg_attr(feature = "clap", arg(long, value_name = "CHOICE", value_enum, default_value_t))]
    pub out_of_zone: OutOfZone,
    /// What to do with a zone without NS records at its apex: refuse it, or serve it with a warning.
    #[cfg_attr(feature = "clap", arg(long, value_name = "CHOICE", value_enum, default_value_t))]
    pub without_ns: WithoutNs,
}
