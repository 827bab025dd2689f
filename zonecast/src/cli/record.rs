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

/// The arguments of `zonecast record`.
#[derive(Debug, Subcommand)]
pub(super) enum Record {
    /// List the records of a zone, of a name, or of one type at a name.
    List(List),
    /// Replace an RRset by a single record, or create it.
    Set(Write),
    /// Add a record to an RRset.
    Add(Write),
    /// Delete a record, an RRset, or everything at a name.
    Delete(Delete),
    /// Move all records of a name to another name.
    Rename(Rename),
    /// Answer queries for a name and type with this record instead of the records of the zone. The override stays when
    /// the zone is replaced.
    Override(Override),
    /// Remove an override, so that the records of the zone are answered again.
    Restore(Restore),
    /// Stop serving a record, but keep it in the zone. It stays disabled when the zone is replaced.
    Disable(One),
    /// Serve a disabled record again.
    Enable(One),
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Name of the zone.
    zone: String,
    /// Name, relative to ZONE; `@` is the apex, and a trailing dot makes the name absolute.
    name: Option<String>,
    /// Only records of this type.
    #[arg(value_name = "TYPE")]
    rtype: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Write {
    /// Name of the zone.
    zone: String,
    /// Name, relative to ZONE; `@` is the apex, and a trailing dot makes the name absolute.
    name: String,
    /// Record type, such as A or TYPE65280.
    #[arg(value_name = "TYPE")]
    rtype: String,
    /// Optional TTL, then the data as in a zone file, without comments: a `;` is data. If the data is given as several
    /// arguments, each argument is one field and may contain spaces. Without a TTL, the RRset keeps its TTL; a new
    /// RRset gets the default TTL of the zone.
    #[arg(required = true, value_name = "[TTL] DATA", allow_negative_numbers = true)]
    pub(super) data: Vec<String>,
    /// TTL in seconds or like 1h30m. With this option, all arguments after TYPE are data.
    #[arg(long)]
    ttl: Option<String>,
    #[command(flatten)]
    pub(super) waiting: Waiting,
}

#[derive(Debug, Args)]
pub(super) struct Delete {
    /// Name of the zone.
    zone: String,
    /// Name, relative to ZONE; `@` is the apex, and a trailing dot makes the name absolute.
    name: String,
    /// Only records of this type.
    #[arg(value_name = "TYPE")]
    rtype: Option<String>,
    /// Only the record with this data. A TTL before the data is ignored.
    #[arg(value_name = "[TTL] DATA", allow_negative_numbers = true)]
    data: Vec<String>,
    /// Delete also all names below NAME.
    #[arg(long, conflicts_with = "rtype")]
    subtree: bool,
    /// Do it even if the zone loses a large share of its records.
    #[arg(long)]
    allow_shrink: bool,
    #[command(flatten)]
    waiting: Waiting,
}

#[derive(Debug, Args)]
pub(super) struct Rename {
    /// Name of the zone.
    zone: String,
    /// Present name, relative to ZONE; a trailing dot makes it absolute. Names below it are not moved.
    name: String,
    /// New name. Records that this name has already stay.
    #[arg(value_name = "NEW")]
    to: String,
    #[command(flatten)]
    waiting: Waiting,
}

#[derive(Debug, Args)]
pub(super) struct Override {
    /// Name of the zone.
    zone: String,
    /// Name, relative to ZONE; `@` is the apex, and a trailing dot makes the name absolute.
    name: String,
    /// Record type, such as A or TYPE65280.
    #[arg(value_name = "TYPE")]
    rtype: String,
    /// Optional TTL, then the data as in a zone file.
    #[arg(required_unless_present = "nothing", value_name = "[TTL] DATA", allow_negative_numbers = true)]
    data: Vec<String>,
    /// Answer as if the name had no records of this type.
    #[arg(long, conflicts_with = "data")]
    nothing: bool,
    #[command(flatten)]
    waiting: Waiting,
}

#[derive(Debug, Args)]
pub(super) struct Restore {
    /// Name of the zone.
    zone: String,
    /// Name, relative to ZONE; `@` is the apex, and a trailing dot makes the name absolute.
    name: String,
    /// Record type, such as A or TYPE65280.
    #[arg(value_name = "TYPE")]
    rtype: String,
    #[command(flatten)]
    waiting: Waiting,
}

#[derive(Debug, Args)]
pub(super) struct One {
    /// Name of the zone.
    zone: String,
    /// Name, relative to ZONE; `@` is the apex, and a trailing dot makes the name absolute.
    name: String,
    /// Record type, such as A or TYPE65280.
    #[arg(value_name = "TYPE")]
    rtype: String,
    /// Data of the record. A TTL before the data is ignored.
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
        // The name is checked before the data, because mistakes in names are more common.
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
