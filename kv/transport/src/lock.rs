//! Locks of what is whole between any two calls.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks what no holder can leave half changed, so that it is whole also when one of them panicked.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
