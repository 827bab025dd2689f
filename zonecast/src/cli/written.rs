//! Prints the result of a write or of a dry run.

use std::io::{self, Write};

use zonecast_api::types::{DiffRecord, Severity, Written, ZoneDiff};
use zonecast_service::exit::{Failure, Outcome};

use super::{Context, text};

/// Prints what a write would change and fails when it would be held.
pub(super) fn show_preview(context: &Context, written: &Written) -> Outcome {
    context.output.show(written, |written, out| {
        let diff = written.diff.clone().unwrap_or_default();
        show_records(&diff, out)?;
        for finding in &written.warnings {
            let word = if finding.severity == Severity::Error { "held" } else { "warning" };
            writeln!(out, "{word}: {}", text::finding(finding))?;
        }
        let what = if written.changed { "would change" } else { "would need no change" };
        write!(out, "{} {what}, serial {}", written.zone, written.serial.unwrap_or_default())?;
        if let Some(records) = written.records {
            write!(out, ", {records} records")?;
        }
        writeln!(out, "; nothing was done")
    })?;
    let held = written.warnings.iter().find(|finding| finding.severity == Severity::Error);
    held.map_or(Ok(()), |held| Err(Failure::failed(&held.message)))
}

/// Prints the result of a write. Fails if fewer edges serve it than `--wait` asks for.
pub(super) fn show_written(context: &Context, written: &Written) -> Outcome {
    context.output.show(written, |written, out| text::written(written, out))?;
    text::check_reached(written.receipt.as_ref())
}

/// Prints a line for each record that was removed or added.
pub(super) fn show_records(diff: &ZoneDiff, out: &mut dyn Write) -> io::Result<()> {
    for (sign, records) in [('-', &diff.removed), ('+', &diff.added)] {
        for DiffRecord { name, ttl, rtype, data } in records {
            writeln!(out, "{sign} {name}\t{ttl}\tIN\t{rtype}\t{data}")?;
        }
    }
    if diff.truncated {
        writeln!(out, "more names differ; `zonecast zone export` shows the zone as it is")?;
    }
    Ok(())
}
