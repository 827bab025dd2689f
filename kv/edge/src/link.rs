//! The connection to an upstream, and what takes time on it.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use zonecast_kv_proto::{Frame, SILENT_AFTER};
use zonecast_kv_transport::{Connection, Endpoint, FrameReceiver, FrameSender, Identity, Peer, StreamError};

use crate::{EdgeError, Upstream};

/// A connection that is up.
pub(crate) struct Link {
    connection: Connection,
    /// Here, or in the operation that uses it.
    pub(crate) sender: Option<FrameSender>,
    pub(crate) receiver: FrameReceiver,
    // Last, so that the connection is closed before its endpoint goes.
    _endpoint: Endpoint,
}

/// Something that takes time. Nothing else is begun meanwhile, and nothing is read.
pub(crate) type Operation = Pin<Box<dyn Future<Output = OperationEnd> + Send>>;

/// An operation is over: what it borrowed, and the answer.
pub(crate) enum OperationEnd {
    Connected(SocketAddr, Result<Link, EdgeError>),
    Sent(FrameSender, Result<(), StreamError>),
    /// The upstream takes nothing.
    Stuck,
}

/// Connects, within the time in which an upstream that says nothing counts as dead.
pub(crate) fn connect(upstream: Upstream, identity: Identity) -> Operation {
    Box::pin(async move {
        let linked = tokio::time::timeout(SILENT_AFTER, Link::open(upstream, &identity)).await;
        let linked = linked.unwrap_or_else(|_| Err(EdgeError::Connect("no answer".to_owned())));
        OperationEnd::Connected(upstream.address, linked)
    })
}

/// Sends a frame. An upstream that takes nothing is as good as one that says nothing.
pub(crate) fn send(mut sender: FrameSender, frame: Frame) -> Operation {
    Box::pin(async move {
        match tokio::time::timeout(SILENT_AFTER, sender.send(&frame)).await {
            Ok(sent) => OperationEnd::Sent(sender, sent),
            Err(_) => OperationEnd::Stuck,
        }
    })
}

impl Link {
    async fn open(upstream: Upstream, identity: &Identity) -> Result<Self, EdgeError> {
        let endpoint = Endpoint::client(upstream.address, identity)?;
        let connection = endpoint.connect(upstream.address).await?;
        let (sender, receiver) = connection.open().await.map_err(|error| EdgeError::Connect(error.to_string()))?;
        Ok(Self { connection, sender: Some(sender), receiver, _endpoint: endpoint })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.connection.remote_addr()
    }

    pub(crate) fn peer(&self) -> &Peer {
        self.connection.peer()
    }

    pub(crate) fn close(&self, reason: &str) {
        self.connection.close(reason);
    }

    /// Tells the upstream that this was no accident. What is being sent goes first: half a frame would say that it was.
    pub(crate) async fn goodbye(mut self, under_way: Option<Operation>, patience: Duration) {
        let farewell = async {
            if let Some(operation) = under_way
                && let OperationEnd::Sent(sender, Ok(())) = operation.await
            {
                self.sender = Some(sender);
            }
            let Some(sender) = &mut self.sender else { return };
            if sender.send(&Frame::Goodbye).await.is_ok() {
                sender.finish().await;
            }
        };
        let _ = tokio::time::timeout(patience, farewell).await;
        self.close("goodbye");
    }
}
