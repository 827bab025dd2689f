//! `zonecast dev`: the arguments of [`crate::roles::dev`].

use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::path::PathBuf;

use clap::Args;

use crate::log::LogFormat;
use crate::output::Output;
use crate::roles::dev::{self, DevConfig};
use crate::roles::processes;
use zonecast_api::Tolerance;
use zonecast_service::exit::Outcome;

/// See `zonecast dev --help`.
#[derive(Debug, Args)]
pub(super) struct Dev {
    /// Folder of zone files. Without a manifest, each file APEX.zone in the folder is the zone APEX.
    #[arg(long, value_name = "DIR")]
    zones: PathBuf,
    /// Manifest of the zones to load: lines of `apex<TAB>file`, with files relative to the folder of zones. Other files
    /// are ignored.
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Data folder; it is created if it is missing. The default is a temporary folder that is deleted at exit.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Address at which the first edge answers DNS over UDP and TCP. Further edges use the next ports. Port 0 means any
    /// free port.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:5300")]
    dns: SocketAddr,
    /// Address of the API, metrics and health. Port 0 means any free port.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8053")]
    http: SocketAddr,
    /// Number of edges to run.
    #[arg(long, value_name = "N", default_value = "1")]
    edges: NonZeroU8,
    /// Number of relays to run. The edges follow them, and they follow the cores.
    #[arg(long, value_name = "N", default_value = "0")]
    relays: u8,
    /// Number of cores to run: 1, or a cluster of 3 or 5. Each serves the API, the first at `--http`.
    #[arg(long, value_name = "N", default_value = "1", value_parser = voters)]
    voters: usize,
    #[command(flatten)]
    tolerance: Tolerance,
    /// Run each core, relay and edge as a process of its own, and print the process ids.
    #[arg(long)]
    processes: bool,
    /// Import also files that remove most of the records of their zone. Otherwise such a zone keeps its present
    /// records.
    #[arg(long)]
    allow_shrink: bool,
}

impl Dev {
    pub(super) fn run(self, log: LogFormat, output: Output) -> Outcome {
        let config = DevConfig {
            zones: self.zones,
            manifest: self.manifest,
            data: self.data,
            dns: self.dns,
            http: self.http,
            edges: usize::from(self.edges.get()),
            relays: usize::from(self.relays),
            voters: self.voters,
            allow_shrink: self.allow_shrink,
            tolerance: self.tolerance,
        };
        if self.processes { processes::run(config, log, output) } else { dev::run(config, output) }
    }
}

/// A number of voters that a cluster can have.
fn voters(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(voters @ (1 | 3 | 5)) => Ok(voters),
        _ => Err("a cluster has 1, 3 or 5 voters".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_has_an_odd_number_of_voters() {
        assert_eq!(["1", "3", "5"].map(|text| voters(text).unwrap()), [1, 3, 5]);
        for wrong in ["0", "2", "4", "6", "7", "-1", "", "three"] {
            assert!(voters(wrong).is_err(), "{wrong}");
        }
    }
}
