//! `zonecast kv watch`.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStringExt as _;
use std::time::Duration;

use clap::Args;

use crate::cli::Context;
use zonecast_api::types::WatchLine;
use zonecast_api::{WatchOptions, parse_timeout};
use zonecast_service::exit::Outcome;

#[derive(Debug, Args)]
pub(in crate::cli) struct Watch {
    /// Name of the keyspace, which must be published.
    keyspace: String,
    /// Begin after this version; by default with the next one.
    #[arg(long, value_name = "VERSION")]
    from: Option<u64>,
    /// Keys that begin so.
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<OsString>,
    /// End after this time, such as 10s; without it, when the command is stopped.
    #[arg(long, value_name = "TIME", value_parser = parse_timeout)]
    timeout: Option<Duration>,
}

impl Watch {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let Self { keyspace, from, prefix, timeout } = self;
        let prefix = prefix.unwrap_or_default().into_vec();
        let mut options = WatchOptions { prefix, from, timeout };
        loop {
            let mut state = Ok(false);
            let mut last = options.from;
            context.client.watch_keys(&keyspace, &options, |line| {
                last = Some(line.version);
                state = print(&line).map(|()| line.dropped);
                if state.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            if state? || timeout.is_some() {
                return Ok(());
            }
            // A core ends every watch after a while; the next one misses nothing.
            options.from = last;
        }
    }
}

/// What changed; that nothing did is for programs that speak to the API.
fn print(line: &WatchLine) -> io::Result<()> {
    if line.changes.is_empty() && !line.dropped {
        return Ok(());
    }
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, line)?;
    writeln!(out)?;
    out.flush()
}
