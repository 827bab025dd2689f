//! What must hold whatever happens, each in a file.

mod acknowledged_stays;
mod applied_once;
mod committed_stays;
mod dense_versions;
mod equal_chains;
mod invariant;
mod linearizable;
mod log_matching;
mod node_ids;
mod one_leader;

pub(crate) use invariant::{Invariant, all, check_history};
