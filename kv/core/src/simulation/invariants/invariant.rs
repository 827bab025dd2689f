//! What an invariant is, and all of them.

use super::acknowledged_stays::acknowledged_stays;
use super::applied_once::AppliedOnce;
use super::committed_stays::CommittedStays;
use super::dense_versions::DenseVersions;
use super::equal_chains::EqualChains;
use super::linearizable::linearizable;
use super::log_matching::LogMatching;
use super::node_ids::NodeIds;
use super::one_leader::OneLeader;
use crate::simulation::commits::Commits;
use crate::simulation::event::Event;
use crate::simulation::history::Operation;

/// Sees everything that voters do, in order, and says what must not be.
pub(crate) trait Invariant: Send {
    fn see(&mut self, event: &Event<'_>) -> Result<(), String>;
}

/// Those that hold at each step.
pub(crate) fn all() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::<AppliedOnce>::default(),
        Box::<CommittedStays>::default(),
        Box::<DenseVersions>::default(),
        Box::<EqualChains>::default(),
        Box::<LogMatching>::default(),
        Box::<NodeIds>::default(),
        Box::<OneLeader>::default(),
    ]
}

/// Those that need all that clients were told.
pub(crate) fn check_history(operations: &[Operation], commits: &Commits) -> Result<(), String> {
    acknowledged_stays(operations, commits)?;
    linearizable(operations, commits)
}
