//! Zones and records over the core: what the API and the roles do, without HTTP.
//!
//! Reads come from the applied state; record changes are built by the core over everything in flight; whole zones come
//! in through [`crate::import`].

mod aliases;
mod backup;
mod blocking;
mod condition;
mod deleted;
mod edges;
mod error;
mod export;
#[cfg(test)]
mod export_tests;
mod guard;
mod hides;
mod history;
mod inspect;
mod local_edge;
mod lookup;
mod made;
mod note;
mod origin;
mod records;
#[expect(clippy::module_inception, reason = "one main type per file, named after it")]
mod service;
pub(crate) mod settings;
mod status;
mod stored_zone;
mod terms;
#[cfg(test)]
mod write_tests;
mod zone_count;
pub(crate) mod zone_file;
mod zone_locks;
mod zones;

use blocking::blocking;
pub(crate) use condition::{ChangeTag, Condition, Tagged, Wanted};
pub(crate) use error::ServiceError;
pub(crate) use guard::Guard;
pub(crate) use hides::hides;
pub(crate) use local_edge::LocalEdge;
pub(crate) use made::never_too_large;
pub(crate) use note::Author;
use note::unix_time;
pub(crate) use origin::{FileOrigin, Origin};
#[cfg(test)]
pub(crate) use service::MAX_WRITES;
pub(crate) use service::{Service, ServiceParts};
pub(crate) use stored_zone::StoredZone;
pub(crate) use terms::Terms;
pub(crate) use zone_locks::{ZoneGuard, ZoneLocks};
pub(crate) use zones::Upload;
