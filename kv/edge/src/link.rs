//! The connection to an upstream, and what takes time on it.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use zonecast_kv_proto::{Frame, MirrorError, OfferedTables, SILENT_AFTER};
use zonecast_kv_transport::{Connection, Endpoint, FrameReceiver, FrameSender, Identity, Peer, StreamError};

use crate::EdgeError;

/// A connection that is up.
pub(crate) struct Link {
    /// The upstream, for people.
    pub(crate) upstream: String,
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
    /// To this upstream, for people.
    Connected(String, Result<Box<Link>, EdgeError>),
    /// The same, and what an object store has.
    Beside(Box<OperationEnd>, Result<Option<Box<OfferedTables>>, MirrorError>),
    Sent(FrameSender, Result<(), StreamError>),
    /// The upstream takes nothing.
    Stuck,
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
    /// Connects to whoever serves at this address, unless that is this node itself.
    pub(crate) async fn open(upstream: String, address: SocketAddr, identity: &Identity) -> Result<Self, EdgeError> {
        let endpoint = Endpoint::client(address, identity)?;
        let connection = endpoint.connect(address).await?;
        if connection.peer() == identity.peer() {
            connection.close("this node itself");
            return Err(EdgeError::Itself);
        }
        let (sender, receiver) = connection.open().await.map_err(|error| EdgeError::Connect(error.to_string()))?;
        Ok(Self { upstream, connection, sender: Some(sender), receiver, _endpoint: endpoint })
    }

    pub(crate) fn peer(&self) -> &Peer {
        self.connection.peer()
    }

    /// For a further stream.
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
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
