//! `zonecast-bench`: runs zonecast as a user would, from outside, and prints what it measured.
//!
//! Everything here starts the real binary, asks over real UDP and changes records over the real API.

// The demo alone uses less of what it shares with the scenarios.
#![cfg_attr(not(feature = "measure"), allow(dead_code, reason = "the scenarios use it"))]
// What this program prints is its result.
#![allow(clippy::print_stdout, reason = "a benchmark's results go to standard output")]

mod api;
#[cfg(feature = "measure")]
mod baseline;
#[cfg(feature = "measure")]
mod bench;
mod changes;
#[cfg(feature = "measure")]
mod cluster;
#[cfg(feature = "measure")]
mod compare;
mod demo;
mod dev;
#[cfg(feature = "measure")]
mod dnsperf;
#[cfg(feature = "measure")]
mod edge_copy;
#[cfg(feature = "measure")]
mod figure;
mod generate;
#[cfg(feature = "measure")]
mod host;
#[cfg(feature = "measure")]
mod https;
#[cfg(feature = "measure")]
mod in_memory;
#[cfg(feature = "measure")]
mod light_edge;
#[cfg(feature = "measure")]
mod limit;
mod must_reach;
#[cfg(feature = "measure")]
mod peer;
mod probe;
#[cfg(feature = "measure")]
mod process;
#[cfg(feature = "measure")]
mod report;
#[cfg(feature = "measure")]
mod results;
#[cfg(feature = "measure")]
mod run;
#[cfg(feature = "measure")]
mod samples;
#[cfg(feature = "measure")]
mod scenario;
#[cfg(feature = "measure")]
mod sim;
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
    #[cfg(feature = "measure")]
    /// Scenarios, one after the other: their results as a table, as JSON lines and as a page.
    Run(run::Run),
    #[cfg(feature = "measure")]
    /// Makes the page from results that were kept.
    Report(run::Report),
    #[cfg(feature = "measure")]
    /// Compares two runs; ends with 1 if something of zonecast became worse.
    Compare(compare::Compare),
    #[cfg(feature = "measure")]
    /// Changes one record of a running deployment again and again, and times when each edge answers with it.
    Propagation(scenario::propagation::Deployment),
    #[cfg(feature = "measure")]
    /// What trees of relays would do for tens of thousands of edges: a model, not a measurement (docs/scale.md).
    Sim(sim::Sim),
    #[cfg(feature = "measure")]
    /// A process of the `serve` scenario.
    #[command(hide = true)]
    Echo(limit::udp_echo::Echo),
}

/// As in `zonecast`: what is measured in this process is measured as it runs there.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        #[cfg(feature = "measure")]
        Command::Compare(compare) => return compare.run(),
        Command::Demo(demo) => demo.run(),
        Command::MustReach(must_reach) => must_reach.run(),
        #[cfg(feature = "measure")]
        Command::Run(run) => run.run(),
        #[cfg(feature = "measure")]
        Command::Report(report) => report.run(),
        #[cfg(feature = "measure")]
        Command::Propagation(deployment) => deployment.run(),
        #[cfg(feature = "measure")]
        Command::Sim(sim) => sim.run(),
        #[cfg(feature = "measure")]
        Command::Echo(echo) => echo.run(),
    }?;
    Ok(ExitCode::SUCCESS)
}
