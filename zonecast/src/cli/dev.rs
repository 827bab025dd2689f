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
    /// Folder of zone files. Without a manifest every file in it is a zone, named like the file less `.zone`.
    #[arg(long, value_name = "DIR")]
    zones: PathBuf,
    /// Lines of `apex<TAB>file`, files relative to the folder of zones; only these load.
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Where to keep everything; made if missing. Without it: a temporary folder, gone at exit.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where the first edge answers DNS over UDP and TCP; further edges take the next ports. Port 0: any free port.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:5300")]
    dns: SocketAddr,
    /// Where the API, metrics and health listen. Port 0: any free port.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8053")]
    http: SocketAddr,
    /// How many edges to run.
    #[arg(long, value_name = "N", default_value = "1")]
    edges: NonZeroU8,
    #[command(flatten)]
    tolerance: Tolerance,
    /// Run core and edges as processes of their own, and print their ids.
    #[arg(long)]
    processes: bool,
    /// Take over files that leave little of their zones, which are held as they are otherwise.
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
            allow_shrink: self.allow_shrink,
            tolerance: self.tolerance,
        };
        if self.processes { processes::run(config, log, output) } else { dev::run(config, output) }
    }
}
