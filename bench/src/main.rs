//! `zonecast-bench`: runs zonecast as a user would, from outside, and prints what it measured.
//!
//! Everything here starts the real binary, asks over real UDP and changes records over the real API.

// What this program prints is its result.
#![allow(clippy::print_stdout, reason = "a benchmark's results go to standard output")]

mod api;
mod baseline;
mod bench;
mod changes;
mod cluster;
mod compare;
mod demo;
mod dev;
mod dnsperf;
mod edge_copy;
mod figure;
mod generate;
mod host;
mod https;
mod in_memory;
mod light_edge;
mod limit;
mod must_reach;
mod peer;
mod probe;
mod process;
mod report;
mod results;
mod run;
mod samples;
mod scenario;
mod watchers;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measures zonecast from outside.
#[derive(Parser)]
#[command(name = "zonecast-bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The main job on real input: the root zone and generated zones, one core, two edges, 200 changes.
    Demo(demo::Demo),
    /// The figures that a release must reach: ready times and single changes.
    MustReach(must_reach::MustReach),
    /// Scenarios, one after the other: their results as a table, as JSON lines and as a page.
    Run(run::Run),
    /// Makes the page from results that were kept.
    Report(run::Report),
    /// Compares two runs; ends with 1 if something of zonecast became worse.
    Compare(compare::Compare),
    /// Changes one record of a running deployment again and again, and times when each edge answers with it.
    Propagation(scenario::propagation::Deployment),
    /// A process of the `serve` scenario.
    #[command(hide = true)]
    Echo(limit::udp_echo::Echo),
}

/// As in `zonecast`: what is measured in this process is measured as it runs there.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Compare(compare) => return compare.run(),
        Command::Demo(demo) => demo.run(),
        Command::MustReach(must_reach) => must_reach.run(),
        Command::Run(run) => run.run(),
        Command::Report(report) => report.run(),
        Command::Propagation(deployment) => deployment.run(),
        Command::Echo(echo) => echo.run(),
    }?;
    Ok(ExitCode::SUCCESS)
}
