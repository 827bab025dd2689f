//! What a zone was before: its last changes, what they changed, and making it so again.

use std::sync::Arc;
use std::time::Duration;

use zonecast_builder::{
    ChangeKind, PastChange, PastError, ReadError, Side, delete_retired, retired_generations, rollback, zone_diff,
    zone_log,
};
use zonecast_ingest::format_rdata;
use zonecast_records::{Name, RecordRef};

use super::records::serial_time;
use super::{Service, ServiceError, blocking, now, unix_time};
use crate::api::types::{DiffRecord, Written, ZoneDiff, ZoneLog, ZoneLogEntry};
use crate::import::settled;

impl Service {
    /// The last changes of a zone, newest first, at most `limit`.
    ///
    /// # Errors
    /// There is no such zone, or the store could not be read.
    pub(crate) async fn zone_log(&self, apex: Name, limit: usize) -> Result<ZoneLog, ServiceError> {
        let core = self.core().clone();
        blocking(move || {
            let changes = zone_log(&core.view(), &apex, limit)?;
            Ok(ZoneLog { zone: apex.to_string(), changes: changes.into_iter().map(entry).collect() })
        })
        .await
    }

    /// What differs between a zone after its change `from` and after its change `to`; without them what the last change
    /// did. At most `limit` names are looked at.
    ///
    /// # Errors
    /// There is no such zone, what it was is not kept, or the store could not be read.
    pub(crate) async fn zone_diff(
        &self,
        apex: Name,
        (from, to): (Option<u64>, Option<u64>),
        limit: usize,
    ) -> Result<ZoneDiff, ServiceError> {
        let core = self.core().clone();
        blocking(move || {
            let view = core.view();
            let last = zone_log(&view, &apex, 1)?.first().map_or(0, |last| last.number);
            let to = to.unwrap_or(last);
            let from = from.unwrap_or_else(|| to.saturating_sub(1));
            let mut diff = ZoneDiff { zone: apex.to_string(), from, to, ..ZoneDiff::default() };
            let (removed, added) = (&mut diff.removed, &mut diff.added);
            let visit = |side, record: RecordRef<'_>| match side {
                Side::Removed => removed.push(shown(record)),
                Side::Added => added.push(shown(record)),
            };
            diff.truncated = zone_diff(&view, &apex, (from, to), limit, visit)?;
            Ok(diff)
        })
        .await
    }

    /// Makes a zone what it was after its change `to`, without one what it was before the last.
    ///
    /// # Errors
    /// There is no such zone, what it was is not kept, somebody replaces it, or the core cannot commit.
    pub(crate) async fn roll_back(
        self: &Arc<Self>,
        apex: Name,
        to: Option<u64>,
        by: String,
    ) -> Result<Written, ServiceError> {
        let service = Arc::clone(self);
        self.to_the_end(async move { service.roll_back_now(apex, to, by).await }).await
    }

    async fn roll_back_now(&self, apex: Name, to: Option<u64>, by: String) -> Result<Written, ServiceError> {
        let _guard = self.locks().change(apex).ok_or_else(|| ServiceError::busy(&apex))?;
        let build = move |view: &dyn zonecast_kv_proto::View, _: &zonecast_kv_core::Editions<'_>| {
            let last = zone_log(view, &apex, 1)?.first().map_or(0, |last| last.number);
            let to = to.unwrap_or(last.saturating_sub(1));
            let note = now(ChangeKind::RolledBack, &by);
            let mut done = rollback(view, &apex, to, serial_time(), note.time)?;
            done.undo.remember(view, &mut done.batch, note)?;
            Ok::<_, PastError>((done.batch, done.serial))
        };
        let (serial, pending) = self.core().change(build).await?;
        let settled = settled(pending.await);
        self.look_within(apex).await;
        Ok(Written { serial: Some(serial), ..self.written(apex, settled?) })
    }

    /// Deletes the generations that were replaced longer than `keep` ago; says how many. Zones that somebody works on
    /// wait for the next time.
    ///
    /// # Errors
    /// The store could not be read, or the core cannot commit.
    pub(crate) async fn delete_retired(&self, keep: Duration) -> Result<usize, ServiceError> {
        let core = self.core().clone();
        let before = unix_time().saturating_sub(keep.as_secs());
        let all = blocking(move || Ok(retired_generations(&core.view())?)).await?;
        let mut deleted = 0;
        for retired in all.into_iter().filter(|retired| retired.since <= before) {
            let Some(_guard) = self.locks().change(retired.apex) else { continue };
            let change = self.core().change(move |view, _| Ok::<_, ReadError>((delete_retired(view, &retired)?, ())));
            let ((), pending) = change.await?;
            settled(pending.await)?;
            deleted += 1;
        }
        Ok(deleted)
    }
}

fn entry(change: PastChange) -> ZoneLogEntry {
    let PastChange { number, kind, time, by, serial_before, serial, can_be_undone } = change;
    ZoneLogEntry { number, kind: kind.word().to_owned(), time, by, serial_before, serial, can_be_undone }
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
            error @ PastError::NotKept { .. } => Self::bad(error),
            error => Self::refused(error, vec![]),
        }
    }
}
