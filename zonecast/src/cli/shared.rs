//! The options that all commands take.

use std::path::PathBuf;

use clap::Args;

use crate::log::LogFormat;

/// Where a core's API listens unless its configuration says otherwise.
const CORE: &str = "http://127.0.0.1:8053";

/// What every command takes.
#[derive(Debug, Args)]
pub(super) struct Shared {
    /// Print results as JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// Log lines (on standard error) for people or as one JSON object a line.
    #[arg(long, global = true, value_enum)]
    pub log_format: Option<LogFormat>,
    /// What to log: error, warn, info, debug, trace, or a filter as RUST_LOG takes it; wins over RUST_LOG.
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Where the core's API listens [default: http://127.0.0.1:8053].
    #[arg(long, global = true, env = "ZONECAST_CORE", value_name = "URL")]
    pub core: Option<String>,
    /// File with a token for the API, for its owner only. Without it, the token in the variable ZONECAST_TOKEN, if any.
    #[arg(long, global = true, env = "ZONECAST_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// CA certificate (PEM) of an API at an https URL; no other is trusted.
    #[arg(id = "api_ca", long = "ca", global = true, env = "ZONECAST_CA", value_name = "FILE")]
    pub ca: Option<PathBuf>,
}

impl Shared {
    /// Where the core's API listens.
    pub(super) fn core(&self) -> &str {
        self.core.as_deref().unwrap_or(CORE)
    }
}
