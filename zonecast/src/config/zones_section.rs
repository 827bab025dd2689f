//! `[zones]` of a core.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use zonecast_api::{OutOfZone, Tolerance, WithoutNs};

/// A folder of zone files that is imported at every start; only what differs is built.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ZonesSection {
    /// The folder.
    pub folder: PathBuf,
    /// Lines of `apex<TAB>file`; without it every file of the folder is a zone, named like the file less `.zone`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<PathBuf>,
    /// What becomes of records whose owner is not in the zone: `"refuse"` keeps the zone out, `"drop"` leaves them out
    /// with a warning.
    #[serde(default)]
    pub out_of_zone: OutOfZone,
    /// What becomes of a zone without NS records at its apex: `"refuse"`, or `"serve"` with a warning.
    #[serde(default)]
    pub without_ns: WithoutNs,
}

impl ZonesSection {
    /// What the files may have although it breaks a rule.
    pub(crate) fn tolerance(&self) -> Tolerance {
        Tolerance { out_of_zone: self.out_of_zone, without_ns: self.without_ns }
    }
}
