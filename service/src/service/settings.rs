//! Reading and changing what is chosen for a zone, and for all.

use std::sync::Arc;

use thiserror::Error;
use zonecast_builder::{
    ChangeKind, Guards, ReadError, ZoneSettings, apex_alias, change_settings, choose_guards, store_guards, zone_info,
};
use zonecast_kv_proto::{RequestLimits, View};
use zonecast_records::Name;

use super::Service;
use super::key_limits::KeyLimits;
use super::made::{CommittedChange, Made};
use crate::answer::{Answer, Done, Wrote};
use crate::error::ServiceError;
use crate::import::landed;
use crate::zone::{ChangeTag, Chosen, ChosenGuards, DEFAULT, Tagged, Terms, blocking, default_ttl};
use zonecast_api::types::{SettingsChange, StoreSettings, StoreSettingsChange, ZoneSettingsInfo};

/// Why something else cannot be chosen.
#[derive(Debug, Error)]
enum SettingsError {
    #[error("{0} has a CNAME record, which may stand at an apex only while it is flattened: delete it first")]
    Alias(Box<Name>),
}

impl From<SettingsError> for ServiceError {
    fn from(error: SettingsError) -> Self {
        Self::refused(error, vec![])
    }
}

impl Service {
    /// What is chosen for all zones.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn store_settings(self: &Arc<Self>) -> Result<StoreSettings, ServiceError> {
        let service = Arc::clone(self);
        blocking(move || service.store_settings_now()).await
    }

    /// Chooses something else for all zones that choose nothing themselves, as `who` asks.
    ///
    /// # Errors
    /// The change makes no sense, or the core cannot commit.
    pub async fn change_store_settings(
        self: &Arc<Self>,
        change: StoreSettingsChange,
        terms: Terms,
    ) -> Result<Done<StoreSettings>, ServiceError> {
        let chosen = ChosenGuards::read(change.max_shrink.as_deref(), change.older_serial.as_deref())?;
        let (service, on, limits) = (Arc::clone(self), terms.clone(), KeyLimits::read(&change));
        match self.do_once(&terms, async move { service.choose_for_all(chosen, limits, on).await }).await? {
            Wrote::Now(value) => Ok(Done { value, repeated: false }),
            Wrote::Before(earlier) => {
                let value = earlier.answer().map_or_else(|| self.store_settings_now(), Ok)?;
                Ok(Done { value, repeated: true })
            }
        }
    }

    fn store_settings_now(&self) -> Result<StoreSettings, ServiceError> {
        Ok(store_described(store_guards(&self.core().view())?, self.core().head().requests.limits))
    }

    async fn choose_for_all(
        &self,
        chosen: ChosenGuards,
        limits: KeyLimits,
        Terms { who, once, .. }: Terms,
    ) -> Result<Wrote<StoreSettings>, ServiceError> {
        // First: where it is done and the rest is not, the same request once more does the rest.
        let is_limited = self.limit_keys(limits).await?;
        let limits = self.core().head().requests.limits;
        let build = move |view: &dyn View, _: &zonecast_kv_core::Editions<'_>| {
            let guards = chosen.over(store_guards(view)?);
            let batch = choose_guards(view, guards)?;
            let (changed, settings) = (!batch.is_empty() || is_limited, store_described(guards, limits));
            Ok::<_, ReadError>((batch, settings.note(), (settings, changed)))
        };
        let (built, pending) = self.propose(once, build).await?;
        let landed = landed(pending.await)?;
        let (settings, changed) = built.unwrap_or_default();
        if changed {
            let StoreSettings { max_shrink, older_serial, max_keys, max_key_bytes } = &settings;
            tracing::info!(
                by = who.name(),
                max_shrink,
                older_serial,
                max_keys,
                max_key_bytes,
                "settings of the store changed"
            );
        }
        Ok(landed.map(|_| settings))
    }

    /// What is chosen for a zone.
    ///
    /// # Errors
    /// There is no such zone, or the store could not be read.
    pub async fn settings(&self, apex: Name) -> Result<Tagged<ZoneSettingsInfo>, ServiceError> {
        let core = self.core().clone();
        blocking(move || {
            let view = core.view();
            let tag = ChangeTag::of_read(&view, &apex)?;
            Ok(Tagged { value: described(&apex, read(&view, &apex)?), tag })
        })
        .await
    }

    /// Chooses something else; what the change does not name stays.
    ///
    /// # Errors
    /// There is no such zone, the change makes no sense, or the core cannot commit.
    pub async fn change_settings(
        self: &Arc<Self>,
        apex: Name,
        change: SettingsChange,
        terms: Terms,
    ) -> Result<Done<ZoneSettingsInfo>, ServiceError> {
        let chosen = Chosen::read(&change)?;
        let (service, on) = (Arc::clone(self), terms.clone());
        match self.do_once(&terms, async move { service.choose(apex, chosen, on).await }).await? {
            Wrote::Now(value) => Ok(Done { value, repeated: false }),
            Wrote::Before(earlier) => {
                let noted: ZoneSettingsInfo = earlier.answer().unwrap_or_default();
                Ok(Done { value: ZoneSettingsInfo { zone: apex.to_string(), ..noted }, repeated: true })
            }
        }
    }

    async fn choose(&self, apex: Name, chosen: Chosen, terms: Terms) -> Result<Wrote<ZoneSettingsInfo>, ServiceError> {
        let make = move |view: &dyn View| {
            let zone = zone_info(view, &apex)?.ok_or_else(|| ServiceError::no_zone(&apex))?;
            let settings = chosen.over(zone.settings);
            if !settings.flatten && apex_alias(view, &apex)?.is_some() {
                return Err(SettingsError::Alias(Box::new(apex)).into());
            }
            let (batch, undo) = change_settings(view, &apex, settings)?;
            // A note need not say which zone it is: a name may be as long as a note.
            let answer = ZoneSettingsInfo { zone: String::new(), ..described(&apex, settings) };
            Ok(Made { batch, undo, serial: zone.serial.into_int(), answer })
        };
        let who = terms.who.clone();
        let CommittedChange { changed, answer, .. } = match self.make(apex, terms, ChangeKind::Settings, make).await? {
            Wrote::Now(committed) => committed,
            Wrote::Before(earlier) => return Ok(Wrote::Before(earlier)),
        };
        let settings = ZoneSettingsInfo { zone: apex.to_string(), ..answer };
        if changed {
            let ZoneSettingsInfo { serial_policy, default_ttl, flatten_apex, max_shrink, older_serial, .. } = &settings;
            tracing::info!(
                zone = %apex, by = who.name(), serial_policy, default_ttl, flatten_apex, max_shrink, older_serial,
                "settings changed"
            );
        }
        Ok(Wrote::Now(settings))
    }
}

pub(super) fn read(view: &dyn View, apex: &Name) -> Result<ZoneSettings, ReadError> {
    zone_info(view, apex)?.map(|info| info.settings).ok_or_else(|| ReadError::NoZone(Box::new(*apex)))
}

fn described(apex: &Name, settings: ZoneSettings) -> ZoneSettingsInfo {
    ZoneSettingsInfo {
        zone: apex.to_string(),
        serial_policy: settings.serial.to_string(),
        default_ttl: default_ttl(settings),
        flatten_apex: settings.flatten,
        max_shrink: settings.guards.max_shrink.map_or(DEFAULT.into(), |share| format!("{}%", share.get())),
        older_serial: settings.guards.older_serial.map_or(DEFAULT.into(), |word| word.to_string()),
    }
}

fn store_described(guards: Guards, limits: RequestLimits) -> StoreSettings {
    StoreSettings {
        max_shrink: format!("{}%", guards.max_shrink().get()),
        older_serial: guards.older_serial().to_string(),
        max_keys: limits.records,
        max_key_bytes: limits.bytes,
    }
}
