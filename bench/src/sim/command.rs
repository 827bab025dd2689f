//! The command `zonecast-bench sim`.

use clap::Args;

use super::inputs::Inputs;
use super::outcome::Outcome;
use super::table::table;

/// What trees of relays would do for tens of thousands of edges: a model, not a measurement (docs/scale.md).
#[derive(Args)]
pub(crate) struct Sim {
    #[command(flatten)]
    inputs: Inputs,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

impl Sim {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let outcome = Outcome::of(&self.inputs);
        if self.json {
            println!("{}", serde_json::to_string_pretty(&outcome)?);
        } else {
            print!("{}", table(&outcome)?);
        }
        Ok(())
    }
}
