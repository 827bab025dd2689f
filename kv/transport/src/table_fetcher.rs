//! The interface by which a publisher that makes no table files gets some from elsewhere.

use std::pin::Pin;
use std::sync::Arc;

use zonecast_kv_proto::{Epoch, LogPin, Version};

/// What comes of fetching: once the files are kept, what follows them in the batch log stays until this is dropped.
pub type Fetched = Pin<Box<dyn Future<Output = Option<Box<dyn LogPin>>> + Send>>;

/// Fetches table files for the source of a publisher, which keeps them: those of the upstream of a relay.
pub trait TableFetcher: Send + Sync + 'static {
    /// Fetches files that stand at this epoch and version or later; `None` when nothing comes of it. It takes its time, and
    /// must end by itself. Called once at a time.
    fn fetch(self: Arc<Self>, from: (Epoch, Version)) -> Fetched;
}
