//! `zonecast kv publish|log|rollback`.

use std::path::PathBuf;

use clap::Args;

use super::files;
use super::shown::show_written;
use crate::cli::Context;
use crate::cli::context::WaitUntil;
use zonecast_api::types::{GroupLogEntry, RollbackRequest};
use zonecast_service::day_and_time;
use zonecast_service::exit::{Failure, Outcome};

/// Number of changes to show by default.
const LIMIT: usize = 20;

#[derive(Debug, Args)]
pub(in crate::cli) struct Publish {
    /// Name of the keyspace.
    keyspace: String,
    /// Name of the group: its keys are the name, a slash, and the path of a file.
    group: String,
    /// Folders, of which every file is a key by its path in the folder, and files, which are keys by their names. Keys of
    /// the group that are not among them are deleted.
    #[arg(required = true, value_name = "DIR|FILE")]
    paths: Vec<PathBuf>,
    /// Publish even if the group loses a large share of its keys.
    #[arg(long)]
    allow_shrink: bool,
    #[command(flatten)]
    waiting: WaitUntil,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Log {
    /// Name of the keyspace.
    keyspace: String,
    /// Name of the group.
    group: String,
    /// Largest number of changes to show.
    #[arg(long, short = 'n', value_name = "N", default_value_t = LIMIT)]
    limit: usize,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Rollback {
    /// Name of the keyspace.
    keyspace: String,
    /// Name of the group.
    group: String,
    /// Restore the state after this revision of the keyspace.
    #[arg(long, value_name = "REVISION", required_unless_present = "undo", conflicts_with = "undo")]
    to: Option<u64>,
    /// Undo the last change of the group. With its revision, running the command again changes nothing.
    #[arg(long, value_name = "REVISION", num_args = 0..=1)]
    undo: Option<Option<u64>>,
    #[command(flatten)]
    waiting: WaitUntil,
}

impl Publish {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let Self { keyspace, group, paths, allow_shrink, waiting } = self;
        let content = files::content(&paths)?;
        let published = context.client.publish_group(&keyspace, &group, &content, allow_shrink, waiting.patience());
        show_written(context, &published?)
    }
}

impl Log {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let log = context.client.group_log(&self.keyspace, &self.group, self.limit)?;
        context
            .output
            .show(&log, |log, out| log.changes.iter().try_for_each(|change| writeln!(out, "{}", line(change))))?;
        Ok(())
    }
}

impl Rollback {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let Self { keyspace, group, to, undo, waiting } = self;
        let undo = match undo {
            Some(None) => Some(last(context, &keyspace, &group)?),
            Some(revision) => revision,
            None => None,
        };
        let request = RollbackRequest { to, undo };
        show_written(context, &context.client.roll_back_group(&keyspace, &group, &request, waiting.patience())?)
    }
}

/// The last change of a group.
fn last(context: &Context, keyspace: &str, group: &str) -> Outcome<u64> {
    let newest = context.client.group_log(keyspace, group, 1)?.changes.into_iter().next();
    let none = || Failure::failed(format_args!("group {group} has no changes to take back"));
    newest.map(|newest| newest.revision).ok_or_else(none)
}

/// `12  2026-11-23 09:30:05  published  3 put, 1 deleted  by ci`
fn line(change: &GroupLogEntry) -> String {
    let GroupLogEntry { revision, kind, time, by, puts, deletes } = change;
    let by = if by.is_empty() { String::new() } else { format!("\tby {by}") };
    format!("{revision}\t{}\t{kind}\t{puts} put, {deletes} deleted{by}", day_and_time(*time))
}
