//! Records of a zone: read them, change them.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use domain::base::iana::Rtype;
use zonecast_builder::{
    Change, ChangeError as BuildError, ChangeKind, Layer, LayerChange, NameChange, RecordBuild, RrsetChange,
    SerialTime, export, flattened_build, read_name, zone_info,
};
use zonecast_ingest::{MAX_TTL, format_rdata, parse_owner, parse_rdata_words, parse_type};
use zonecast_kv_proto::View;
use zonecast_records::{Name, RecordRef};

use super::made::{CommittedChange, Made};
use super::{Service, settings};
use crate::answer::Wrote;
use crate::day::day_number;
use crate::error::ServiceError;
use crate::metrics::Build;
use crate::zone::zone_file::described;
use crate::zone::{ChangeTag, Tagged, Terms, blocking, default_ttl, unix_time};
use crate::zone::{FEW_RECORDS, Guard};
use zonecast_api::types::{Action, RecordChange, RrsetInfo, RrsetPage, Written};

/// Most changes in one request; what they touch must fit one batch anyway.
pub(super) const MAX_CHANGES: usize = 10_000;

/// Bytes of data after which an answer takes no more records; as text they may be four times as many.
pub(super) const MAX_DATA: usize = 16 * 1024 * 1024;

/// A change whose TTL may be left open.
#[derive(Clone, Debug)]
struct OpenChange {
    change: Change,
    ttl: Option<u32>,
}

impl Service {
    /// RRsets of a zone, of one name, of one name and type; at most `limit`, and some [`MAX_DATA`].
    ///
    /// # Errors
    /// There is no such zone, not a name or type, or the store could not be read.
    pub async fn records(
        &self,
        apex: Name,
        name: Option<String>,
        rtype: Option<String>,
        limit: usize,
    ) -> Result<Tagged<RrsetPage>, ServiceError> {
        let owner = name.map(|name| parse_owner(&name, &apex)).transpose().map_err(ServiceError::bad)?;
        let rtype = rtype.map(|rtype| parse_type(&rtype)).transpose().map_err(ServiceError::bad)?;
        let core = self.core().clone();
        blocking(move || {
            let page = RrsetPage { zone: apex.to_string(), ..RrsetPage::default() };
            let mut collected = Collected { page, room: MAX_DATA };
            let visit = |layer, record: RecordRef<'_>| match rtype {
                Some(rtype) if rtype != record.rtype => ControlFlow::Continue(()),
                _ => collected.take(layer, &record, limit),
            };
            let view = core.view();
            match owner {
                Some(owner) => read_name(&view, &apex, &owner, visit)?,
                None => export(&view, &apex, visit)?,
            }
            let tag = ChangeTag::of_read(&view, &apex)?;
            Ok(Tagged { value: collected.page, tag })
        })
        .await
    }

    /// Changes records of one zone as one version; `allow_shrink` if it is meant that much goes.
    ///
    /// # Errors
    /// The changes make no sense, break a rule or take away too much, somebody replaces the zone, or the core cannot
    /// commit.
    pub async fn change(
        self: &Arc<Self>,
        apex: Name,
        changes: Vec<RecordChange>,
        allow_shrink: bool,
        terms: Terms,
    ) -> Result<Written, ServiceError> {
        if changes.is_empty() || changes.len() > MAX_CHANGES {
            return Err(ServiceError::bad(format_args!("a request holds 1 to {MAX_CHANGES} changes")));
        }
        let mut open = Vec::with_capacity(changes.len());
        for change in &changes {
            parse_change(&apex, change, &mut open)?;
        }
        let (service, on) = (Arc::clone(self), terms.clone());
        let change = async move { service.change_records(apex, open, allow_shrink, on).await };
        Ok(self.wrote(apex, self.do_once(&terms, change).await?))
    }

    async fn change_records(
        &self,
        apex: Name,
        changes: Vec<OpenChange>,
        allow_shrink: bool,
        terms: Terms,
    ) -> Result<Wrote<Written>, ServiceError> {
        let timed = self.metrics().clone();
        let make = move |view: &dyn View| {
            let started = Instant::now();
            let changes = fill_in_ttls(view, &apex, &changes).map_err(|error| refused(&apex, error))?;
            let built = flattened_build(view, &apex, &changes, serial_time()).map_err(|error| refused(&apex, error));
            let built = built.inspect_err(|error| timed.not_built(Build::Record, error))?;
            timed.built_records(started.elapsed());
            let RecordBuild { batch, serial, warnings, undo, records, .. } = built;
            let zone = zone_info(view, &apex)?.ok_or_else(|| ServiceError::no_zone(&apex))?;
            let guard = Guard::of(view, &zone, allow_shrink)?;
            guard.records(records, FEW_RECORDS)?;
            // The builder has warned already.
            guard.serial(zone.serial, serial)?;
            let serial = serial.into_int();
            let warnings = warnings.iter().map(described).collect();
            let answer = Written { serial: Some(serial), warnings, ..Written::default() };
            Ok(Made { batch, undo, serial, answer })
        };
        let wrote = self.make(apex, terms, ChangeKind::Records, make).await?;
        Ok(wrote.map(|CommittedChange { version, answer, .. }| {
            let Written { serial, warnings, .. } = answer;
            Written { serial, warnings, ..self.written(apex, version) }
        }))
    }
}

