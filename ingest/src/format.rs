//! From wire form back to presentation format: RDATA, records, zone files.
//!
//! What is written reads back to the same bytes, here and in other servers; data without such a text is written as RFC
//! 3597 does.

use std::io;

use domain::base::iana::Rtype;
use zonecast_records::{Name, RecordRef};

use crate::presentation::{Origin, type_name};
use crate::rdata::read_rdata_text;
use crate::writing::{format_name, write_hex};
use crate::{field_text, fields};

/// RDATA in presentation format, names absolute. Damaged data and types unknown here come out as `\# length hex`,
/// RFC 3597 section 5.
#[must_use]
pub fn format_rdata(rtype: Rtype, wire: &[u8]) -> String {
    fields::of(rtype)
        .and_then(|fields| field_text::format(fields, wire))
        .filter(|text| reads_back(rtype, text, wire))
        .unwrap_or_else(|| unknown_text(wire))
}

fn reads_back(rtype: Rtype, text: &str, wire: &[u8]) -> bool {
    let origin = Origin { name: &Name::ROOT, refuse_repeated: false };
    let mut again = Vec::with_capacity(wire.len());
    read_rdata_text(rtype, text.as_bytes(), origin, &mut again).is_ok() && again == wire
}

fn unknown_text(wire: &[u8]) -> String {
    let mut text = format!(r"\# {}", wire.len());
    if !wire.is_empty() {
        text.push(' ');
        write_hex(wire, &mut text);
    }
    text
}

/// Writes one line: owner, TTL, class, type, data, with tabs between.
///
/// # Errors
/// The writer's.
pub fn write_record(record: RecordRef<'_>, out: &mut impl io::Write) -> io::Result<()> {
    let RecordRef { owner, rtype, ttl, rdata } = record;
    writeln!(out, "{}\t{ttl}\tIN\t{}\t{}", format_name(owner), type_name(rtype), format_rdata(rtype, rdata))
}

/// Writes a zone file without directives: every name absolute, every TTL said. Reading it gives the same records in
/// the same order.
///
/// # Errors
/// The writer's.
pub fn write_zone_file<'r>(
    apex: &Name,
    records: impl IntoIterator<Item = RecordRef<'r>>,
    out: &mut impl io::Write,
) -> io::Result<()> {
    writeln!(out, "; zone {}", format_name(apex))?;
    for record in records {
        write_record(record, out)?;
    }
    Ok(())
}
