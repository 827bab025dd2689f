//! `zonecast cluster recover`: the one core that is left goes on alone.

use std::io::{self, BufRead as _, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use serde::Serialize;
use zonecast_kv_core::{Found, Recovered, Remains};
use zonecast_kv_proto::Epoch;
use zonecast_kv_store::StateOptions;

use super::place::Place;
use crate::output::Output;
use zonecast_service::exit::{Failure, Outcome};

/// See `zonecast cluster recover --help`.
#[derive(Debug, Args)]
pub(super) struct Recover {
    #[command(flatten)]
    place: Place,
    /// Id of the store, typed by whoever knows that the other cores are lost. Without this option, the command shows what
    /// there is and asks for it.
    #[arg(long, value_name = "STORE")]
    confirm: Option<String>,
    #[command(flatten)]
    later: Later,
}

/// Which epoch begins.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Later {
    /// Begin an epoch after this one. Only for edges that are in a later epoch than the clock of this machine says in
    /// milliseconds; `zonecast status` of an edge shows its epoch.
    #[arg(long, value_name = "EPOCH", default_value_t = 0, hide_default_value = true)]
    above_epoch: u64,
}

/// What was done.
#[derive(Debug, Serialize)]
struct Report {
    store: String,
    /// The last version that was kept.
    version: u64,
    /// The epoch that it is of.
    of_epoch: u64,
    /// The last entry of the raft log that was kept.
    entry: u64,
    /// How many of those entries were not known here to be committed.
    unconfirmed: u64,
    /// There was a raft log.
    had_log: bool,
    /// The epoch that began, and its first version.
    epoch: u64,
    first: u64,
    restore: String,
    node: u64,
}

impl Recover {
    pub(super) fn run(&self, output: Output) -> Outcome {
        let folder = self.place.open_present()?;
        let remains = Remains::open(&folder.core(), &StateOptions::default())?;
        let found = remains.found().clone();
        let store = found.position.store.to_string();
        match &self.confirm {
            Some(said) => confirm(said, &store)?,
            None => {
                ask(&found, &mut io::stderr().lock())?;
                let mut said = String::new();
                io::stdin().lock().read_line(&mut said)?;
                confirm(said.trim(), &store)?;
            }
        }
        let recovered = remains.recover(now_us(), self.later.above())?;
        output.show(&Report::new(&found, &recovered), show)?;
        Ok(())
    }
}

impl Later {
    pub(super) fn above(self) -> Epoch {
        Epoch::new(self.above_epoch)
    }
}

/// Microseconds of Unix time.
pub(super) fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    u64::try_from(now).unwrap_or(u64::MAX)
}

fn confirm(said: &str, store: &str) -> Outcome {
    if said == store {
        return Ok(());
    }
    Err(Failure::failed(format_args!(
        "nothing was changed: {said:?} is not the id of the store, which this command shows when it asks for it"
    )))
}

fn ask(found: &Found, out: &mut dyn Write) -> io::Result<()> {
    let position = found.position;
    writeln!(out, "store {}, version {} of epoch {}", position.store, position.version.get(), position.epoch.get())?;
    for member in &found.members {
        writeln!(out, "a core of the cluster as it was: {member}")?;
    }
    writeln!(
        out,
        "the raft log ends with entry {}; up to {} they are known to be committed",
        found.last, found.committed
    )?;
    writeln!(
        out,
        "All of this is kept, in a cluster of this core alone. What the other cores acknowledged after that is"
    )?;
    writeln!(
        out,
        "lost, and they must never be started again on their data folders: they would go on beside this one."
    )?;
    write!(out, "Type the id of the store to go on: ")?;
    out.flush()
}

impl Report {
    fn new(found: &Found, recovered: &Recovered) -> Self {
        let Recovered { kept, fork, restore, last, node } = *recovered;
        Self {
            store: kept.store.to_string(),
            version: kept.version.get(),
            of_epoch: kept.epoch.get(),
            entry: last,
            unconfirmed: last - found.committed,
            had_log: found.has_log,
            epoch: fork.epoch.get(),
            first: fork.version.get(),
            restore: restore.to_string(),
            node,
        }
    }
}

fn show(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let Report { version, of_epoch, entry, unconfirmed, epoch, first, node, .. } = report;
    writeln!(
        out,
        "version {version} of epoch {of_epoch} and all before are here: entries of the raft log up to {entry}"
    )?;
    if *unconfirmed > 0 {
        writeln!(out, "of these, the last {unconfirmed} were not known here to be committed; they are kept")?;
    }
    if !report.had_log {
        writeln!(out, "there was no raft log: what was not applied to the state is lost")?;
    }
    writeln!(out, "whatever the other cores acknowledged after that is lost; do not start them on their data folders")?;
    writeln!(out, "epoch {epoch} begins at version {first}; the only core of the cluster is node {node}")?;
    writeln!(
        out,
        "now start this core: edges at version {version} or before follow on, edges beyond it keep answering and take a \
         snapshot by themselves, and further cores join with empty data folders"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_id_of_the_store_confirms() {
        assert!(confirm("5b0c", "5b0c").is_ok());
        for said in ["", "yes", "5b0", "5B0C", "5b0c "] {
            assert!(confirm(said, "5b0c").unwrap_err().message.contains("nothing was changed"), "{said}");
        }
    }
}
