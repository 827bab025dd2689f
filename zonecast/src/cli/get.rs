//! `zonecast get NAME [TYPE] [--at edge|core]`.

use clap::Args;

use super::Context;
use zonecast_service::exit::{Failure, Outcome};

/// See `zonecast get --help`.
#[derive(Debug, Args)]
pub(super) struct Get {
    /// Absolute name, with or without the trailing dot.
    name: String,
    /// Show only the key that holds this type.
    #[arg(value_name = "TYPE")]
    rtype: Option<String>,
    /// Store to read in the process at `--core`: `core`, `edge` (its first edge), or the name of an edge. The default
    /// is the first edge of the process, or its core if it has no edge.
    #[arg(long, value_name = "edge|core|NAME")]
    at: Option<String>,
}

impl Get {
    pub(super) fn run(&self, context: &Context) -> Outcome {
        let lookup = context.client.lookup(&self.name, self.rtype.as_deref(), self.at.as_deref())?;
        context.output.show(&lookup, |lookup, out| {
            writeln!(out, "at {}, version {}", lookup.at, lookup.version)?;
            for entry in &lookup.entries {
                writeln!(out, "key   {}", entry.key_text)?;
                writeln!(out, "      {}", entry.key)?;
                writeln!(out, "value {} bytes: {}", entry.value_len, entry.value)?;
                let decoded = serde_json::to_string_pretty(&entry.decoded)?;
                for line in decoded.lines() {
                    writeln!(out, "      {line}")?;
                }
            }
            Ok(())
        })?;
        match (&lookup.zone, lookup.entries.is_empty()) {
            (None, _) => Err(Failure::failed(format_args!("no zone at {} encloses {}", lookup.at, lookup.name))),
            (Some(zone), true) => {
                let rtype = self.rtype.as_deref().map(|rtype| format!(" {rtype}")).unwrap_or_default();
                Err(Failure::failed(format_args!("zone {zone} has no key for {}{rtype}", lookup.name)))
            }
            (Some(_), false) => Ok(()),
        }
    }
}
