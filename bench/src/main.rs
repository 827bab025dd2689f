//! `zonecast-bench`: runs zonecast as a user would, from outside, and prints what it measured.
//!
//! Everything here starts the real binary, asks over real UDP and changes records over the real API.

// What this program prints is its result.
#![allow(clippy::print_stdout, reason = "a benchmark's results go to standard output")]

mod api;
mod changes;
mod demo;
mod dev;
mod generate;
mod must_reach;
mod probe;

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
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Demo(demo) => demo.run(),
        Command::MustReach(must_reach) => must_reach.run(),
    }
}
