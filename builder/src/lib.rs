//! Turns zones and record changes into batches of ready-to-answer keys. Pure: no clock, no I/O.
//!
//! ```text
//! ZoneSource ── build ──▶ FullBuild ──┬─ into_batches ──▶ a new generation, the zone keys last
//!                                     └─ diff(view) ────▶ what differs in the present generation
//! changes + view ── record_build ───────────────────────▶ one batch
//! view ── export, read_name ────────────────────────────▶ records again
//! view + history ── rollback, zone_diff ────────────────▶ the batch that goes back, records that differ
//! view + batch ── FullBuild::beside ─────────────────────▶ what is too large for one batch, as a new generation
//! ```
//! **The law**: keys are a function of (source set, settings, generation, serial, format): no clock, no store
//! version, no history. So a record build leaves exactly the keys, published and private, that a full build of the
//! changed records makes. Both make keys of a node in one place, `emit`; `present` is its inverse. What the source set
//! is where sources repeat themselves: equal RDATA is one RR (with the spelling first in byte order and the smallest
//! TTL), and the records at one name share one letter case (the first in byte order).
//!
//! A name is hidden by any NS below the apex or DNAME above the name, even if that record is hidden itself. The topmost
//! one answers.

mod alias;
mod change;
mod check;
mod deleted;
mod emit;
mod entry_list;
mod export;
mod finding;
mod full_build;
mod full_pass;
mod hidden;
mod history;
mod layer_change;
mod layers;
mod mark;
mod name_change;
mod node;
mod node_role;
mod nsec3;
mod ops;
mod packed;
mod pages;
mod past;
mod present;
mod read_error;
mod reader;
mod record_build;
mod retired;
mod rollback;
mod rrset_change;
mod sections;
mod serial;
mod settings;
mod shape;
mod signed;
mod source;
mod store;
mod tally;
#[cfg(test)]
mod tests;
mod tolerance;
mod undo;
mod zone_diff;
mod zone_keys;

pub use alias::{AliasEntry, Refreshed, aliases_through, aliases_within, apex_alias, flattened_build, refresh_alias};
pub use change::{Change, ChangeError, SerialTime};
pub use deleted::{DeletedZone, UndeleteError, delete_for_good, delete_zone, deleted_zones, undelete_zone};
pub use export::{Layer, ZoneInfo, change_settings, export, read_name, zone_info, zone_layers};
pub use finding::{Finding, Findings, Location, MAX_FINDINGS, Refused, Rule, Warning};
pub use full_build::{Diff, FullBuild};
pub use full_pass::Counts;
pub use hidden::{MAX_HIDDEN, hidden_names};
pub use history::{PastChange, zone_log};
pub use layer_change::LayerChange;
pub use mark::{Mark, mark_zone, marked_zones};
pub use name_change::NameChange;
pub use past::PastError;
pub use read_error::ReadError;
pub use record_build::{RecordBuild, RecordCounts, record_build};
pub use retired::{KEPT_GENERATIONS, Retired, delete_generation, delete_retired, retire_present, retired_generations};
pub use rollback::{Rollback, Target, rollback};
pub use rrset_change::RrsetChange;
pub use sections::{creating, creation_section, zone_sections};
pub use settings::{MAX_ORIGIN_LEN, Settings};
pub use shape::ZoneIdentity;
pub use source::ZoneSource;
pub use store::{choose_guards, store_guards};
pub use tolerance::Tolerance;
pub use undo::{ChangeNote, KEPT_CHANGES, LastChange, RememberError, Undo};
pub use zone_diff::{ChangeSpan, Side, batch_diff, zone_diff};
pub use zonecast_records::{ChangeKind, Guards, MAX_CHAINS, OlderSerial, Percent, SerialPolicy, ZoneSettings};
