//! What goes into the keys of a zone beside its records.

use zonecast_records::{CoreZone, Name, Path, ZoneSettings};

use crate::layer_change::LayerChange;
use crate::shape::Shape;
use crate::tolerance::Tolerance;

/// Longest origin: it is a digest or a short name.
pub const MAX_ORIGIN_LEN: usize = 1024;

/// What else goes into the keys of a zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    origin: Vec<u8>,
    zone: ZoneSettings,
    /// [`LayerChange::Override`], [`LayerChange::Disable`] and [`LayerChange::Flatten`].
    layers: Vec<LayerChange>,
    /// Apexes, in wire form: a zone like the root may have a million.
    hosted_below: Vec<Box<[u8]>>,
    tolerance: Tolerance,
}

impl Settings {
    /// With this origin: bytes that the core keeps with the zone and hands back unread, so that an importer sees
    /// whether a file is the one it imported. Record builds keep it.
    ///
    /// # Panics
    /// The origin is over [`MAX_ORIGIN_LEN`] bytes.
    #[must_use]
    pub fn with_origin(origin: impl Into<Vec<u8>>) -> Self {
        let origin = origin.into();
        assert!(origin.len() <= MAX_ORIGIN_LEN, "an origin of {} bytes is over the limit", origin.len());
        Self { origin, ..Self::default() }
    }

    /// And what was chosen for the zone. Record builds keep it.
    #[must_use]
    pub fn with_zone(self, zone: ZoneSettings) -> Self {
        Self { zone, ..self }
    }

    /// And what is laid over its records, as [`zone_layers`](crate::zone_layers) gives it. Record builds keep it.
    #[must_use]
    pub fn with_layers(self, layers: Vec<LayerChange>) -> Self {
        Self { layers, ..self }
    }

    /// And with the apexes, in wire form, of zones below it that are hosted here, too: they answer for the names in
    /// them.
    #[must_use]
    pub fn with_hosted_below(self, hosted_below: Vec<Box<[u8]>>) -> Self {
        Self { hosted_below, ..self }
    }

    /// And with what is served although it breaks a rule.
    #[must_use]
    pub fn with_tolerance(self, tolerance: Tolerance) -> Self {
        Self { tolerance, ..self }
    }

    pub(crate) fn layers(&self) -> &[LayerChange] {
        &self.layers
    }

    pub(crate) fn tolerance(&self) -> Tolerance {
        self.tolerance
    }

    /// Paths of the zones below the apex, in canonical order, of nested ones the topmost.
    pub(crate) fn paths_elsewhere(&self, shape: &Shape) -> Vec<Vec<u8>> {
        let names = self.hosted_below.iter().filter_map(|wire| Name::from_wire(wire).ok());
        let below = names.filter(|name| name.is_within(&shape.apex) && *name != shape.apex);
        let mut paths: Vec<Vec<u8>> = below.map(|name| shape.path_of(&name)).collect();
        paths.sort_unstable();
        paths.dedup_by(|later, kept| {
            Path::new(kept).zip(Path::new(later)).is_some_and(|(kept, later)| kept.contains(later))
        });
        paths
    }

    /// As they are kept; what is laid over records is with these.
    pub(crate) fn of_core(core: &CoreZone<'_>) -> Self {
        Self { origin: core.origin.to_vec(), zone: core.settings(), ..Self::default() }
    }

    pub(crate) fn zone(&self) -> ZoneSettings {
        self.zone
    }

    pub(crate) fn origin(&self) -> &[u8] {
        &self.origin
    }
}
