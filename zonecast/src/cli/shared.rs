//! The options that all commands take.

use std::path::PathBuf;

use clap::Args;

use crate::log::LogFormat;

/// Default URL of the API of a core.
const CORE: &str = "http://127.0.0.1:8053";

/// The options of every command.
#[derive(Debug, Args)]
pub(super) struct Shared {
    /// Print results as JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// Format of the log on standard error.
    #[arg(long, global = true, value_enum)]
    pub log_format: Option<LogFormat>,
    /// Log level: error, warn, info, debug, trace, or a filter like `info,zonecast_kv_edge=debug`. Overrides RUST_LOG.
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// URL of the API of the core [default: http://127.0.0.1:8053]. Of the cores of one cluster, several URLs may be
    /// given, separated by commas; the next one is asked when one cannot be reached. A write is done once however often it
    /// is asked for.
    #[arg(long, global = true, env = "ZONECAST_CORE", value_name = "URL", value_delimiter = ',')]
    pub core: Vec<String>,
    /// File with a token for the API; only its owner may be able to read it. Without this option, the token in the
    /// environment variable ZONECAST_TOKEN is used.
    #[arg(long, global = true, env = "ZONECAST_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// CA certificate (PEM) that signed the certificate of an API at an https URL. No other CA is trusted.
    #[arg(id = "api_ca", long = "ca", global = true, env = "ZONECAST_CA", value_name = "FILE")]
    pub ca: Option<PathBuf>,
}

impl Shared {
    /// URLs of the APIs of the cores; at least one.
    pub(super) fn cores(&self) -> Vec<String> {
        if self.core.is_empty() { vec![CORE.to_owned()] } else { self.core.clone() }
    }
}