pub(super) fn serial_time() -> SerialTime {
    let now = unix_time();
    SerialTime { unix: u32::try_from(now & u64::from(u32::MAX)).unwrap_or_default(), date: day_number(now) }
}

/// RRsets as they come record by record.
struct Collected {
    page: RrsetPage,
    /// Bytes of data that it may still take.
    room: usize,
}

impl Collected {
    /// Takes a record, unless there are `limit` RRsets or much data.
    fn take(&mut self, layer: Layer, record: &RecordRef<'_>, limit: usize) -> ControlFlow<()> {
        let Self { page, room } = self;
        let (name, rtype) = (record.owner.to_string(), record.rtype.to_string());
        let data: Vec<String> =
            (layer != Layer::Nothing).then(|| format_rdata(record.rtype, record.rdata)).into_iter().collect();
        let word = word_of(layer).map(str::to_owned);
        let is_same = |last: &&mut RrsetInfo| last.name == name && last.rtype == rtype && last.layer == word;
        let last = page.rrsets.last_mut().filter(is_same);
        let is_full = *room == 0;
        *room = room.saturating_sub(record.rdata.len());
        if let Some(last) = last {
            last.ttl = last.ttl.min(record.ttl);
            last.data.extend(data);
        } else if is_full || page.rrsets.len() == limit {
            page.truncated = true;
            return ControlFlow::Break(());
        } else {
            page.rrsets.push(RrsetInfo { name, rtype, ttl: record.ttl, data, layer: word });
        }
        ControlFlow::Continue(())
    }
}

/// What an answer calls a layer; nothing for what the source has.
fn word_of(layer: Layer) -> Option<&'static str> {
    match layer {
        Layer::Source => None,
        Layer::Override | Layer::Nothing => Some("override"),
        Layer::Overridden => Some("overridden"),
        Layer::Disabled => Some("disabled"),
        Layer::Flattened => Some("flattened"),
        Layer::Address => Some("address"),
    }
}

