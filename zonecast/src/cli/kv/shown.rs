//! Results of `zonecast kv` for people.

use std::io::{self, Write};

use crate::cli::{Context, text};
use zonecast_api::types::{KeyspaceWritten, Octets};
use zonecast_service::exit::Outcome;

/// Prints the result of a write. Fails if fewer edges have it than `--wait` asks for.
pub(super) fn show_written(context: &Context, written: &KeyspaceWritten) -> Outcome {
    context.output.show(written, |written, out| {
        let KeyspaceWritten { keyspace, revision, version, changed, repeated: _, receipt } = written;
        let what = if *changed { "changed in" } else { "needed no change at" };
        write!(out, "{keyspace} {what} revision {revision}")?;
        if let Some(version) = version {
            write!(out, ", version {version}")?;
        }
        writeln!(out)?;
        receipt.as_ref().map_or(Ok(()), |receipt| text::receipt(receipt, out))
    })?;
    text::check_reached(written.receipt.as_ref())
}

/// Bytes on one line: as text, or as base64 where they are no text.
pub(super) fn octets(out: &mut dyn Write, octets: &Octets) -> io::Result<()> {
    match octets {
        Octets::Text(text) => write!(out, "{}", text.escape_debug()),
        Octets::Encoded(encoded) => write!(out, "base64:{}", encoded.base64),
    }
}
