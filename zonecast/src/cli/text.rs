//! Responses of the API as text for people.

use std::fmt::Write as _;
use std::io::{self, Write};

use zonecast_api::types::{Finding, Receipt, RrsetInfo, Written};
use zonecast_service::age;
use zonecast_service::exit::{Code, Failure, Outcome};

/// `file:line: record: message (rule)`, without the parts that are not known.
pub(super) fn finding(finding: &Finding) -> String {
    let mut text = String::new();
    if let Some(file) = &finding.file {
        text.push_str(file);
        text.push(':');
    }
    if let Some(line) = finding.line {
        // Writing to a string cannot fail.
        let _ = write!(text, "{line}:");
    }
    if !text.is_empty() {
        text.push(' ');
    }
    if let Some(record) = &finding.record {
        let _ = write!(text, "{record}: ");
    }
    let _ = write!(text, "{} ({})", finding.message, finding.rule);
    text
}

/// Zone-file lines of an RRset.
pub(super) fn rrset(out: &mut dyn Write, rrset: &RrsetInfo) -> io::Result<()> {
    // As comments of a zone file, so that what is printed can be read as one.
    let before = match rrset.layer.as_deref() {
        Some("overridden") => "; overridden: ",
        Some("disabled") => "; disabled: ",
        Some("address") => "; address: ",
        _ => "",
    };
    if rrset.data.is_empty() {
        writeln!(out, "; nothing is answered: {}\tIN\t{}", rrset.name, rrset.rtype)?;
    }
    for data in &rrset.data {
        writeln!(out, "{before}{}\t{}\tIN\t{}\t{data}", rrset.name, rrset.ttl, rrset.rtype)?;
    }
    Ok(())
}

/// The result of a write.
pub(super) fn written(written: &Written, out: &mut dyn Write) -> io::Result<()> {
    for warning in &written.warnings {
        writeln!(out, "warning: {}", finding(warning))?;
    }
    match written.changed {
        true => write!(out, "{} changed in version {}", written.zone, written.version)?,
        false => write!(out, "{} needed no change at version {}", written.zone, written.version)?,
    }
    if let Some(serial) = written.serial {
        write!(out, ", serial {serial}")?;
    }
    if let Some(records) = written.records {
        write!(out, ", {records} records")?;
    }
    writeln!(out)?;
    written.receipt.as_ref().map_or(Ok(()), |receipt| self::receipt(receipt, out))
}

/// Which edges serve a version.
pub(super) fn receipt(receipt: &Receipt, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "live on {} of {} edges", receipt.applied, receipt.of)?;
    for edge in &receipt.edges {
        match (edge.applied, edge.ms, edge.away_s) {
            (true, Some(ms), _) => writeln!(out, "  {}: applied after {ms:.1} ms", edge.edge)?,
            (true, None, _) => writeln!(out, "  {}: applied", edge.edge)?,
            (false, _, Some(away)) => writeln!(out, "  {}: missing, away for {}", edge.edge, age(away))?,
            (false, _, None) => writeln!(out, "  {}: missing", edge.edge)?,
        }
    }
    Ok(())
}

/// The failure of a write that fewer edges serve than `--wait` asks for. The write itself is committed.
pub(super) fn check_reached(receipt: Option<&Receipt>) -> Outcome {
    match receipt.filter(|receipt| !receipt.reached) {
        None => Ok(()),
        Some(receipt) if receipt.interrupted => Err(Failure::new(
            Code::NotYetLive,
            format_args!(
                "version {} is committed; the core was stopped meanwhile, so it is not known how far it is live: {} of {} \
                 known edges had it; `zonecast status` says more once the core runs again",
                receipt.version, receipt.applied, receipt.of
            ),
        )),
        Some(receipt) => Err(Failure::new(
            Code::NotYetLive,
            format_args!(
                "version {} is committed, but not live on as many edges as asked for in time: {} of {} expected edges",
                receipt.version, receipt.applied, receipt.of
            ),
        )),
    }
}
