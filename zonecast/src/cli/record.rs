//! `zonecast record list|set|add|delete|rename|override|restore|disable|enable`.

use clap::{Args, Subcommand};
use domain::base::iana::Rtype;
use zonecast_ingest::{parse_owner, parse_type};
use zonecast_records::Name;

use super::record_data::{self, Data};
use super::written::show_written;
use super::{Context, Waiting, text};
use zonecast_api::types::{Action, ChangeRequest, RecordChange};
use zonecast_service::exit::{Failure, Outcome};

/// See `zonecast record --help`. NAME is relative to ZONE, `@` is the apex, a trailing dot makes it absolute.
#[derive(Debug, Subcommand)]
pub(super) enum Record {
    /// Show the records of a zone, of a name, or of one type there.
    List(List),
    /// Make an RRset exactly this record.
    Set(Write),
    /// Add a record to an RRset.
    Add(Write),
    /// Delete a record, an RRset, or everything at a name.
    Delete(Delete),
    /// Move everything at a name to another.
    Rename(Rename),
    /// Answer this record for a name and type, whatever the zone has; it stays when the zone is replaced.
    Override(Override),
    /// Answer what the zone has for a name and type again.
    Restore(Restore),
    /// Keep a record in the zone without serving it, also when the zone is replaced by one that has it.
    Disable(One),
    /// Serve a disabled record again.
    Enable(One),
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Which zone.
    zone: String,
    /// Relative to ZONE, `@` for its apex, absolute with a trailing dot.
    name: Option<String>,
    /// Only this type.
    #[arg(value_name = "TYPE")]
    rtype: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Write {
    /// Which zone.
    zone: String,
    /// Relative to ZONE, `@` for its apex, absolute with a trailing dot.
    name: String,
    /// Record type, such as A, or TYPE65280.
    #[arg(value_name = "TYPE")]
    rtype: String,
    /// [TTL] and the data as in a zone file, but nothing is a comment, and of several arguments each is one field, spaces
    /// and all. Without a TTL: the present one of the RRset, else the zone's default.
    #[arg(required = true, value_name = "[TTL] DATA", allow_negative_numbers = true)]
    pub(super) data: Vec<String>,
    /// Seconds, or as 1h30m; everything after TYPE is then data.
    #[arg(long)]
    ttl: Option<String>,
    #[command(flatten)]
    pub(super) waiting: Waiting,
}

#[derive(Debug, Args)]
pub(super) struct Delete {
    /// Which zone.
    zone: String,
    /// Relative to ZONE, `@` for its apex, absolute with a trailing dot.
    name: String,
    /// Only this type.
    #[arg(value_name = "TYPE")]
    rtype: Option<String>,
    /// Only the record with this data. A TTL before it is not looked at.
    #[arg(value_name = "[TTL] DATA", allow_negative_numbers = true)]
    data: Vec<String>,
    /// Everything beneath NAME as well.
    #[arg(long, conflicts_with = "rtype")]
    subtree: bool,
    /// It is meant that the zone loses much.
    #[arg(long)]
    allow_shrink: bool,
    #[command(flatten)]
    waiting: Waiting,
}

#[derive(Debug, Args)]
pub(super) struct Rename {
    /// Which zone.
    zone: String,
    /// Relative to ZONE, absolute with a trailing dot. What is beneath stays.
    name: String,
    /// The other name; what is there stays, too.
    #[arg(value_name = "NEW")]
    to: String,
    #[command(flatten)]
    waiting: Waiting,
}

#[derive(Debug, Args)]
pub(super) struct Override {
    /// Which zone.
    zone: String,
    /// Relative to ZONE, `@` for its apex, absolute with a trailing dot.
    name: String,
    /// Record type, such as A, or TYPE65280.
    #[arg(value_name = "TYPE")]
    rtype: String,
    /// [TTL] and the data as in a zone file.
    #[arg(required_unless_present = "nothing", value_name = "[TTL] DATA", allow_negative_numbers = true)]
    data: Vec<String>,
    /// Answer nothing: the name is as if it had no such records.
    #[arg(long, conflicts_with = "data")]
    nothing: bool,
    #[command(flatten)]
    waiting: Waiting,
}

#[derive(Debug, Args)]
pub(super) struct Restore {
    /// Which zone.
    zone: String,
    /// Relative to ZONE, `@` for its apex, absolute with a trailing dot.
    name: String,
    /// Record type, such as A, or TYPE65280.
    #[arg(value_name = "TYPE")]
    rtype: String,
    #[command(flatten)]
    waiting: Waiting,
}

#[derive(Debug, Args)]
pub(super) struct One {
    /// Which zone.
    zone: String,
    /// Relative to ZONE, `@` for its apex, absolute with a trailing dot.
    name: String,
    /// Record type, such as A, or TYPE65280.
    #[arg(value_name = "TYPE")]
    rtype: String,
    /// The data of the record. A TTL before it is not looked at.
    #[arg(required = true, value_name = "[TTL] DATA", allow_negative_numbers = true)]
    data: Vec<String>,
    #[command(flatten)]
    waiting: Waiting,
}

impl Record {
    pub(super) fn run(&self, context: &Context) -> Outcome {
        match self {
            Self::List(list) => list.run(context),
            Self::Set(write) => write.run(context, Action::Set),
            Self::Add(write) => write.run(context, Action::Add),
            Self::Delete(delete) => delete.run(context),
            Self::Rename(rename) => rename.run(context),
            Self::Override(lay_over) => lay_over.run(context),
            Self::Restore(restore) => restore.run(context),
            Self::Disable(one) => one.run(context, Action::Disable),
            Self::Enable(one) => one.run(context, Action::Enable),
        }
    }
}

impl Override {
    fn run(&self, context: &Context) -> Outcome {
        let zone = zone(&self.zone)?;
        parse_owner(&self.name, &zone).map_err(Failure::usage)?;
        let (ttl, data) = if self.nothing {
            (None, vec![])
        } else {
            let parsed = record_data::parse(&zone, rtype(&self.rtype)?, None, &self.data);
            let Data { ttl, data } = parsed.map_err(Failure::usage)?;
            (ttl, vec![data])
        };
        let (name, rtype) = (self.name.clone(), Some(self.rtype.clone()));
        let change = RecordChange { action: Action::Override, name, rtype, ttl, data, ..RecordChange::default() };
        change_records(context, &self.zone, self.waiting, change)
    }
}

impl Restore {
    fn run(&self, context: &Context) -> Outcome {
        parse_owner(&self.name, &zone(&self.zone)?).map_err(Failure::usage)?;
        let (name, rtype) = (self.name.clone(), Some(self.rtype.clone()));
        let change = RecordChange { action: Action::Restore, name, rtype, ..RecordChange::default() };
        change_records(context, &self.zone, self.waiting, change)
    }
}

impl One {
    fn run(&self, context: &Context, action: Action) -> Outcome {
        let zone = zone(&self.zone)?;
        parse_owner(&self.name, &zone).map_err(Failure::usage)?;
        let data = record_data::parse_listed(&zone, rtype(&self.rtype)?, &self.data);
        let data = vec![data.map_err(|rule| Failure::usage(format_args!("data: {rule}")))?];
        let (name, rtype) = (self.name.clone(), Some(self.rtype.clone()));
        let change = RecordChange { action, name, rtype, data, ..RecordChange::default() };
        change_records(context, &self.zone, self.waiting, change)
    }
}

impl Rename {
    fn run(&self, context: &Context) -> Outcome {
        let zone = zone(&self.zone)?;
        for name in [&self.name, &self.to] {
            parse_owner(name, &zone).map_err(Failure::usage)?;
        }
        let (name, to) = (self.name.clone(), Some(self.to.clone()));
        let change = RecordChange { action: Action::Rename, name, to, ..RecordChange::default() };
        change_records(context, &self.zone, self.waiting, change)
    }
}

impl List {
    fn run(&self, context: &Context) -> Outcome {
        let page = context.client.records(&self.zone, self.name.as_deref(), self.rtype.as_deref())?;
        context.output.show(&page, |page, out| page.rrsets.iter().try_for_each(|rrset| text::rrset(out, rrset)))?;
        if page.truncated {
            tracing::warn!("not all records are shown; `zonecast zone export {}` shows all", self.zone);
        }
        Ok(())
    }
}

impl Write {
    fn run(&self, context: &Context, action: Action) -> Outcome {
        let zone = zone(&self.zone)?;
        // Before the data, since a mistake in the name is the commoner one.
        parse_owner(&self.name, &zone).map_err(Failure::usage)?;
        let rtype = rtype(&self.rtype)?;
        let Data { ttl, data } =
            record_data::parse(&zone, rtype, self.ttl.as_deref(), &self.data).map_err(Failure::usage)?;
        let (name, rtype) = (self.name.clone(), Some(self.rtype.clone()));
        let change = RecordChange { action, name, rtype, ttl, data: vec![data], ..RecordChange::default() };
        change_records(context, &self.zone, self.waiting, change)
    }
}

impl Delete {
    fn run(&self, context: &Context) -> Outcome {
        let zone = zone(&self.zone)?;
        parse_owner(&self.name, &zone).map_err(Failure::usage)?;
        let data = match (&self.rtype, self.data.as_slice()) {
            (Some(text), [_, ..]) => {
                let data = record_data::parse_listed(&zone, rtype(text)?, &self.data);
                vec![data.map_err(|rule| Failure::usage(format_args!("data: {rule}")))?]
            }
            _ => vec![],
        };
        let change = RecordChange {
            action: Action::Delete,
            name: self.name.clone(),
            rtype: self.rtype.clone(),
            data,
            subtree: self.subtree,
            ..RecordChange::default()
        };
        let request = ChangeRequest { changes: vec![change] };
        let patience = self.waiting.patience();
        let written =
            self.waiting.only_if.client(context).change_allowing(&self.zone, &request, self.allow_shrink, patience)?;
        show_written(context, &written)
    }
}

fn zone(text: &str) -> Outcome<Name> {
    text.parse().map_err(|error| Failure::usage(format_args!("zone `{text}`: {error}")))
}

fn rtype(text: &str) -> Outcome<Rtype> {
    parse_type(text).map_err(Failure::usage)
}

fn change_records(context: &Context, zone: &str, waiting: Waiting, change: RecordChange) -> Outcome {
    let request = ChangeRequest { changes: vec![change] };
    let written = waiting.only_if.client(context).change(zone, &request, waiting.patience())?;
    show_written(context, &written)
}
