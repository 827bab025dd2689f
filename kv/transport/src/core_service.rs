//! What a core does with the streams that other cores open.

use futures_util::future::BoxFuture;
use zonecast_kv_proto::Peer;

use crate::CoreStream;

/// See the module. Whoever opens a stream is a node of role core, as its certificate says; whether it is a voter of
/// this cluster is for the service to know.
pub trait CoreService: Send + Sync {
    /// Serves one stream of this kind, until it is over. The future is a task of the connection: it is dropped when the
    /// connection or the publisher ends, and when it panics only its stream ends.
    fn serve(&self, peer: &Peer, kind: u8, stream: CoreStream) -> BoxFuture<'static, ()>;
}
