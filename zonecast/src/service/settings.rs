//! What is chosen for a zone: how later changes go, not what it holds.

use std::sync::Arc;

use thiserror::Error;
use zonecast_builder::{ReadError, SerialPolicy, ZoneSettings, apex_alias, change_settings, zone_info};
use zonecast_ingest::MAX_TTL;
use zonecast_kv_proto::View;
use zonecast_records::Name;

use super::records::DEFAULT_TTL;
use super::{Service, ServiceError, blocking};
use crate::api::types::{SettingsChange, ZoneSettingsInfo};
use crate::import::settled;

/// Why something else cannot be chosen.
#[derive(Debug, Error)]
enum SettingsError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("{0} has a CNAME record, which may stand at an apex only while it is flattened: delete it first")]
    Alias(Box<Name>),
}

impl From<SettingsError> for ServiceError {
    fn from(error: SettingsError) -> Self {
        match error {
            SettingsError::Read(error) => error.into(),
            error @ SettingsError::Alias(_) => Self::refused(error, vec![]),
        }
    }
}

/// What is to be chosen for a zone; what it does not name stays.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Chosen {
    serial: Option<SerialPolicy>,
    default_ttl: Option<u32>,
    flatten: Option<bool>,
}

impl Chosen {
    /// From a request.
    ///
    /// # Errors
    /// It makes no sense.
    pub(crate) fn read(change: &SettingsChange) -> Result<Self, ServiceError> {
        let SettingsChange { serial_policy, default_ttl, flatten_apex } = change;
        let serial = serial_policy.as_deref().map(str::parse).transpose().map_err(ServiceError::bad)?;
        if default_ttl.is_some_and(|ttl| ttl == 0 || ttl > MAX_TTL) {
            return Err(ServiceError::bad(format_args!("a default TTL is 1 to {MAX_TTL} seconds")));
        }
        Ok(Self { serial, default_ttl: *default_ttl, flatten: *flatten_apex })
    }

    /// What is chosen afterwards.
    pub(crate) fn over(self, present: ZoneSettings) -> ZoneSettings {
        ZoneSettings {
            serial: self.serial.unwrap_or(present.serial),
            default_ttl: self.default_ttl.unwrap_or(present.default_ttl),
            flatten: self.flatten.unwrap_or(present.flatten),
        }
    }
}

impl Service {
    /// What is chosen for a zone.
    ///
    /// # Errors
    /// There is no such zone, or the store could not be read.
    pub(crate) async fn settings(&self, apex: Name) -> Result<ZoneSettingsInfo, ServiceError> {
        let core = self.core().clone();
        blocking(move || Ok(described(&apex, read(&core.view(), &apex)?))).await
    }

    /// Chooses something else; what the change does not name stays.
    ///
    /// # Errors
    /// There is no such zone, the change makes no sense, or the core cannot commit.
    pub(crate) async fn change_settings(
        self: &Arc<Self>,
        apex: Name,
        change: SettingsChange,
    ) -> Result<ZoneSettingsInfo, ServiceError> {
        let chosen = Chosen::read(&change)?;
        let service = Arc::clone(self);
        self.to_the_end(async move { service.choose(apex, chosen).await }).await
    }

    async fn choose(&self, apex: Name, chosen: Chosen) -> Result<ZoneSettingsInfo, ServiceError> {
        let _guard = self.locks().change(apex).ok_or_else(|| ServiceError::busy(&apex))?;
        let build = move |view: &dyn View, _: &zonecast_kv_core::Editions<'_>| {
            let settings = chosen.over(read(view, &apex)?);
            if !settings.flatten && apex_alias(view, &apex)?.is_some() {
                return Err(SettingsError::Alias(Box::new(apex)));
            }
            Ok::<_, SettingsError>((change_settings(view, &apex, settings)?, settings))
        };
        let (settings, pending) = self.core().change(build).await?;
        settled(pending.await)?;
        Ok(described(&apex, settings))
    }
}

/// TTL of a new RRset whose change names none.
pub(super) fn default_ttl(settings: ZoneSettings) -> u32 {
    match settings.default_ttl {
        0 => DEFAULT_TTL,
        ttl => ttl,
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
    }
}
