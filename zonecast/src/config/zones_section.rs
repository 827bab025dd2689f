//! `[zones]` of a core.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A folder of zone files that is imported at every start; only what differs is built.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ZonesSection {
    /// The folder.
    pub folder: PathBuf,
    /// Lines of `apex<TAB>file`; without it every file of the folder is a zone, named like the file less `.zone`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<PathBuf>,
}
