//! Zones that were deleted: they are kept for a while, and can be brought back.

use std::ops::ControlFlow;
use std::sync::Arc;

use zonecast_builder::{ChangeKind, RecordCounts, UndeleteError, delete_zone, deleted_zones, undelete_zone, zone_info};
use zonecast_kv_proto::View;
use zonecast_records::Name;

use super::Service;
use super::made::never_too_large;
use crate::error::ServiceError;
use crate::import::committed;
use crate::zone::{Guard, Terms, blocking, hides};
use crate::{Scope, Who};
use zonecast_api::types::{DeletedZone, DeletedZones, Written};

impl Service {
    /// Deletes a zone with all its records; `allow_shrink` says that it is meant.
    ///
    /// # Errors
    /// There is no such zone, the request does not say that it is meant, somebody replaces it, or the core cannot
    /// commit.
    pub async fn delete_zone(
        self: &Arc<Self>,
        apex: Name,
        allow_shrink: bool,
        terms: Terms,
    ) -> Result<Written, ServiceError> {
        let service = Arc::clone(self);
        self.to_the_end(&terms.who.clone(), async move { service.delete_now(apex, allow_shrink, terms).await }).await
    }

    async fn delete_now(&self, apex: Name, allow_shrink: bool, terms: Terms) -> Result<Written, ServiceError> {
        let _guard = self.locks().replace(apex).await.ok_or_else(|| ServiceError::busy(&apex))?;
        let Terms { who, condition } = terms;
        let author = self.author(who.name());
        let name = author.name().to_owned();
        let build = move |view: &dyn View, _: &zonecast_kv_core::Editions<'_>| {
            condition.check(view, &apex)?;
            let zone = zone_info(view, &apex)?.ok_or_else(|| ServiceError::no_zone(&apex))?;
            let records = RecordCounts { before: zone.records, after: 0 };
            Guard::of(view, &zone, allow_shrink)?.records(records, 0)?;
            let batch = delete_zone(view, &apex, author.note(ChangeKind::Deleted)).map_err(never_too_large)?;
            Ok::<_, ServiceError>((batch, ()))
        };
        let ((), pending) = self.core().change(build).await?;
        let committed = committed(pending.await);
        self.look_within(apex);
        let written = self.written(apex, committed?);
        let minutes = self.parts.keep_replaced.as_secs() / 60;
        tracing::info!(zone = %apex, by = name, "deleted; for {minutes} minutes it can be brought back");
        Ok(written)
    }

    /// Brings back a zone that was deleted, with its history.
    ///
    /// # Errors
    /// There is such a zone, none was deleted lately, or the core cannot commit.
    pub async fn undelete_zone(self: &Arc<Self>, apex: Name, who: Who) -> Result<Written, ServiceError> {
        let service = Arc::clone(self);
        self.to_the_end(&who.clone(), async move { service.undelete_now(apex, &who).await }).await
    }

    async fn undelete_now(&self, apex: Name, who: &Who) -> Result<Written, ServiceError> {
        let _guard = self.locks().replace(apex).await.ok_or_else(|| ServiceError::busy(&apex))?;
        let author = self.author(who.name());
        let name = author.name().to_owned();
        let build = move |view: &dyn View, _: &zonecast_kv_core::Editions<'_>| {
            let (batch, serial) = undelete_zone(view, &apex, author.note(ChangeKind::Undeleted))?;
            Ok::<_, ServiceError>((batch, (serial, hides(view, &apex)?)))
        };
        let ((serial, hides), pending) = self.core().change(build).await?;
        let committed = committed(pending.await);
        self.look_within(apex);
        let warnings = hides.into_iter().collect();
        let written = Written { serial: Some(serial), warnings, ..self.written(apex, committed?) };
        tracing::info!(zone = %apex, by = name, "brought back");
        Ok(written)
    }

    /// Zones of a scope after `after` in canonical order that can be brought back, some `limit` of them.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn deleted_zones(
        &self,
        scope: Scope,
        after: Option<Name>,
        limit: usize,
    ) -> Result<DeletedZones, ServiceError> {
        let core = self.core().clone();
        let keep = self.parts.keep_replaced.as_secs();
        blocking(move || {
            let (mut page, mut last) = (DeletedZones::default(), None);
            deleted_zones(&core.view(), after.as_ref(), |zone| {
                if !scope.covers(&zone.apex) {
                    return ControlFlow::Continue(());
                }
                // All of one name, which the next page begins after.
                if page.zones.len() >= limit && last != Some(zone.apex) {
                    page.next = last.map(|last| last.to_string());
                    return ControlFlow::Break(());
                }
                last = Some(zone.apex);
                page.zones.push(DeletedZone {
                    zone: zone.apex.to_string(),
                    id: zone.identity.id.get(),
                    deleted: zone.since,
                    kept_until: zone.since.saturating_add(keep),
                });
                ControlFlow::Continue(())
            })?;
            Ok(page)
        })
        .await
    }
}

impl From<UndeleteError> for ServiceError {
    fn from(error: UndeleteError) -> Self {
        match error {
            UndeleteError::Read(error) => error.into(),
            UndeleteError::NotKept(apex) => Self::NotDeleted(apex.to_string()),
            error @ UndeleteError::Hosted(_) => Self::refused(error, vec![]),
        }
    }
}
