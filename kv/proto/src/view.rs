//! A readable, unchanging state of a store.
//!
//! The builder and the edge reader see a store only through [`View`], so the same code runs over a RocksDB snapshot,
//! over an [`OverlayView`](crate::OverlayView) of changes still in flight, and over a
//! [`MemoryView`](crate::MemoryView) in tests. A cache in front of a store is a `View` around a `View`.

use std::ops::ControlFlow;

use thiserror::Error;

/// A store that could not be read: a disk fault or damage, never an absent key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("store cannot be read: {0}")]
pub struct ViewError(pub String);

/// Reads from one unchanging state of a store: repeated reads must return the same entries. The caller owns the
/// buffers, so a reader that reuses them allocates nothing. Keys are ordered by their bytes.
pub trait View {
    /// Looks up `key`. If the key exists, replaces the content of `value` by its value and returns true; otherwise
    /// returns false.
    ///
    /// # Errors
    /// The store could not be read; `value` is then unspecified.
    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, ViewError>;

    /// Finds the last entry with `lower <= key <= upper`. If there is one, copies it into `key` and `value` and returns
    /// true; otherwise returns false.
    ///
    /// # Errors
    /// The store could not be read; `key` and `value` are then unspecified.
    fn last_in(&self, lower: &[u8], upper: &[u8], key: &mut Vec<u8>, value: &mut Vec<u8>) -> Result<bool, ViewError>;

    /// Calls `visit` for each entry with `lower <= key < end` in ascending order, until `visit` returns `Break`.
    ///
    /// # Errors
    /// The store could not be read; `visit` may have been called for some entries.
    fn scan(
        &self,
        lower: &[u8],
        end: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), ViewError>;
}

impl<V: View + ?Sized> View for &V {
    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, ViewError> {
        (**self).get(key, value)
    }

    fn last_in(&self, lower: &[u8], upper: &[u8], key: &mut Vec<u8>, value: &mut Vec<u8>) -> Result<bool, ViewError> {
        (**self).last_in(lower, upper, key, value)
    }

    fn scan(
        &self,
        lower: &[u8],
        end: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), ViewError> {
        (**self).scan(lower, end, visit)
    }
}
