//! `zonecast completions SHELL`.

use std::io::Write as _;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::Cli;
use zonecast_service::exit::Outcome;

/// See `zonecast completions --help`.
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// Shell that the script is for.
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self) -> Outcome {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "zonecast", &mut script);
        std::io::stdout().write_all(&script)?;
        Ok(())
    }
}
