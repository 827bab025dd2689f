//! `zonecast settings`: the settings of the store, and of all zones that have none of their own.

use clap::Args;

use super::Context;
use zonecast_api::types::StoreSettingsChange;
use zonecast_service::exit::Outcome;

/// See `zonecast settings --help`.
#[derive(Debug, Args)]
pub(super) struct Settings {
    #[command(flatten)]
    guards: Guards,
    /// Most outcomes of writes that are kept for idempotency keys. Nothing is forgotten for it: what is kept stays for
    /// 24 hours.
    #[arg(long, value_name = "NUMBER")]
    max_keys: Option<u64>,
    /// Most bytes of them; an outcome counts 160 to 1,184.
    #[arg(long, value_name = "BYTES")]
    max_key_bytes: Option<u64>,
}

/// The guards against mistakes: writes beyond these limits are held.
#[derive(Clone, Debug, Args)]
pub(super) struct Guards {
    /// Largest share of the records of a zone that one write may remove without `--allow-shrink`: 0% to 100%, or
    /// `default`.
    #[arg(long, value_name = "SHARE")]
    pub(super) max_shrink: Option<String>,
    /// What to do with a write whose serial is lower than the serial of the zone.
    #[arg(long, value_name = "WHAT", value_parser = ["warn", "refuse", "default"])]
    pub(super) older_serial: Option<String>,
}

impl Settings {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let Self { guards: Guards { max_shrink, older_serial }, max_keys, max_key_bytes } = self;
        let change = StoreSettingsChange { max_shrink, older_serial, max_keys, max_key_bytes };
        let settings = if change == StoreSettingsChange::default() {
            context.client.store_settings()?
        } else {
            context.client.change_store_settings(&change)?
        };
        context.output.show(&settings, |settings, out| {
            writeln!(out, "max shrink\t{}\nolder serial\t{}", settings.max_shrink, settings.older_serial)?;
            writeln!(out, "max keys\t{}\nmax key bytes\t{}", settings.max_keys, settings.max_key_bytes)
        })?;
        Ok(())
    }
}
