//! The client and output of every command, and the options of commands that write: how long to wait for edges, and the
//! condition.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use zonecast_kv_proto::WaitFor;
use zonecast_kv_transport::read_private;

use super::shared::Shared;
use crate::output::Output;
use zonecast_api::{Client, Patience};
use zonecast_api::{ClientOptions, ClientOptionsError};
use zonecast_api::{DEFAULT_TIMEOUT, parse_timeout};
use zonecast_service::exit::{Code, Failure, Outcome};

/// Longest token in a file, with some space around it.
const MAX_TOKEN: u64 = 4096;

/// Environment variable that holds the token itself.
const TOKEN: &str = "ZONECAST_TOKEN";

/// How long a write waits for edges, and under which condition it is done.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Waiting {
    #[command(flatten)]
    pub wait_until: WaitUntil,
    #[command(flatten)]
    pub only_if: OnlyIf,
}

/// How long a write waits for edges.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct WaitUntil {
    /// Wait until this many edges serve the change: `edge` (any one), `all`, a number, or a share such as 50%.
    #[arg(long, value_name = "edge|all|N|P%")]
    pub wait: Option<WaitFor>,
    /// Longest time to wait, such as 10s or 500ms.
    #[arg(long, value_name = "TIME", value_parser = parse_timeout, requires = "wait")]
    pub timeout: Option<Duration>,
}

impl Waiting {
    pub(super) fn patience(self) -> Patience {
        self.wait_until.patience()
    }
}

impl WaitUntil {
    pub(super) fn patience(self) -> Patience {
        Patience { wait: self.wait, timeout: self.timeout.unwrap_or(DEFAULT_TIMEOUT) }
    }
}

/// The condition of a write.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct OnlyIf {
    /// Change the zone only if its last change still has this number, as `zone log` shows it.
    #[arg(long, value_name = "CHANGE")]
    pub if_change: Option<u64>,
}

impl OnlyIf {
    pub(super) fn client(self, context: &Context) -> Client {
        context.client.only_at(self.if_change)
    }
}

/// The client of the API and the output of a command.
pub(super) struct Context {
    pub client: Client,
    pub output: Output,
}

impl Context {
    /// Makes a client with the token and the CA that the command line or the environment names.
    pub(super) fn of(shared: &Shared, output: Output) -> Outcome<Self> {
        Ok(Self { client: Client::of_cores(&shared.cores(), client_options(shared)?)?, output })
    }
}

/// The token that the client sends and the CA that it trusts, from the command line or the environment.
pub(super) fn client_options(shared: &Shared) -> Outcome<ClientOptions> {
    let mut options = ClientOptions::default();
    if let Some(file) = &shared.token_file {
        options = with_token_file(options, file)?;
    } else if let Some(token) = std::env::var_os(TOKEN) {
        let token = token.to_str().ok_or(ClientOptionsError::Token);
        options = token.and_then(|token| options.token(token)).map_err(|error| named(TOKEN, &error))?;
    }
    if let Some(ca) = &shared.ca {
        options = options.ca_file(ca)?;
    }
    Ok(options)
}

/// Reads the token in a file, which only its owner may be able to read.
fn with_token_file(options: ClientOptions, path: &Path) -> Outcome<ClientOptions> {
    let unusable =
        |reason: std::fmt::Arguments<'_>| Failure::new(Code::Unreadable, format_args!("token file {reason}"));
    let text = read_private(path, MAX_TOKEN).map_err(|error| unusable(format_args!("{error}")))?;
    options.token(&text).map_err(|error| unusable(format_args!("{}: {error}", path.display())))
}

fn named(variable: &str, error: &ClientOptionsError) -> Failure {
    Failure::usage(format_args!("{variable}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "zc_x").unwrap();
        let failure = with_token_file(ClientOptions::default(), &file).unwrap_err();
        assert!(failure.code == Code::Unreadable && failure.message.contains("chmod 600"), "{failure}");
    }
}
