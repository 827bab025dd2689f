//! One zone as the import and the service see it: what a store holds of it, its text, what is chosen for it, and what a
//! request wants it to be.

mod blocking;
mod chosen;
mod condition;
mod guard;
mod hides;
mod nesting;
mod note;
mod origin;
mod stored_zone;
mod terms;
pub mod zone_file;
mod zone_locks;

pub(crate) use blocking::blocking;
pub use chosen::as_built;
pub(crate) use chosen::{Chosen, ChosenGuards, DEFAULT, default_ttl};
pub use condition::{ChangeTag, Condition, Tagged, Wanted};
pub(crate) use guard::{FEW_RECORDS, Guard};
pub(crate) use hides::hides;
pub use nesting::Nesting;
pub(crate) use note::{Author, unix_time, unix_time_ms};
pub(crate) use origin::{FileOrigin, Origin};
pub(crate) use stored_zone::StoredZone;
pub use terms::Terms;
pub(crate) use zone_locks::{ZoneGuard, ZoneLocks};
