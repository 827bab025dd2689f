//! Whole zones: list, replace.

use std::sync::Arc;

use bytes::Bytes;
use zonecast_builder::{ChangeKind, ReadError};
use zonecast_kv_core::HeldLead;
use zonecast_kv_proto::{Batch, Idempotency, Once, Version};
use zonecast_records::Name;

use super::Service;
use super::history::preview_diff;
use super::made::MAX_ATTEMPTS;
use crate::answer::{Answer, Wrote};
use crate::error::ServiceError;
use crate::import::{Committer, Plan, Planned, Preview, ZoneRequest, plan_zone, preview_zone, replace_generation};
use crate::scope::Scope;
use crate::shares::Place;
use crate::zone::Chosen;
use crate::zone::zone_file::ZoneText;
use crate::zone::{ChangeTag, Condition, StoredZone, Tagged, Terms, blocking};
use zonecast_api::Tolerance;
use zonecast_api::types::{Finding, SettingsChange, Written, ZoneInfo, ZonePage};

/// A zone file on its way in.
#[derive(Debug)]
pub struct Upload {
    /// The text.
    pub text: Bytes,
    /// What it is called in messages.
    pub file: String,
    /// Settings to choose with it.
    pub settings: SettingsChange,
    /// What it may have although it breaks a rule.
    pub tolerance: Tolerance,
    /// It is meant that much goes.
    pub allow_shrink: bool,
    /// Bounds the memory that such texts take, so it is held as long as this one.
    pub place: Place,
}

impl Upload {
    fn request<'r>(&'r self, apex: &'r Name, chosen: Chosen) -> ZoneRequest<'r> {
        let text = ZoneText::Text { name: &self.file, bytes: &self.text };
        ZoneRequest { apex, text, chosen, allow_shrink: self.allow_shrink }
    }
}

