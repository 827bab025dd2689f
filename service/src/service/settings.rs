//! Reading and changing what is chosen for a zone, and for all.

use std::sync::Arc;

use thiserror::Error;
use zonecast_builder::{
    ChangeKind, Guards, ReadError, ZoneSettings, apex_alias, change_settings, choose_guards, store_guards, zone_info,
};
use zonecast_kv_proto::View;
use zonecast_records::Name;

use super::Service;
use super::made::Made;
use crate::error::ServiceError;
use crate::import::committed;
use crate::who::Who;
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
    pub async fn store_settings(&self) -> Result<StoreSettings, ServiceError> {
        let core = self.core().clone();
        blocking(move || Ok(store_described(store_guards(&core.view())?))).await
    }

    /// Chooses something else for all zones that choose nothing themselves, as `who` asks.
    ///
    /// # Errors
    /// The change makes no sense, or the core cannot commit.
    pub async fn change_store_settings(
        self: &Arc<Self>,
        change: StoreSettingsChange,
        who: Who,
    ) -> Result<StoreSettings, ServiceError> {
        let chosen = ChosenGuards::read(change.max_shrink.as_deref(), change.older_serial.as_deref())?;
        let service = Arc::clone(self);
        self.to_the_end(&who.clone(), async move { service.choose_for_all(chosen, who).await }).await
    }

    async fn choose_for_all(&self, chosen: ChosenGuards, who: Who) -> Result<StoreSettings, ServiceError> {
        let build = move |view: &dyn View, _: &zonecast_kv_core::Editions<'_>| {
            let guards = chosen.over(store_guards(view)?);
            let batch = choose_guards(view, guards)?;
            let changed = !batch.is_empty();
            Ok::<_, ReadError>((batch, (guards, changed)))
        };
        let ((guards, changed), pending) = self.core().change(build).await?;
        committed(pending.await)?;
        let settings = store_described(guards);
        if changed {
            let StoreSettings { max_shrink, older_serial } = &settings;
            tracing::info!(by = who.name(), max_shrink, older_serial, "settings of the store changed");
        }
        Ok(settings)
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
    ) -> Result<ZoneSettingsInfo, ServiceError> {
        let chosen = Chosen::read(&change)?;
        let service = Arc::clone(self);
        self.to_the_end(&terms.who.clone(), async move { service.choose(apex, chosen, terms).await }).await
    }

    async fn choose(&self, apex: Name, chosen: Chosen, terms: Terms) -> Result<ZoneSettingsInfo, ServiceError> {
        let make = move |view: &dyn View| {
            let zone = zone_info(view, &apex)?.ok_or_else(|| ServiceError::no_zone(&apex))?;
            let settings = chosen.over(zone.settings);
            if !settings.flatten && apex_alias(view, &apex)?.is_some() {
                return Err(SettingsError::Alias(Box::new(apex)).into());
            }
            let (batch, undo) = change_settings(view, &apex, settings)?;
            Ok(Made { batch, undo, serial: zone.serial.into_int(), extra: settings })
        };
        let who = terms.who.clone();
        let done = self.make(apex, terms, ChangeKind::Settings, make).await?;
        let settings = described(&apex, done.extra);
        if done.changed {
            let ZoneSettingsInfo { serial_policy, default_ttl, flatten_apex, max_shrink, older_serial, .. } = &settings;
            tracing::info!(
                zone = %apex, by = who.name(), serial_policy, default_ttl, flatten_apex, max_shrink, older_serial,
                "settings changed"
            );
        }
        Ok(settings)
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

fn store_described(guards: Guards) -> StoreSettings {
    StoreSettings {
        max_shrink: format!("{}%", guards.max_shrink().get()),
        older_serial: guards.older_serial().to_string(),
    }
}
