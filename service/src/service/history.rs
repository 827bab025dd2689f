//! What a zone was before: its last changes, what they changed, and making it so again.

use std::ops::ControlFlow;
use std::sync::Arc;

use zonecast_builder::{
    ChangeKind, ChangeSpan, LastChange, PastChange, PastError, ReadError, Rollback, Side, Target, batch_diff,
    delete_for_good, delete_retired, deleted_zones, retired_generations, rollback, zone_diff, zone_info, zone_log,
};
use zonecast_ingest::format_rdata;
use zonecast_kv_proto::{Batch, View};
use zonecast_records::{Name, RecordRef};

use super::Service;
use super::made::{CommittedChange, Made};
use super::records::{MAX_DATA, serial_time};
use crate::answer::Wrote;
use crate::error::ServiceError;
use crate::import::committed;
use crate::who::Who;
use crate::zone::{Terms, blocking, unix_time};
use zonecast_api::types::{DiffRecord, Written, ZoneDiff, ZoneLog, ZoneLogEntry};

/// Zones that are deleted for good before it is looked again.
const DELETED_AT_ONCE: usize = 10_000;

impl Service {
    /// The last changes of a zone, newest first, at most `limit`.
    ///
    /// # Errors
    /// There is no such zone, or the store could not be read.
    pub async fn zone_log(&self, apex: Name, limit: usize) -> Result<ZoneLog, ServiceError> {
        let core = self.core().clone();
        blocking(move || {
            let changes = zone_log(&core.view(), &apex, limit)?;
            Ok(ZoneLog { zone: apex.to_string(), changes: changes.into_iter().map(entry).collect() })
        })
        .await
    }

    /// What differs between a zone after its change `from` and after its change `to`; without them what the last change
    /// did. At most `limit` names are looked at, and some [`MAX_DATA`] of records. Waits for its turn: all that has changed
    /// since `from` is held meanwhile.
    ///
    /// # Errors
    /// There is no such zone, what it was is not kept, or the store could not be read.
    pub async fn zone_diff(
        &self,
        apex: Name,
        from: Option<u64>,
        to: Option<u64>,
        limit: usize,
        who: &Who,
    ) -> Result<ZoneDiff, ServiceError> {
        let place = self.large_reads.take(who).await;
        let core = self.core().clone();
        blocking(move || {
            let (_place, view) = (place, core.view());
            let last = zone_log(&view, &apex, 1)?.first().map_or(0, |last| last.number);
            let to = to.unwrap_or(last);
            let from = from.unwrap_or_else(|| to.saturating_sub(1));
            let mut diff = ZoneDiff { zone: apex.to_string(), from, to, ..ZoneDiff::default() };
            diff.truncated = zone_diff(&view, &apex, ChangeSpan { from, to }, limit, collect(&mut diff))?;
            Ok(diff)
        })
        .await
    }

    /// Makes a zone what it was, as asked `by` somebody.
    ///
    /// # Errors
    /// There is no such zone, what it was is not kept, somebody replaces it, or the core cannot commit.
    pub async fn roll_back(
        self: &Arc<Self>,
        apex: Name,
        target: Target,
        terms: Terms,
    ) -> Result<Written, ServiceError> {
        let (service, on) = (Arc::clone(self), terms.clone());
        let roll_back = async move { service.roll_back_now(apex, target, on).await };
        Ok(self.wrote(apex, self.do_once(&terms, roll_back).await?))
    }

    async fn roll_back_now(&self, apex: Name, target: Target, terms: Terms) -> Result<Wrote<Written>, ServiceError> {
        let make = move |view: &dyn View| {
            let Rollback { batch, serial, undo } = rollback(view, &apex, target, serial_time(), unix_time())?;
            let answer = Written { serial: Some(serial), changed: !batch.is_empty(), ..Written::default() };
            Ok(Made { batch, undo, serial, answer })
        };
        let wrote = self.make(apex, terms, ChangeKind::RolledBack, make).await;
        self.look_within(apex);
        Ok(wrote?.map(|CommittedChange { version, changed, answer }| {
            let serial = answer.serial;
            Written { serial, changed, ..self.written(apex, version) }
        }))
    }

