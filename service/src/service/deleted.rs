//! Zones that were deleted: they are kept for a while, and can be brought back.

use std::ops::ControlFlow;
use std::sync::Arc;

use zonecast_builder::{ChangeKind, RecordCounts, UndeleteError, delete_zone, deleted_zones, undelete_zone, zone_info};
use zonecast_kv_proto::View;
use zonecast_records::Name;

use super::Service;
use super::made::never_too_large;
use crate::Scope;
use crate::answer::{Answer, Wrote};
use crate::error::ServiceError;
use crate::import::landed;
use crate::zone::{Guard, Terms, blocking, hides};
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
        let (service, on) = (Arc::clone(self), terms.clone());
        let delete = async move { service.delete_now(apex, allow_shrink, on).await };
        Ok(self.wrote(apex, self.do_once(&terms, delete).await?))
    }

    async fn delete_now(&self, apex: Name, allow_shrink: bool, terms: Terms) -> Result<Wrote<Written>, ServiceError> {
        let _guard = self.locks().replace(apex).await.ok_or_else(|| ServiceError::busy(&apex))?;
        let Terms { who, condition, once } = terms;
        let author = self.author(who.name());
        let name = author.name().to_owned();
        let build = move |view: &dyn View, _: &zonecast_kv_core::Editions<'_>| {
            condition.check(view, &apex)?;
            let zone = zone_info(view, &apex)?.ok_or_else(|| ServiceError::no_zone(&apex))?;
            let records = RecordCounts { before: zone.records, after: 0 };
            Guard::of(view, &zone, allow_shrink)?.records(records, 0)?;
            let batch = delete_zone(view, &apex, author.note(ChangeKind::Deleted)).map_err(never_too_large)?;
            Ok::<_, ServiceError>((batch, Written::default().note(), ()))
        };
        let (_, pending) = self.propose(once, build).await?;
        let landed = landed(pending.await);
        self.look_within(apex);
        let wrote = landed?.map(|version| self.written(apex, version));
        let minutes = self.parts.keep_replaced.as_secs() / 60;
        if let Wrote::Now(_) = wrote {
            tracing::info!(zone = %apex, by = name, "deleted; for {minutes} minutes it can be brought back");
        }
        Ok(wrote)
    }

    /// Brings back a zone that was deleted, with its history.
    ///
    /// # Errors
    /// There is such a zone, none was deleted lately, or the core cannot commit.
    pub async fn undelete_zone(self: &Arc<Self>, apex: Name, terms: Terms) -> Result<Written, ServiceError> {
        let (service, on) = (Arc::clone(self), terms.clone());
        let undelete = async move { service.undelete_now(apex, on).await };
        Ok(self.wrote(apex, self.do_once(&terms, undelete).await?))
    }

    async fn undelete_now(&self, apex: Name, Terms { who, once, .. }: Terms) -> Result<Wrote<Written>, ServiceError> {
        let _guard = self.locks().replace(apex).await.ok_or_else(|| ServiceError::busy(&apex))?;
        let author = self.author(who.name());
        let name = author.name().to_owned();
        let build = move |view: &dyn View, _: &zonecast_kv_core::Editions<'_>| {
            let (batch, serial) = undelete_zone(view, &apex, author.note(ChangeKind::Undeleted))?;
            let warnings = hides(view, &apex)?.into_iter().collect();
            let answer = Written { serial: Some(serial), warnings, ..Written::default() };
            Ok::<_, ServiceError>((batch, answer.note(), answer))
        };
        let (answer, pending) = self.propose(once, build).await?;
        let landed = landed(pending.await);
        self.look_within(apex);
        let Written { serial, warnings, .. } = answer.unwrap_or_default();
        let wrote = landed?.map(|version| Written { serial, warnings, ..self.written(apex, version) });
        if let Wrote::Now(_) = wrote {
            tracing::info!(zone = %apex, by = name, "brought back");
        }
        Ok(wrote)
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
