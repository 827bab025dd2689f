//! Runs the program: arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser as _;

use super::Context;
use super::arguments::{Cli, Command};
use super::complaint::complain;
use crate::log::{self, LogFormat};
use crate::output::Output;
use zonecast_service::exit::{Code, Outcome};

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
    let json = cli.shared.json || cli.shared.log_format == Some(LogFormat::Json);
    match dispatch(cli) {
        Ok(()) => Code::Ok.into(),
        Err(failure) => {
            complain(&failure, json);
            failure.code.into()
        }
    }
}

fn dispatch(cli: Cli) -> Outcome {
    let shared = cli.shared;
    let begin = |level| log::init(shared.log_format.unwrap_or_default(), shared.log_level.as_deref(), level);
    match cli.command {
        // Their configuration says how to log.
        Command::Core(_) | Command::Relay(_) | Command::Edge(_) => {}
        Command::Dev(_) => begin(log::OF_ROLES)?,
        _ => begin(log::OF_COMMANDS)?,
    }
    let output = Output { json: shared.json };
    let context = || Context::of(&shared, output);
    match cli.command {
        Command::Core(role) => role.run(&shared),
        Command::Relay(role) => role.run_relay(&shared),
        Command::Edge(role) => role.run_edge(&shared),
        Command::Dev(dev) => dev.run(shared.log_format.unwrap_or_default(), output),
        Command::Config(config) => config.run(output),
        Command::Record(record) => record.run(&context()?),
        Command::Settings(settings) => settings.run(&context()?),
        Command::Zone(zone) => zone.run(&context()?),
        Command::Get(get) => get.run(&context()?),
        Command::Kv(kv) => kv.run(&context()?),
        Command::Compare(compare) => compare.run(&context()?),
        Command::Verify(verify) => verify.run(&context()?),
        Command::Receipt(receipt) => receipt.run(&context()?),
        Command::Edges(edges) => edges.run(&context()?),
        Command::Cluster(cluster) => cluster.run(&shared, output),
        Command::Status(status) => status.run(&context()?),
        Command::Doctor(doctor) => doctor.run(&shared, output),
        Command::Backup(backup) => backup.run(&shared, output),
        Command::Restore(restore) => restore.run(output),
        Command::Ca(ca) => ca.run(output, || Ok(context()?.client)),
        Command::Token(token) => token.run(output, || Ok(context()?.client)),
        Command::Completions(completions) => completions.run(),
    }
}
