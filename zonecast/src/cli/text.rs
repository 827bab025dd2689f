//! Responses of the API as text for people.

use std::fmt::Write as _;
use std::io::{self, Write};

use zonecast_api::types::{EdgeReceipt, Finding, Receipt, ReceiptTook, RrsetInfo, Written};
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
    writeln!(out, "live on {} of {} edges, on the disk of {}", receipt.applied, receipt.of, receipt.durable)?;
    if let Some(took) = receipt.took.as_ref().filter(|_| receipt.edges.len() > 1) {
        let ReceiptTook { p50_ms, p99_ms, max_ms, slowest } = took;
        writeln!(out, "  half within {p50_ms:.1} ms, 99 % within {p99_ms:.1} ms, {slowest} last after {max_ms:.1} ms")?;
    }
    receipt.edges.iter().try_for_each(|edge| edge_receipt(edge, out))?;
    match receipt.of.saturating_sub(receipt.edges.len()) {
        0 => Ok(()),
        others => writeln!(out, "  and {others} more"),
    }
}

fn edge_receipt(edge: &EdgeReceipt, out: &mut dyn Write) -> io::Result<()> {
    let via = edge.via.as_ref().map(|via| format!(" through {via}")).unwrap_or_default();
    match (edge.applied, edge.ms, edge.away_s) {
        (true, Some(ms), _) => {
            let relay = edge.relay_ms.map(|ms| format!("relay {ms:.1}, ")).unwrap_or_default();
            let (network, apply) = (edge.network_ms.unwrap_or_default(), edge.apply_ms.unwrap_or_default());
            writeln!(
                out,
                "  {}: applied after {ms:.1} ms{via} ({relay}network {network:.1}, apply {apply:.1})",
                edge.edge
            )
        }
        (true, None, _) => writeln!(out, "  {}: applied", edge.edge),
        (false, _, Some(away)) if edge.last_known => {
            let relay = edge.via.as_deref().unwrap_or("its relay");
            writeln!(out, "  {}: not known, {relay} has been gone for {}", edge.edge, age(away))
        }
        (false, _, Some(away)) => writeln!(out, "  {}: missing, away for {}", edge.edge, age(away)),
        (false, _, None) => writeln!(out, "  {}: missing", edge.edge),
    }
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
