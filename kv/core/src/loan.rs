//! The surroundings of a voter for those who may outlive it: after a shutdown nobody gets them, because whoever holds them
//! holds the stores.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::environment::Environment;

/// See the module.
pub(crate) struct Loan<E: Environment> {
    environment: Mutex<Option<E>>,
}

impl<E: Environment> Loan<E> {
    pub(crate) fn new(environment: E) -> Self {
        Self { environment: Mutex::new(Some(environment)) }
    }

    /// For one piece of work. Nothing after a shutdown.
    pub(crate) fn get(&self) -> Option<E> {
        self.lock().clone()
    }

    /// Nobody gets them any more.
    pub(crate) fn end(&self) {
        self.lock().take();
    }

    fn lock(&self) -> MutexGuard<'_, Option<E>> {
        self.environment.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
