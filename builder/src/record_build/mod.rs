//! Changes to a present zone as the batch that makes its keys those of a full build.
//!
//! ```text
//! changes ─▶ Touched   names of the changes: their records before and after
//!         ─▶ Reached   and names beneath a cut or DNAME that comes or goes, and cuts whose glue changed
//!         ─▶ Settled   what each is in its zone afterwards, and empty non-terminals that come or go with them
//!         ─▶ Emitted   all of these made into keys anew, beside the present ones
//!         ─▶ batch     what differs
//! ```
//! Names whose records did not change and that none of this reaches are never read.

mod build;
mod emitted;
mod names;
mod reached;
mod settled;
mod touched;

pub use build::{RecordBuild, record_build};
pub use touched::RecordCounts;
