//! `zonecast kv get|put|delete|list|txn`.

use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use clap::Args;

use super::files;
use super::shown::{octets, show_written};
use crate::cli::Context;
use crate::cli::context::WaitUntil;
use zonecast_api::types::{KeyEntry, KeyTransaction, Octets};
use zonecast_api::{KeyList, KeyRead, KeyWhen};
use zonecast_service::exit::{Failure, Outcome};

#[derive(Debug, Args)]
pub(in crate::cli) struct Get {
    /// Name of the keyspace.
    keyspace: String,
    /// The key; its bytes are taken as they are.
    key: OsString,
    /// Store to read in the process at `--core`: `core`, `edge` (its first edge), or the name of an edge.
    #[arg(long, value_name = "core|edge|NAME")]
    at: Option<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Put {
    /// Name of the keyspace.
    keyspace: String,
    /// The key; its bytes are taken as they are.
    key: OsString,
    /// The value; its bytes are taken as they are.
    #[arg(required_unless_present = "file")]
    value: Option<OsString>,
    /// Read the value from a file; `-` is standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "value")]
    file: Option<PathBuf>,
    /// Put the key only if its last change has this revision.
    #[arg(long, value_name = "REVISION", conflicts_with = "if_absent")]
    if_revision: Option<u64>,
    /// Put the key only if there is no such key.
    #[arg(long)]
    if_absent: bool,
    #[command(flatten)]
    waiting: WaitUntil,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Delete {
    /// Name of the keyspace.
    keyspace: String,
    /// The key; its bytes are taken as they are.
    key: OsString,
    /// Delete the key only if its last change has this revision.
    #[arg(long, value_name = "REVISION")]
    if_revision: Option<u64>,
    #[command(flatten)]
    waiting: WaitUntil,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    /// Name of the keyspace.
    keyspace: String,
    /// Keys that begin so.
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<OsString>,
    /// Keys after this one.
    #[arg(long, value_name = "KEY")]
    after: Option<OsString>,
    /// Largest number of keys to list. The default is all.
    #[arg(long, short = 'n', value_name = "N")]
    limit: Option<usize>,
    /// Print the values, too.
    #[arg(long)]
    values: bool,
    /// Store to read in the process at `--core`: `core`, `edge` (its first edge), or the name of an edge.
    #[arg(long, value_name = "core|edge|NAME")]
    at: Option<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Txn {
    /// Name of the keyspace.
    keyspace: String,
    /// File with the transaction as JSON, as in docs/api.md; `-` is standard input.
    file: PathBuf,
    #[command(flatten)]
    waiting: WaitUntil,
}

impl Get {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let Self { keyspace, key, at } = self;
        let KeyRead { value, revision, version: _ } = context.client.key(&keyspace, key.as_bytes(), at.as_deref())?;
        if context.output.json {
            let value_len = value.len();
            let (key, value) = (Octets::of(key.as_bytes()), Some(Octets::of(&value)));
            context.output.show(&KeyEntry { key, revision, len: value_len, value }, |_, _| Ok(()))?;
            return Ok(());
        }
        let mut out = std::io::stdout().lock();
        out.write_all(&value)?;
        out.flush()?;
        Ok(())
    }
}

impl Put {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let Self { keyspace, key, value, file, if_revision, if_absent, waiting } = self;
        let value = match file {
            Some(file) => files::read(&file)?,
            None => value.unwrap_or_default().into_vec(),
        };
        let when = match if_revision {
            Some(revision) => KeyWhen::Revision(revision),
            None if if_absent => KeyWhen::Absent,
            None => KeyWhen::Always,
        };
        let written = context.client.put_key(&keyspace, key.as_bytes(), &value, when, waiting.patience())?;
        show_written(context, &written)
    }
}

impl Delete {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let Self { keyspace, key, if_revision, waiting } = self;
        let when = if_revision.map_or(KeyWhen::Always, KeyWhen::Revision);
        show_written(context, &context.client.delete_key(&keyspace, key.as_bytes(), when, waiting.patience())?)
    }
}

impl List {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let Self { keyspace, prefix, after, limit, values, at } = self;
        let mut wanted = KeyList {
            prefix: prefix.unwrap_or_default().into_vec(),
            after: after.map(OsString::into_vec),
            limit,
            keys_only: !values,
            at,
        };
        let mut page = context.client.keys(&keyspace, &wanted)?;
        let is_enough = |keys: usize| limit.is_some_and(|limit| keys >= limit);
        while let Some(next) = page.next.take().filter(|_| !is_enough(page.keys.len())) {
            wanted.after = Some(next.into_bytes().map_err(Failure::failed)?);
            wanted.limit = limit.map(|limit| limit - page.keys.len());
            let more = context.client.keys(&keyspace, &wanted)?;
            page.keys.extend(more.keys);
            page.next = more.next;
        }
        context.output.show(&page, |page, out| {
            page.keys.iter().try_for_each(|entry| {
                octets(out, &entry.key)?;
                write!(out, "\trevision {}\t{} bytes", entry.revision, entry.len)?;
                if let Some(value) = &entry.value {
                    write!(out, "\t")?;
                    octets(out, value)?;
                }
                writeln!(out)
            })
        })?;
        Ok(())
    }
}

impl Txn {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let Self { keyspace, file, waiting } = self;
        let transaction: KeyTransaction = serde_json::from_slice(&files::read(&file)?)
            .map_err(|error| Failure::usage(format_args!("{}: {error}", file.display())))?;
        show_written(context, &context.client.key_transaction(&keyspace, &transaction, waiting.patience())?)
    }
}
