//! What a request chooses for a zone, or for all: how later changes go, not what a zone holds.

use zonecast_api::types::SettingsChange;
use zonecast_api::{OutOfZone, WithoutNs};
use zonecast_builder::{Guards, OlderSerial, Percent, SerialPolicy, Tolerance, ZoneSettings};
use zonecast_ingest::MAX_TTL;

use crate::error::ServiceError;

/// What is to be chosen for a zone; what it does not name stays.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Chosen {
    serial: Option<SerialPolicy>,
    default_ttl: Option<u32>,
    flatten: Option<bool>,
    guards: ChosenGuards,
    /// Of a text that comes with it.
    tolerance: Tolerance,
}

/// The same of guards: `Some(None)` goes back to the default.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ChosenGuards {
    max_shrink: Option<Option<Percent>>,
    older_serial: Option<Option<OlderSerial>>,
}

/// TTL of a new RRset when a change does not say: short enough that a mistake does not stay in caches for long.
const DEFAULT_TTL: u32 = 300;

/// Goes back to the default.
pub(crate) const DEFAULT: &str = "default";

impl Chosen {
    /// From a request.
    ///
    /// # Errors
    /// It makes no sense.
    pub(crate) fn read(change: &SettingsChange) -> Result<Self, ServiceError> {
        let SettingsChange { serial_policy, default_ttl, flatten_apex, max_shrink, older_serial } = change;
        let serial = serial_policy.as_deref().map(str::parse).transpose().map_err(ServiceError::bad)?;
        if default_ttl.is_some_and(|ttl| ttl == 0 || ttl > MAX_TTL) {
            return Err(ServiceError::bad(format_args!("a default TTL is 1 to {MAX_TTL} seconds")));
        }
        let guards = ChosenGuards::read(max_shrink.as_deref(), older_serial.as_deref())?;
        Ok(Self { serial, default_ttl: *default_ttl, flatten: *flatten_apex, guards, ..Self::default() })
    }

    /// With what a text may have although it breaks a rule.
    #[must_use]
    pub(crate) fn tolerating(self, tolerance: zonecast_api::Tolerance) -> Self {
        Self { tolerance: as_built(tolerance), ..self }
    }

    /// What a text may have although it breaks a rule.
    pub(crate) fn tolerance(self) -> Tolerance {
        self.tolerance
    }

    /// What is chosen afterwards.
    pub(crate) fn over(self, present: ZoneSettings) -> ZoneSettings {
        present
            .with_serial(self.serial.unwrap_or(present.serial))
            .with_default_ttl(self.default_ttl.unwrap_or(present.default_ttl))
            .with_flatten(self.flatten.unwrap_or(present.flatten))
            .with_guards(self.guards.over(present.guards))
    }
}

impl ChosenGuards {
    /// From a request.
    ///
    /// # Errors
    /// They make no sense.
    pub(crate) fn read(max_shrink: Option<&str>, older_serial: Option<&str>) -> Result<Self, ServiceError> {
        let share = |text: &str| {
            let share = text.strip_suffix('%').and_then(|share| share.parse().ok()).and_then(Percent::new);
            share
                .ok_or_else(|| ServiceError::bad(format_args!("max_shrink `{text}` is neither 0% to 100% nor default")))
        };
        let max_shrink = match max_shrink {
            None => None,
            Some(DEFAULT) => Some(None),
            Some(text) => Some(Some(share(text)?)),
        };
        let older_serial = match older_serial {
            None => None,
            Some(DEFAULT) => Some(None),
            Some(text) => Some(Some(
                text.parse().map_err(|error| ServiceError::bad(format_args!("older_serial: {error}, nor default")))?,
            )),
        };
        Ok(Self { max_shrink, older_serial })
    }

    /// What is chosen afterwards.
    pub(crate) fn over(self, present: Guards) -> Guards {
        present
            .with_max_shrink(self.max_shrink.unwrap_or(present.max_shrink))
            .with_older_serial(self.older_serial.unwrap_or(present.older_serial))
    }
}

/// TTL of a new RRset whose change names none.
pub(crate) fn default_ttl(settings: ZoneSettings) -> u32 {
    match settings.default_ttl {
        0 => DEFAULT_TTL,
        ttl => ttl,
    }
}

/// What a text may have although it breaks a rule, as the builder knows it.
pub fn as_built(tolerance: zonecast_api::Tolerance) -> Tolerance {
    Tolerance {
        drop_out_of_zone: tolerance.out_of_zone == OutOfZone::Drop,
        serve_without_ns: tolerance.without_ns == WithoutNs::Serve,
    }
}
