//! The command line. Each command is a file; what they share is here.
//!
//! Results go to standard output, everything else to standard error; exit codes are in [`crate::exit`].

mod completions;
mod dev;
mod get;
mod record;
mod record_data;
mod status;
mod text;
mod zone;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use zonecast_kv_proto::WaitFor;

use crate::client::{Client, ClientError, Patience};
use crate::exit::{Code, Failure, Outcome};
use crate::log::{self, LogFormat};
use crate::output::Output;
use crate::timeout::{DEFAULT_TIMEOUT, parse_timeout};

/// Change a DNS record once; every edge answers with it in well under a second, and you can prove that it did.
#[derive(Debug, Parser)]
#[command(name = "zonecast", version, max_term_width = 100, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    shared: Shared,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
struct Shared {
    /// Print results as JSON.
    #[arg(long, global = true)]
    json: bool,
    /// Log lines (on standard error) for people or as one JSON object a line.
    #[arg(long, global = true, value_enum, default_value_t)]
    log_format: LogFormat,
    /// What to log: error, warn, info, debug, trace, or a filter as RUST_LOG takes it; wins over RUST_LOG.
    #[arg(long, global = true, value_name = "LEVEL")]
    log_level: Option<String>,
    /// Where the core's API listens.
    #[arg(long, global = true, env = "ZONECAST_CORE", value_name = "URL", default_value = "http://127.0.0.1:8053")]
    core: String,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a core and edges in one process, serving a folder of zone files.
    Dev(dev::Dev),
    /// List and change records.
    #[command(subcommand)]
    Record(record::Record),
    /// Import, export, list, check and delete zones.
    #[command(subcommand)]
    Zone(zone::Zone),
    /// Show what the store holds for a name: key, decoded value, version.
    Get(get::Get),
    /// Show how the core and its edges stand.
    Status(status::Status),
    /// Print a completion script for a shell.
    Completions(completions::Completions),
}

/// How long a write waits for edges.
#[derive(Clone, Copy, Debug, Args)]
struct Waiting {
    /// Wait until this many edges serve it: `edge` (any one), `all`, a number, or a share such as 50%.
    #[arg(long, value_name = "edge|all|N|P%")]
    wait: Option<WaitFor>,
    /// How long to wait, such as 10s or 500ms.
    #[arg(long, value_name = "TIME", value_parser = parse_timeout, requires = "wait")]
    timeout: Option<Duration>,
}

impl Waiting {
    fn patience(self) -> Patience {
        Patience { wait: self.wait, timeout: self.timeout.unwrap_or(DEFAULT_TIMEOUT) }
    }
}

/// What a command works with.
struct Context {
    client: Client,
    output: Output,
}

/// Runs the program with the arguments of the process and says what it returns.
#[must_use]
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { Code::Usage } else { Code::Ok };
            // Help to a closed pipe is nobody's trouble.
            let _ = error.print();
            return code.into();
        }
    };
    let json = cli.shared.json || cli.shared.log_format == LogFormat::Json;
    match dispatch(cli) {
        Ok(()) => Code::Ok.into(),
        Err(failure) => {
            complain(&failure, json);
            failure.code.into()
        }
    }
}

fn dispatch(cli: Cli) -> Outcome {
    let default_level = if matches!(cli.command, Command::Dev(_)) { "info,openraft=warn" } else { "warn" };
    log::init(cli.shared.log_format, cli.shared.log_level.as_deref(), default_level)?;
    let output = Output { json: cli.shared.json };
    let context = Context { client: Client::new(&cli.shared.core), output };
    match cli.command {
        Command::Dev(dev) => dev.run(output),
        Command::Record(record) => record.run(&context),
        Command::Zone(zone) => zone.run(&context),
        Command::Get(get) => get.run(&context),
        Command::Status(status) => status.run(&context),
        Command::Completions(completions) => completions.run(),
    }
}

/// Why we end, on standard error whatever the log level: one line, or a JSON object.
fn complain(failure: &Failure, json: bool) {
    let mut err = std::io::stderr().lock();
    let Failure { code, message, findings } = failure;
    // Nothing can be done about a closed standard error.
    let _ = if json {
        let line = serde_json::json!({
            "level": "ERROR", "message": message, "exit": *code as u8, "findings": findings,
        });
        writeln!(err, "{line}")
    } else {
        let findings: String = findings.iter().map(|finding| format!("; {}", text::finding(finding))).collect();
        writeln!(err, "zonecast: {message}{findings}")
    };
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let message = error.to_string();
        let (code, findings) = match error {
            ClientError::Unreachable { .. } => (Code::Unreachable, vec![]),
            ClientError::Foreign { .. } => (Code::Failed, vec![]),
            ClientError::Refused { detail, .. } if is_busy(&detail.code) => (Code::Busy, vec![]),
            ClientError::Refused { detail, .. } => (Code::Failed, detail.findings),
        };
        Self { findings, ..Self::new(code, message) }
    }
}

fn is_busy(code: &str) -> bool {
    matches!(code, "busy" | "overloaded")
}

impl From<std::io::Error> for Failure {
    /// Only standard output is written outside [`Failure::io`].
    fn from(error: std::io::Error) -> Self {
        let code = if crate::exit::is_disk_full(&error) { Code::Disk } else { Code::Failed };
        Self::new(code, format_args!("cannot write the result: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_may_follow_the_data() {
        let args = ["zonecast", "record", "set", "example.com", "www", "A", "60", "192.0.2.1", "--wait", "all"];
        let cli = Cli::try_parse_from(args).unwrap();
        let Command::Record(record::Record::Set(set)) = cli.command else { panic!("not set") };
        assert_eq!(set.waiting.wait, Some(WaitFor::All));
        assert_eq!(set.data, ["60", "192.0.2.1"]);
    }
}
