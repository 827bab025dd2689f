//! `zonecast zone log|diff|rollback`.

use clap::Args;

use super::written::{show_preview, show_records, show_written};
use super::{Context, Waiting};
use zonecast_api::types::{RollbackRequest, ZoneLogEntry};
use zonecast_service::day_and_time;
use zonecast_service::exit::{Failure, Outcome};

/// Number of changes to show by default.
const LIMIT: usize = 20;

#[derive(Debug, Args)]
pub(super) struct Log {
    /// Name of the zone.
    zone: String,
    /// Largest number of changes to show.
    #[arg(long, short = 'n', value_name = "N", default_value_t = LIMIT)]
    limit: usize,
}

#[derive(Debug, Args)]
pub(super) struct Diff {
    /// Name of the zone.
    zone: String,
    /// Number of the change after which to take the older state; 0 is the state before the first change. The default is
    /// the state before the last change.
    #[arg(value_name = "FROM")]
    from: Option<u64>,
    /// Number of the change after which to take the newer state. The default is the present state.
    #[arg(value_name = "TO")]
    to: Option<u64>,
}

#[derive(Debug, Args)]
pub(super) struct Rollback {
    /// Name of the zone.
    zone: String,
    /// Restore the state after this change; 0 is the state before the first change.
    #[arg(long, value_name = "CHANGE", conflicts_with = "undo")]
    to: Option<u64>,
    /// Undo this change, which must be the last one. Running the command again changes nothing.
    #[arg(long, value_name = "CHANGE")]
    undo: Option<u64>,
    /// Show what would change, and change nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    waiting: Waiting,
}

impl Log {
    pub(super) fn run(&self, context: &Context) -> Outcome {
        let log = context.client.zone_log(&self.zone, self.limit)?;
        context.output.show(&log, |log, out| {
            if log.changes.is_empty() {
                writeln!(out, "no changes since {} was made", log.zone)?;
            }
            log.changes.iter().try_for_each(|change| writeln!(out, "{}", line(change)))
        })?;
        Ok(())
    }
}

impl Diff {
    pub(super) fn run(&self, context: &Context) -> Outcome {
        show_diff(context, &self.zone, self.from, self.to)
    }
}

impl Rollback {
    pub(super) fn run(&self, context: &Context) -> Outcome {
        let Self { zone, to, undo, dry_run, waiting } = self;
        let request = RollbackRequest { to: *to, undo: *undo };
        if request == RollbackRequest::default() {
            return Err(say_which(context, zone)?);
        }
        let client = waiting.only_if.client(context);
        if *dry_run {
            return show_preview(context, &client.preview_rollback(zone, &request)?);
        }
        show_written(context, &client.roll_back(zone, &request, waiting.patience())?)
    }
}

/// Fails with a message that asks for the change to undo and names the last one.
fn say_which(context: &Context, zone: &str) -> Outcome<Failure> {
    let newest = context.client.zone_log(zone, 1)?.changes.into_iter().next();
    let newest = newest.ok_or_else(|| Failure::failed(format_args!("zone {zone} has no changes to take back")))?;
    Ok(Failure::usage(format_args!(
        "say `--undo {}` to take back the last change ({}), or `--to` a change of `zonecast zone log {zone}`",
        newest.number,
        line(&newest).replace('\t', " ")
    )))
}

fn show_diff(context: &Context, zone: &str, from: Option<u64>, to: Option<u64>) -> Outcome {
    let diff = context.client.zone_diff(zone, from, to)?;
    context.output.show(&diff, show_records)?;
    Ok(())
}

/// `12  2026-11-23 09:30:05  records  serial 5 -> 6  by ci`
fn line(change: &ZoneLogEntry) -> String {
    let ZoneLogEntry { number, kind, time, by, serial_before, serial, can_be_undone } = change;
    let by = if by.is_empty() { String::new() } else { format!("\tby {by}") };
    let gone = if *can_be_undone { "" } else { "\twhat was before is deleted" };
    format!("{number}\t{}\t{kind}\tserial {serial_before} -> {serial}{by}{gone}", day_and_time(*time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_there_is_to_say() {
        let change = ZoneLogEntry {
            number: 12,
            kind: "records".into(),
            time: 1_795_392_000,
            by: "ci".into(),
            serial_before: 5,
            serial: 6,
            can_be_undone: true,
        };
        assert_eq!(line(&change), "12\t2026-11-23 00:00:00\trecords\tserial 5 -> 6\tby ci");
        let large = ZoneLogEntry { by: String::new(), can_be_undone: false, ..change };
        assert!(line(&large).ends_with("serial 5 -> 6\twhat was before is deleted"));
    }
}
