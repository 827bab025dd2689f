//! Zones that the core has, and their RRsets.

use serde::{Deserialize, Serialize};

/// One zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneInfo {
    /// The apex of the zone.
    pub zone: String,
    /// The id of the zone; a zone that is created again gets another one.
    pub id: u64,
    /// Under which its keys live now.
    pub generation: u64,
    /// The serial of the SOA.
    pub serial: u32,
    /// Number of its last change, 0 before the first; only when one zone is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<u64>,
}

/// Zones in canonical order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZonePage {
    /// The zones of this page.
    pub zones: Vec<ZoneInfo>,
    /// `after` of the next page, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// One RRset as the core holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RrsetInfo {
    /// The owner name, absolute.
    pub name: String,
    /// The type mnemonic.
    #[serde(rename = "type")]
    pub rtype: String,
    /// Seconds; the smallest of its records'.
    pub ttl: u32,
    /// RDATA of each record in presentation format.
    pub data: Vec<String>,
    /// `override` where it replaces the records of the zone, `overridden` or `disabled` where the zone has it and it is
    /// not served, `flattened` for the CNAME of an apex and `address` for what stands for it; absent for the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<String>,
}

/// RRsets of a zone or a name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RrsetPage {
    /// The apex of the zone.
    pub zone: String,
    /// The RRsets in canonical order.
    pub rrsets: Vec<RrsetInfo>,
    /// Whether more than `limit` would match.
    pub truncated: bool,
}
