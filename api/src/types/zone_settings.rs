//! Settings of one zone and of the store.

use serde::{Deserialize, Serialize};

/// The settings of a zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneSettingsInfo {
    /// The apex of the zone.
    pub zone: String,
    /// What a record change does with the serial of the SOA: `increment`, `date`, `unix` or `keep`.
    pub serial_policy: String,
    /// TTL in seconds of new RRsets that are added without a TTL.
    pub default_ttl: u32,
    /// Whether a CNAME at the apex is answered with the addresses of its target.
    #[serde(default)]
    pub flatten_apex: bool,
    /// The largest share of its records that a write may remove without `allow_shrink`, such as `50%`, or `default` if
    /// the setting of the store applies.
    #[serde(default)]
    pub max_shrink: String,
    /// What happens to a write with a lower serial: `warn`, `refuse`, or `default`.
    #[serde(default)]
    pub older_serial: String,
}

/// The settings that apply to zones without settings of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreSettings {
    /// See [`ZoneSettingsInfo::max_shrink`].
    pub max_shrink: String,
    /// See [`ZoneSettingsInfo::older_serial`].
    pub older_serial: String,
    /// Most outcomes that are kept for idempotency keys.
    #[serde(default)]
    pub max_keys: u64,
    /// Most bytes of them.
    #[serde(default)]
    pub max_key_bytes: u64,
}

/// What else is to be chosen for all zones; what is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreSettingsChange {
    /// See [`ZoneSettingsInfo::max_shrink`]; `default` is as it comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_shrink: Option<String>,
    /// See [`ZoneSettingsInfo::older_serial`]; `default` is as it comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub older_serial: Option<String>,
    /// See [`StoreSettings::max_keys`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_keys: Option<u64>,
    /// See [`StoreSettings::max_key_bytes`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_key_bytes: Option<u64>,
}

/// What else is to be chosen for a zone; what is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettingsChange {
    /// See [`ZoneSettingsInfo::serial_policy`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial_policy: Option<String>,
    /// See [`ZoneSettingsInfo::default_ttl`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_ttl: Option<u32>,
    /// See [`ZoneSettingsInfo::flatten_apex`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flatten_apex: Option<bool>,
    /// See [`ZoneSettingsInfo::max_shrink`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_shrink: Option<String>,
    /// See [`ZoneSettingsInfo::older_serial`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub older_serial: Option<String>,
}
