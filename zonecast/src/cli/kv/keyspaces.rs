//! `zonecast kv create|keyspaces|drop`.

use clap::Args;

use super::shown::show_written;
use crate::cli::Context;
use crate::cli::context::WaitUntil;
use zonecast_api::types::{KeyspaceInfo, KeyspaceSetup};
use zonecast_service::exit::Outcome;

#[derive(Debug, Args)]
pub(in crate::cli) struct Create {
    /// Name of the keyspace.
    keyspace: String,
    /// Keep the keyspace in the cores: no edge ever gets a key of it.
    #[arg(long)]
    private: bool,
    /// Largest number of keys.
    #[arg(long, value_name = "N")]
    max_keys: Option<u64>,
    /// Largest number of bytes of all keys and values together.
    #[arg(long, value_name = "N")]
    max_bytes: Option<u64>,
    /// Largest value in bytes.
    #[arg(long, value_name = "N")]
    max_value: Option<u64>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Drop {
    /// Name of the keyspace.
    keyspace: String,
    /// Drop the keyspace with all its keys.
    #[arg(long)]
    with_keys: bool,
    #[command(flatten)]
    waiting: WaitUntil,
}

impl Create {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let Self { keyspace, private, max_keys, max_bytes, max_value } = self;
        // Without the option, the limits of a private keyspace can be changed as well.
        let setup = KeyspaceSetup { private: private.then_some(true), max_keys, max_bytes, max_value };
        let info = context.client.put_keyspace(&keyspace, &setup)?;
        context.output.show(&info, |info, out| writeln!(out, "{}", line(info)))?;
        Ok(())
    }
}

pub(super) fn list(context: &Context) -> Outcome {
    let list = context.client.keyspaces()?;
    context
        .output
        .show(&list, |list, out| list.keyspaces.iter().try_for_each(|keyspace| writeln!(out, "{}", line(keyspace))))?;
    Ok(())
}

impl Drop {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let Self { keyspace, with_keys, waiting } = self;
        show_written(context, &context.client.drop_keyspace(&keyspace, with_keys, waiting.patience())?)
    }
}

/// `rules  published  12 of 1000000 keys  3456 of 1073741824 bytes  values up to 1046528  revision 7`
fn line(info: &KeyspaceInfo) -> String {
    let KeyspaceInfo { keyspace, id: _, private, max_keys, max_bytes, max_value, keys, bytes, revision } = info;
    let who = if *private { "private" } else { "published" };
    format!(
        "{keyspace}\t{who}\t{keys} of {max_keys} keys\t{bytes} of {max_bytes} bytes\tvalues up to {max_value}\trevision \
         {revision}"
    )
}
