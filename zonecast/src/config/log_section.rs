//! `[log]` of either role.

use serde::{Deserialize, Serialize};

use crate::log::LogFormat;

/// Level and format of the log on standard error. The command line and `RUST_LOG` override them.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogSection {
    /// `"text"` for people, `"json"` for one object per line.
    #[serde(default)]
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter as `RUST_LOG` takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
}
