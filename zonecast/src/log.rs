//! Logs go to standard error, as text for people or as one JSON object a line.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

use zonecast_service::exit::{Failure, Outcome};

/// Format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// Text for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Of a process that serves, unless somebody says otherwise. What openraft warns of at every start is no trouble.
pub(crate) const OF_ROLES: &str = "info,openraft=error";

/// Of a command.
pub(crate) const OF_COMMANDS: &str = "warn";

/// Starts logging. `level` wins over `RUST_LOG`, and both over `default`; a second call changes nothing.
///
/// # Errors
/// `level` is no level or filter.
pub(crate) fn init(format: LogFormat, level: Option<&str>, default: &str) -> Outcome {
    let filter = match level {
        Some(level) => {
            let filter = EnvFilter::builder().parse(level);
            filter.map_err(|error| Failure::usage(format_args!("log level `{level}`: {error}")))?
        }
        None => EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default)),
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    // It can only fail when a test or an embedding program has set a subscriber of its own; that one stays.
    let _ = match format {
        LogFormat::Text => builder.with_ansi(ansi).with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    Ok(())
}