    /// What a rollback would change, at most `limit` names of it; refuses what the rollback would refuse.
    ///
    /// # Errors
    /// The condition does not hold, there is no such zone, what it was is not kept, or the store could not be read.
    pub async fn preview_rollback(
        &self,
        apex: Name,
        target: Target,
        terms: Terms,
        limit: usize,
    ) -> Result<Written, ServiceError> {
        let Terms { who, condition, .. } = terms;
        let place = self.large_reads.take(&who).await;
        let core = self.core().clone();
        let (serial, changed, diff) = blocking(move || {
            let (_place, view) = (place, core.view());
            condition.check(&view, &apex)?;
            let Rollback { batch, serial, .. } = rollback(&view, &apex, target, serial_time(), unix_time())?;
            let diff = preview_diff(&view, &apex, &batch, limit)?;
            Ok::<_, ServiceError>((serial, !batch.is_empty(), diff))
        })
        .await?;
        Ok(Written { serial: Some(serial), changed, diff: Some(diff), ..self.written(apex, None) })
    }

    /// Deletes what zones were before they were replaced or deleted, once that is long enough ago; says of how many
    /// generations. Zones that somebody works on wait for the next time.
    ///
    /// # Errors
    /// The store could not be read, or the core cannot commit.
    pub async fn delete_retired(&self) -> Result<usize, ServiceError> {
        let core = self.core().clone();
        let before = unix_time().saturating_sub(self.parts.keep_replaced.as_secs());
        let (retired, deleted) = blocking(move || {
            let (view, mut deleted) = (core.view(), vec![]);
            deleted_zones(&view, None, |zone| {
                deleted.extend((zone.since <= before).then_some(zone));
                if deleted.len() < DELETED_AT_ONCE { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            Ok((retired_generations(&view)?, deleted))
        })
        .await?;
        let mut done = 0;
        for retired in retired.into_iter().filter(|retired| retired.since <= before) {
            done += usize::from(self.delete(retired.apex, move |view| delete_retired(view, &retired)).await?);
        }
        for zone in deleted {
            done += usize::from(self.delete(zone.apex, move |view| delete_for_good(view, &zone)).await?);
        }
        Ok(done)
    }

    /// Commits a deletion; does nothing while somebody works on the zone.
    async fn delete(
        &self,
        apex: Name,
        build: impl FnOnce(&dyn View) -> Result<Batch, ReadError> + Send + 'static,
    ) -> Result<bool, ServiceError> {
        let Some(_guard) = self.locks().change(apex) else { return Ok(false) };
        let change = self.core().change(move |view, _| Ok::<_, ReadError>((build(view)?, ())));
        let ((), pending) = change.await?;
        committed(pending.await)?;
        Ok(true)
    }
}

fn entry(change: PastChange) -> ZoneLogEntry {
    let PastChange { number, kind, time, by, serial_before, serial, can_be_undone } = change;
    ZoneLogEntry { number, kind: kind.word().to_owned(), time, by, serial_before, serial, can_be_undone }
}

/// What a batch would change of a zone, as its next change.
pub(super) fn preview_diff(
    view: &dyn View,
    apex: &Name,
    batch: &Batch,
    limit: usize,
) -> Result<ZoneDiff, ServiceError> {
    let last = match zone_info(view, apex)? {
        Some(zone) => LastChange::read(view, zone.identity.id)?.number,
        None => 0,
    };
    let mut diff = ZoneDiff { zone: apex.to_string(), from: last, to: last + 1, ..ZoneDiff::default() };
    diff.truncated = batch_diff(view, apex, batch, limit, collect(&mut diff))?;
    Ok(diff)
}

/// Puts what differs into an answer, until that is large enough.
fn collect(diff: &mut ZoneDiff) -> impl FnMut(Side, RecordRef<'_>) -> ControlFlow<()> {
    let (removed, added) = (&mut diff.removed, &mut diff.added);
    let mut room = MAX_DATA;
    move |side, record| {
        room = room.saturating_sub(record.rdata.len());
        match side {
            Side::Removed => removed.push(shown(record)),
            Side::Added => added.push(shown(record)),
        }
        if room > 0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

fn shown(record: RecordRef<'_>) -> DiffRecord {
    DiffRecord {
        name: record.owner.to_string(),
        ttl: record.ttl,
        rtype: record.rtype.to_string(),
        data: format_rdata(record.rtype, record.rdata),
    }
}

impl From<PastError> for ServiceError {
    fn from(error: PastError) -> Self {
        match error {
            PastError::Read(error) => error.into(),
            error @ (PastError::NotKept { .. } | PastError::NotLast { .. }) => Self::bad(error),
            error => Self::refused(error, vec![]),
        }
    }
}
