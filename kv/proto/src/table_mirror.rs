//! The interface by which a node reads a snapshot from elsewhere than its upstream: an object store that a core writes.

use std::fmt::Debug;
use std::pin::Pin;

use bytes::Bytes;
use thiserror::Error;

use crate::{OfferedTables, TableHash};

/// Why nothing came of it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("object store: {0}")]
pub struct MirrorError(pub String);

/// What takes its time there.
pub type MirrorFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, MirrorError>> + Send + 'a>>;

/// Table files that a core has put somewhere. Nothing of it is trusted before signature and hashes are checked.
pub trait TableMirror: Debug + Send + Sync + 'static {
    /// What the newest files are, if there are any. The signature is not looked at.
    ///
    /// # Errors
    /// It cannot be reached, or holds what is no manifest.
    fn manifest(&self) -> MirrorFuture<'_, Option<OfferedTables>>;

    /// So many bytes of a file from an offset on, or fewer at its end.
    ///
    /// # Errors
    /// It cannot be reached, or has no such file.
    fn read<'a>(&'a self, file: &'a TableHash, offset: u64, len: usize) -> MirrorFuture<'a, Bytes>;
}
