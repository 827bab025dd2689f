//! Requests that change records.

use serde::{Deserialize, Serialize};

/// What to do with one RRset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    #[default]
    /// The RRset is exactly these records afterwards.
    Set,
    /// These records are in the RRset afterwards, beside what was there.
    Add,
    /// These records, or without data the whole RRset, or without a type everything at the name, are gone afterwards.
    Delete,
    /// All records of the name are at another name afterwards, beside the records that are there.
    Rename,
    /// These records are answered for the name and type instead of those of the zone, also after the zone is replaced.
    /// Without data, the answer has no records.
    Override,
    /// The records of the zone are answered again for the name and type.
    Restore,
    /// These records stay in the zone and are not served.
    Disable,
    /// These records, which were disabled, are served again.
    Enable,
}

/// One change of a zone's records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordChange {
    /// What to do with the records.
    pub action: Action,
    /// Owner: relative to the zone, `@` for the apex, absolute with a trailing dot.
    pub name: String,
    /// Type mnemonic or `TYPE123`; only a delete may leave it out.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub rtype: Option<String>,
    /// Seconds. Left out: the present TTL of the RRset, else the default TTL of the zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u32>,
    /// RDATA in presentation format, one string a record; names in it are relative to the zone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<String>,
    /// A delete without a type: everything beneath the name is gone as well.
    #[serde(default, skip_serializing_if = "is_false")]
    pub subtree: bool,
    /// A rename: the other name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// For fields that are left out when they say nothing.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_false(value: &bool) -> bool {
    !value
}

/// Changes of one zone, applied as one version or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeRequest {
    /// The changes, applied in this order.
    pub changes: Vec<RecordChange>,
}
