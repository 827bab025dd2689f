//! `[log]` of either role.

use serde::{Deserialize, Serialize};

use crate::log::LogFormat;

/// What is logged to standard error, and how. The command line and `RUST_LOG` win.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogSection {
    /// `"text"` for people, `"json"` for one object a line.
    #[serde(default)]
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter as `RUST_LOG` takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
}
