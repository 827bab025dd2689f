//! `zonecast receipt`.

use clap::Args;

use super::context::WaitUntil;
use super::{Context, text};
use zonecast_service::exit::Outcome;

/// See `zonecast receipt --help`.
#[derive(Debug, Args)]
pub(super) struct Receipt {
    /// Version of the change; the command that made it printed it, and `zonecast status` shows the last one.
    #[arg(id = "change", value_name = "VERSION")]
    version: u64,
    #[command(flatten)]
    wait_until: WaitUntil,
}

impl Receipt {
    pub(super) fn run(&self, context: &Context) -> Outcome {
        let receipt = context.client.receipt(self.version, self.wait_until.patience())?;
        context.output.show(&receipt, |receipt, out| {
            write!(out, "version {} is ", receipt.version)?;
            text::receipt(receipt, out)
        })?;
        text::check_reached(Some(&receipt))
    }
}