/// One change of a request as changes for the builder.
fn parse_change(apex: &Name, change: &RecordChange, out: &mut Vec<OpenChange>) -> Result<(), ServiceError> {
    let RecordChange { action, name, rtype, ttl, data, subtree, to } = change;
    let owner = parse_owner(name, apex).map_err(ServiceError::bad)?;
    if ttl.is_some_and(|ttl| ttl > MAX_TTL) {
        return Err(ServiceError::bad(format_args!("a TTL is at most {MAX_TTL} seconds")));
    }
    let mut push = |change| out.push(OpenChange { change, ttl: *ttl });
    if *subtree && (*action != Action::Delete || rtype.is_some() || !data.is_empty()) {
        return Err(ServiceError::bad("`subtree` is only for `delete` without type and data"));
    }
    if to.is_some() != (*action == Action::Rename) {
        return Err(ServiceError::bad("`rename` needs `to`, and no other action takes it"));
    }
    if let Some(to) = to {
        if rtype.is_some() || ttl.is_some() || !data.is_empty() {
            return Err(ServiceError::bad("`rename` moves all records of a name and takes no type, ttl or data"));
        }
        push(Change::Name(NameChange::Rename {
            owner,
            to: Box::new(parse_owner(to, apex).map_err(ServiceError::bad)?),
        }));
        return Ok(());
    }
    let Some(rtype) = rtype else {
        if *action != Action::Delete || !data.is_empty() {
            return Err(ServiceError::bad("type is missing"));
        }
        push(if *subtree {
            Change::Name(NameChange::DeleteSubtree { owner })
        } else {
            Change::Name(NameChange::Delete { owner })
        });
        return Ok(());
    };
    let rtype = parse_type(rtype).map_err(ServiceError::bad)?;
    let rdatas: Result<Vec<Vec<u8>>, _> =
        data.iter().map(|text| parse_rdata_words(rtype, &[text.as_str()], apex)).collect();
    let rdatas = rdatas.map_err(|rule| ServiceError::bad(format_args!("{owner} {rtype}: {rule}")))?;
    match (action, rdatas.is_empty()) {
        (Action::Set | Action::Add | Action::Disable | Action::Enable, true) => {
            return Err(ServiceError::bad("data is missing"));
        }
        (Action::Restore, false) => return Err(ServiceError::bad("`restore` takes a type and no data")),
        (Action::Override, _) => push(Change::Layer(LayerChange::Override { owner, rtype, ttl: 0, rdatas })),
        (Action::Restore, true) => push(Change::Layer(LayerChange::Restore { owner, rtype })),
        (Action::Disable, false) => {
            rdatas.into_iter().for_each(|rdata| push(Change::Layer(LayerChange::Disable { owner, rtype, rdata })))
        }
        (Action::Enable, false) => {
            rdatas.into_iter().for_each(|rdata| push(Change::Layer(LayerChange::Enable { owner, rtype, rdata })))
        }
        (Action::Set, false) => push(Change::Rrset(RrsetChange::Set { owner, rtype, ttl: 0, rdatas })),
        (Action::Add, false) => {
            rdatas.into_iter().for_each(|rdata| push(Change::Rrset(RrsetChange::Add { owner, rtype, ttl: 0, rdata })))
        }
        (Action::Delete, true) => push(Change::Rrset(RrsetChange::DeleteRrset { owner, rtype })),
        (Action::Rename, _) => {}
        (Action::Delete, false) => {
            rdatas.into_iter().for_each(|rdata| push(Change::Rrset(RrsetChange::Delete { owner, rtype, rdata })))
        }
    }
    Ok(())
}

/// Gives every record a TTL: its own, else that of its RRset now, else what is chosen for the zone.
fn fill_in_ttls(view: &dyn View, apex: &Name, open: &[OpenChange]) -> Result<Vec<Change>, BuildError> {
    let mut changes = Vec::with_capacity(open.len());
    for OpenChange { mut change, ttl: given } in open.iter().cloned() {
        if let Change::Layer(LayerChange::Override { rdatas, .. }) = &change
            && rdatas.is_empty()
        {
            changes.push(change);
            continue;
        }
        if let Change::Rrset(RrsetChange::Add { owner, rtype, ttl, .. })
        | Change::Rrset(RrsetChange::Set { owner, rtype, ttl, .. })
        | Change::Layer(LayerChange::Override { owner, rtype, ttl, .. }) = &mut change
        {
            *ttl = match given {
                Some(given) => given,
                None => match present_ttl(view, apex, owner, *rtype)? {
                    Some(present) => present,
                    None => default_ttl(settings::read(view, apex)?),
                },
            };
        }
        changes.push(change);
    }
    Ok(changes)
}

fn present_ttl(view: &dyn View, apex: &Name, owner: &Name, rtype: Rtype) -> Result<Option<u32>, BuildError> {
    let mut ttl: Option<u32> = None;
    read_name(view, apex, owner, |_, record| {
        if record.rtype == rtype {
            ttl = Some(ttl.map_or(record.ttl, |ttl| ttl.min(record.ttl)));
        }
        ControlFlow::Continue(())
    })?;
    Ok(ttl)
}

pub(super) fn refused(apex: &Name, error: BuildError) -> ServiceError {
    match error {
        BuildError::Refused(refused) => {
            let findings = refused.findings.iter().map(described).collect();
            ServiceError::refused(format_args!("the change of zone {apex} is refused"), findings)
        }
        BuildError::Read(error) => error.into(),
        BuildError::TooLarge | BuildError::Beside => ServiceError::refused(error, vec![]),
    }
}
