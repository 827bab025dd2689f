//! From the core to the publisher: every applied version, at once.

use std::sync::{Arc, OnceLock, Weak};

use zonecast_kv_core::{Applied, AppliedSink};
use zonecast_kv_proto::Position;
use zonecast_kv_transport::Publisher;

/// Hands versions to a publisher that is there only once the core is up: it serves what the core holds. Versions before
/// that are read from the store.
#[derive(Debug, Default)]
pub(crate) struct PublisherSink {
    // Weak, so that the core does not keep the publisher from shutting down.
    publisher: OnceLock<Weak<Publisher>>,
}

impl PublisherSink {
    /// From now on to this publisher. Nothing may have been proposed since it looked at the store.
    pub(crate) fn connect(&self, publisher: &Arc<Publisher>) {
        let _ = self.publisher.set(Arc::downgrade(publisher));
    }
}

impl AppliedSink for PublisherSink {
    fn applied(&self, version: &Applied) {
        if let Some(publisher) = self.publisher.get().and_then(Weak::upgrade) {
            publisher.publish(&version.bytes, version.position);
        }
    }

    fn installed(&self, position: Position) {
        if let Some(publisher) = self.publisher.get().and_then(Weak::upgrade) {
            publisher.jumped(position);
        }
    }
}