impl Service {
    /// Zones of a scope after `after` in canonical order, at most `limit`.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn zones(&self, scope: Scope, after: Option<Name>, limit: usize) -> Result<ZonePage, ServiceError> {
        let core = self.core().clone();
        blocking(move || {
            let zones = StoredZone::list_scope(&core.view(), &scope, after.as_ref(), limit + 1);
            let mut zones = zones.map_err(ServiceError::internal)?;
            let more = zones.len() > limit;
            zones.truncate(limit);
            let next = zones.last().filter(|_| more).map(|zone| zone.apex.to_string());
            Ok(ZonePage { zones: zones.iter().map(info).collect(), next })
        })
        .await
    }

    /// One zone.
    ///
    /// # Errors
    /// There is no such zone, or the store could not be read.
    pub async fn zone(&self, apex: Name) -> Result<Tagged<ZoneInfo>, ServiceError> {
        let core = self.core().clone();
        blocking(move || {
            let view = core.view();
            let zone = StoredZone::read(&view, &apex).map_err(ServiceError::internal)?;
            let zone = zone.ok_or_else(|| ServiceError::no_zone(&apex))?;
            let tag = ChangeTag::of_read(&view, &apex)?;
            Ok(Tagged { value: ZoneInfo { change: Some(tag.change), ..info(&zone) }, tag })
        })
        .await
    }

    /// Replaces or makes a zone from the text of a zone file.
    ///
    /// # Errors
    /// The text breaks a rule or takes away too much, somebody else replaces the zone, or the core cannot commit.
    pub async fn put_zone(self: &Arc<Self>, apex: Name, upload: Upload, terms: Terms) -> Result<Written, ServiceError> {
        let chosen = Chosen::read(&upload.settings)?.tolerating(upload.tolerance);
        let (service, on) = (Arc::clone(self), terms.clone());
        let replace = async move { service.replace(apex, Arc::new(upload), chosen, on).await };
        Ok(self.wrote(apex, self.do_once(&terms, replace).await?))
    }

    async fn replace(
        &self,
        apex: Name,
        upload: Arc<Upload>,
        chosen: Chosen,
        terms: Terms,
    ) -> Result<Wrote<Written>, ServiceError> {
        let guard = self.locks().replace(apex).await.ok_or_else(|| ServiceError::busy(&apex))?;
        let author = self.author(terms.who.name());
        let mut attempts = 1..;
        let wrote = loop {
            // Before ids are drawn: those drawn under an earlier lead are swept.
            let lead = self.core().hold_lead()?;
            let ids = self.allocate(1).await?;
            let (core, metrics) = (self.core().clone(), self.metrics().clone());
            let (upload, author, condition) = (Arc::clone(&upload), author.clone(), terms.condition.clone());
            let plan = blocking(move || {
                let view = core.view();
                // What is planned requires that the zone does not move from here on.
                condition.check(&view, &apex)?;
                let note = author.note(ChangeKind::Replaced);
                plan_zone(&view, upload.request(&apex, chosen), &ids, note, &metrics)
            });
            match self.commit_zone(apex, plan.await?, lead, terms.once).await {
                Err(ServiceError::Overtaken(_)) if attempts.next() < Some(MAX_ATTEMPTS) => {}
                wrote => break wrote,
            }
        };
        drop(guard);
        self.look_within(apex);
        wrote
    }

    /// What that would change, without doing it; at most `limit` names are looked at.
    ///
    /// # Errors
    /// The text breaks a rule, or the store could not be read.
    pub async fn preview_zone(
        &self,
        apex: Name,
        upload: Upload,
        condition: Condition,
        limit: usize,
    ) -> Result<Written, ServiceError> {
        let chosen = Chosen::read(&upload.settings)?.tolerating(upload.tolerance);
        let (core, metrics) = (self.core().clone(), self.metrics().clone());
        let (preview, diff) = blocking(move || {
            let view = core.view();
            condition.check(&view, &apex)?;
            let preview = preview_zone(&view, upload.request(&apex, chosen), &metrics)?;
            let diff = preview_diff(&view, &apex, &preview.batch, limit)?;
            Ok((preview, diff))
        })
        .await?;
        let Preview { batch, records, serial, mut warnings, held } = preview;
        warnings.extend(held.map(|held| Finding {
            rule: "held".into(),
            message: held.to_string(),
            ..Finding::default()
        }));
        let (serial, records) = (Some(serial), Some(records));
        let written = self.written(apex, None);
        Ok(Written { serial, records, warnings, changed: !batch.is_empty(), diff: Some(diff), ..written })
    }

    async fn commit_zone(
        &self,
        apex: Name,
        plan: Plan,
        lead: HeldLead,
        once: Option<Idempotency>,
    ) -> Result<Wrote<Written>, ServiceError> {
        let (wrote, answer) = match plan {
            Plan::Unchanged { records } => {
                let serial = self.zone(apex).await?.value.serial;
                let answer = answer(&Planned { work: (), records, serial, warnings: vec![] });
                (self.commit_small(&Batch::default(), lead, noted(once, &answer)).await?, answer)
            }
            Plan::Small(planned) => {
                let answer = answer(&planned);
                (self.commit_small(&planned.work, lead, noted(once, &answer)).await?, answer)
            }
            Plan::Large(planned) => {
                let answer = answer(&planned);
                let once = noted(once, &answer);
                (replace_generation(self.core(), lead, planned.work, once).await?, answer)
            }
        };
        Ok(wrote.map(|version| {
            let Written { serial, records, warnings, .. } = answer;
            Written { serial, records, warnings, ..self.written(apex, version) }
        }))
    }

    /// Commits what one batch holds. That nothing had to change is kept as well, if it is asked for once.
    async fn commit_small(
        &self,
        work: &Batch,
        lead: HeldLead,
        once: Option<Once>,
    ) -> Result<Wrote<Option<Version>>, ServiceError> {
        let mut committer = Committer::new(self.core().clone(), lead);
        if !work.sections.is_empty() || once.is_some() {
            committer.push_once(work, once, ()).await?;
        }
        let version = committer.finish().await?;
        if let Some(((), refusal)) = committer.overtaken().next() {
            return Err(ServiceError::Overtaken(refusal.to_string()));
        }
        Ok(committer.earlier().map_or(Wrote::Now(version), Wrote::Before))
    }

    /// The answer of a write that had this version, or changed nothing that edges see.
    pub fn written(&self, apex: Name, version: Option<Version>) -> Written {
        let last = || self.core().position().version;
        Written {
            zone: apex.to_string(),
            version: version.unwrap_or_else(last).get(),
            changed: version.is_some(),
            ..Written::default()
        }
    }
}

fn answer<W>(planned: &Planned<W>) -> Written {
    let Planned { records, serial, warnings, .. } = planned;
    Written { serial: Some(*serial), records: Some(*records), warnings: warnings.clone(), ..Written::default() }
}

fn noted(once: Option<Idempotency>, answer: &Written) -> Option<Once> {
    once.map(|idempotency| Once { idempotency, note: answer.note() })
}

fn info(zone: &StoredZone) -> ZoneInfo {
    let (zone, id, generation, serial) = (zone.apex.to_string(), zone.id.get(), zone.generation.get(), zone.serial);
    ZoneInfo { zone, id, generation, serial, change: None }
}

impl From<ReadError> for ServiceError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::NoZone(apex) => Self::no_zone(&apex),
            error => Self::internal(error),
        }
    }
}
