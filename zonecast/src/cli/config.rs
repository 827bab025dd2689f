//! `zonecast config check`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::config::{RoleFile, read_any};
use crate::output::Output;
use zonecast_service::exit::Outcome;

/// See `zonecast config --help`.
#[derive(Debug, Subcommand)]
pub(super) enum Config {
    /// Check a configuration file without starting a node, and show all its settings, defaults included.
    Check(Check),
}

#[derive(Debug, Args)]
pub(super) struct Check {
    /// Configuration file of a core, a relay or an edge.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Config {
    pub(super) fn run(self, output: Output) -> Outcome {
        let Self::Check(Check { file }) = self;
        let (role, all) = match read_any(&file)? {
            RoleFile::Core(core) => ("a core", json!(core)),
            RoleFile::Relay(relay) => ("a relay", json!(relay)),
            RoleFile::Edge(edge) => ("an edge", json!(edge)),
        };
        let checked = json!({ "ok": true, "file": file, "config": all });
        output.show(&checked, |_, out| {
            writeln!(out, "ok: {} configures {role}", file.display())?;
            writeln!(out, "{}", toml::to_string(&all).unwrap_or_default().trim_end())
        })?;
        Ok(())
    }
}
