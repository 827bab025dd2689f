//! `zonecast doctor`: the arguments of [`crate::doctor`].

use std::path::PathBuf;

use clap::Args;

use super::context::client_options;
use super::shared::Shared;
use crate::doctor::{Asked, Report, examine, gather};
use crate::output::Output;
use zonecast_service::exit::{Failure, Outcome};

/// See `zonecast doctor --help`.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Configuration file of a node on this machine, whose files, ports and certificate are checked; may be given
    /// several times.
    #[arg(long = "config", value_name = "FILE")]
    configs: Vec<PathBuf>,
    /// URL of the HTTP side of another node, such as an edge; may be given several times.
    #[arg(long = "node", value_name = "URL")]
    nodes: Vec<String>,
}

impl Doctor {
    pub(super) fn run(self, shared: &Shared, output: Output) -> Outcome {
        let Self { configs, mut nodes } = self;
        let mut cores = shared.cores();
        // Of several, each is looked at.
        nodes.extend(cores.split_off(1));
        let core = (cores.swap_remove(0), !shared.core.is_empty());
        let asked = Asked { configs, core, nodes, options: client_options(shared)? };
        let report = Report::new(examine(&gather(&asked)));
        output.show(&report, Report::write)?;
        if report.healthy {
            return Ok(());
        }
        let errors = if report.errors == 1 { "1 error".into() } else { format!("{} errors", report.errors) };
        Err(Failure::failed(format_args!("{errors} found; the line of each says what to do")))
    }
}
