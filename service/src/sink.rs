//! From the core to the publisher: every applied version, at once. Whoever keeps something private in step is told of
//! every write of the state.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::watch;
use zonecast_kv_core::{Applied, AppliedSink};
use zonecast_kv_proto::{Position, Version};
use zonecast_kv_transport::Publisher;

/// Hands versions to a publisher that is there only once the core is up. It serves what the store holds; a core that
/// follows others applies versions while it starts.
#[derive(Debug, Default)]
pub(crate) struct PublisherSink {
    // Weak, so that the core does not keep the publisher from shutting down.
    publisher: Mutex<Option<Weak<Publisher>>>,
    writes: watch::Sender<()>,
    /// The last version, for those who wait for the next.
    last: watch::Sender<Version>,
}

impl PublisherSink {
    /// The last version, each time that there is one.
    pub(crate) fn versions(&self) -> watch::Receiver<Version> {
        self.last.subscribe()
    }

    /// Starts a publisher. Every version that the store did not hold when it looked goes to it, and perhaps one or the
    /// other that it did hold, which the publisher notices.
    pub(crate) fn connect(&self, start: impl FnOnce() -> Arc<Publisher>) -> Arc<Publisher> {
        // Held while the publisher looks at the store: what is applied in between waits here.
        let mut connected = self.publisher.lock().unwrap_or_else(PoisonError::into_inner);
        let publisher = start();
        *connected = Some(Arc::downgrade(&publisher));
        publisher
    }

    /// Changes with every write of the state.
    pub(crate) fn writes(&self) -> watch::Receiver<()> {
        self.writes.subscribe()
    }
}

impl AppliedSink for PublisherSink {
    fn applied(&self, version: &Applied) {
        let connected = self.publisher.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(publisher) = connected.as_ref().and_then(Weak::upgrade) {
            publisher.publish(&version.bytes, version.position);
        }
        drop(connected);
        self.last.send_replace(version.position.version);
    }

    fn written(&self) {
        self.writes.send_replace(());
    }

    fn installed(&self, position: Position) {
        let connected = self.publisher.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(publisher) = connected.as_ref().and_then(Weak::upgrade) {
            publisher.jumped(position);
        }
        self.writes.send_replace(());
        drop(connected);
        self.last.send_replace(position.version);
    }
}
