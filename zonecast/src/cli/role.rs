//! `zonecast core`, `zonecast relay` and `zonecast edge`: the arguments of [`crate::roles::core`] and
//! [`crate::roles::edge`].

use std::path::PathBuf;

use clap::Args;
use rustix::process::{Signal, getppid, set_parent_process_death_signal};

use crate::config::{self, CoreFile, EdgeFile, LogSection, RelayFile};
use crate::log;
use crate::output::Output;
use crate::roles::{core, edge};
use zonecast_service::exit::{Failure, Outcome};

use super::shared::Shared;

/// The arguments of all of them.
#[derive(Debug, Args)]
pub(super) struct Role {
    /// Configuration file; `zonecast config check FILE` reports mistakes in it.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Id of the process that started this one; stop when that process ends.
    #[arg(long, hide = true, value_name = "PID")]
    die_with: Option<i32>,
}

/// The arguments of `zonecast core`.
#[derive(Debug, Args)]
pub(super) struct Core {
    #[command(flatten)]
    role: Role,
    /// Import also files of `[zones]` that remove most of the records of their zone. Otherwise such a zone keeps its
    /// present records.
    #[arg(long)]
    allow_shrink: bool,
}

impl Core {
    pub(super) fn run(self, shared: &Shared) -> Outcome {
        let file: CoreFile = config::read(&self.role.config)?;
        self.role.begin(shared, &file.log)?;
        core::run(file, self.allow_shrink, Output { json: shared.json })
    }
}

impl Role {
    pub(super) fn run_edge(self, shared: &Shared) -> Outcome {
        let file: EdgeFile = config::read(&self.config)?;
        self.begin(shared, &file.log)?;
        let Self { config, .. } = self;
        edge::run(file, Box::new(move || config::read(&config)), Output { json: shared.json })
    }

    pub(super) fn run_relay(self, shared: &Shared) -> Outcome {
        let file: RelayFile = config::read(&self.config)?;
        self.begin(shared, &file.log)?;
        let Self { config, .. } = self;
        let read_again = move || config::read(&config).map(RelayFile::into_edge);
        edge::run(file.into_edge(), Box::new(read_again), Output { json: shared.json })
    }

    fn begin(&self, shared: &Shared, file: &LogSection) -> Outcome {
        let level = shared.log_level.as_deref();
        log::init(shared.log_format.unwrap_or(file.format), level, file.level.as_deref().unwrap_or(log::OF_ROLES))?;
        let Some(parent) = self.die_with else { return Ok(()) };
        let told = set_parent_process_death_signal(Some(Signal::TERM));
        told.map_err(|error| Failure::failed(format_args!("cannot be bound to process {parent}: {error}")))?;
        // It may have ended before we asked to be told.
        if getppid().is_none_or(|now| now.as_raw_nonzero().get() != parent) {
            return Err(Failure::failed(format_args!("process {parent}, which started this one, has ended")));
        }
        Ok(())
    }
}
