//! The known damage of the copy of an edge: failed reads, and whether a new copy is needed.
//!
//! # Threads
//! Any thread that reads finds trouble; the one that follows the core is told and fetches a new copy.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// The number of failed reads and the first reason to replace the copy; each new one wakes the thread that follows the
/// core.
#[derive(Default)]
pub(crate) struct Damage {
    read_errors: AtomicU64,
    known: Mutex<Known>,
    tell: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

#[derive(Default)]
struct Known {
    /// Why the present copy is to be replaced.
    damage: Option<String>,
    /// What the last failed read said.
    last: Option<String>,
}

impl Damage {
    /// A read has failed.
    pub(crate) fn read_failed(&self, what: String, is_damage: bool) {
        self.read_errors.fetch_add(1, Ordering::Relaxed);
        let mut known = self.known();
        if is_damage && known.damage.is_none() {
            known.damage = Some(what.clone());
        }
        known.last = Some(what);
        drop(known);
        self.tell();
    }

    /// The present copy is damaged; the first reason counts.
    pub(crate) fn found(&self, what: String) {
        self.known().damage.get_or_insert(what);
        self.tell();
    }

    /// The present copy is a new one.
    pub(crate) fn gone(&self) {
        self.known().damage = None;
    }

    pub(crate) fn get(&self) -> Option<String> {
        self.known().damage.clone()
    }

    pub(crate) fn read_errors(&self) -> (u64, Option<String>) {
        (self.read_errors.load(Ordering::Relaxed), self.known().last.clone())
    }

    pub(crate) fn on_trouble(&self, tell: Box<dyn Fn() + Send + Sync>) {
        // The first one stays.
        let _ = self.tell.set(tell);
    }

    fn tell(&self) {
        if let Some(tell) = self.tell.get() {
            tell();
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Damage").field("read_errors", &self.read_errors).finish_non_exhaustive()
    }
}
