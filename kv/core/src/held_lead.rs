//! A lead as its user holds it: work of many batches is proposed in one term, or ends.

use std::sync::{Arc, Weak};

use crate::lead::Lead;
use crate::machine::Machine;

/// The lead that a core had when this was taken. It ends with its term, also when this core leads again later, and does
/// not keep the core from stopping.
#[derive(Clone)]
pub struct HeldLead(Weak<Lead<Machine>>);

impl HeldLead {
    pub(crate) fn of(lead: &Arc<Lead<Machine>>) -> Self {
        Self(Arc::downgrade(lead))
    }

    /// The lead, while it lasts.
    pub(crate) fn get(&self) -> Option<Arc<Lead<Machine>>> {
        self.0.upgrade().filter(|lead| !lead.term.is_over())
    }

    /// Whether nothing more can be proposed under it.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.get().is_none()
    }
}

impl std::fmt::Debug for HeldLead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeldLead").field("is_over", &self.is_over()).finish()
    }
}
