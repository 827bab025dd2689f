//! Bringing whole zones into the core: from one request, or thousands at start.
//!
//! ```text
//! text ─▶ read ─▶ build ─▶ plan ──┬─ Unchanged
//!         (blocking, all cores)   ├─ Small: one batch; many such travel together ─▶ Group ─▶ Committer
//!                                 └─ Large: a generation in many batches, then one that flips the zone key
//! ```
//! Several batches are in flight at a time, all under one lead: when it ends, the import does, too. Each requires what its plans were made from; where somebody was faster, the
//! zones that have moved are planned anew. A zone that is there already is compared with the build of its present
//! generation; only where too much differs it gets a new one, and the one before is kept for a while.

mod commit;
mod group;
mod importer;
mod mark;
mod plan;
mod replace;
mod sweep;

pub(crate) use commit::{Committer, committed, landed};
pub(crate) use group::{Group, Grouped, joined};
pub(crate) use importer::{put_importer, read_importer};
pub use mark::{mark, mark_all, unmark_unlisted};
pub(crate) use plan::{IdSource, NewGeneration, Plan, Planned, Preview, ZoneRequest, basis, plan_zone, preview_zone};
pub(crate) use replace::replace_generation;
pub(crate) use sweep::{SWEPT, sweep_orphans};
