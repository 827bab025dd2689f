//! `[zones]` of a core.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use zonecast_api::{OutOfZone, Tolerance, WithoutNs};

/// A folder of zone files that the core imports at every start. Files that did not change are not read again.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ZonesSection {
    /// Folder of the zone files.
    pub folder: PathBuf,
    /// Manifest: lines of `apex<TAB>file`. Without it, each file `APEX.zone` of the folder is the zone `APEX`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<PathBuf>,
    /// What to do with records whose owner is outside the zone: `"refuse"` the zone, or `"drop"` the records with a
    /// warning.
    #[serde(default)]
    pub out_of_zone: OutOfZone,
    /// What to do with a zone without NS records at its apex: `"refuse"` it, or `"serve"` it with a warning.
    #[serde(default)]
    pub without_ns: WithoutNs,
}

impl ZonesSection {
    /// The rules for zone files that the import relaxes.
    pub(crate) fn tolerance(&self) -> Tolerance {
        Tolerance { out_of_zone: self.out_of_zone, without_ns: self.without_ns }
    }
}
