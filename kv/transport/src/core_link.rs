//! The link to another core: one connection, which is dialled when a stream is wanted and there is none.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::lock::lock;
use crate::protocol::Protocol;
use crate::{Connection, CoreStream, Endpoint, LinkError};

/// For a handshake at one address, before the next one is tried: a few round trips, and packets that were lost.
const DIAL_WITHIN: Duration = Duration::from_secs(3);

/// Opens streams to the core of this name, which must have a certificate of role core with exactly this name. Cloning
/// shares the connection.
///
/// Streams of one link share what a connection may have under way: 24 MiB received and not read, 8 MiB of them on one
/// stream, and 64 streams. What must never wait for other streams is better off with a link of its own. The peer takes 8
/// connections of one name.
#[derive(Clone, Debug)]
pub struct CoreLink(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    target: Target,
    addresses: watch::Sender<Vec<SocketAddr>>,
    dial: Mutex<Option<Dial>>,
}

/// The node that is dialled, and from where.
#[derive(Clone, Debug)]
struct Target {
    endpoint: Endpoint,
    /// Any core will do, if there is none.
    name: Option<String>,
}

/// A dial that is under way, or what came of it. All who wait for it have the same answer.
type Dial = Shared<BoxFuture<'static, Result<Dialled, LinkError>>>;

#[derive(Clone, Debug)]
struct Dialled {
    address: SocketAddr,
    connection: Connection,
}

impl CoreLink {
    /// Dials nobody yet.
    #[must_use]
    pub fn new(endpoint: Endpoint, name: &str, addresses: Vec<SocketAddr>) -> Self {
        Self::to(Target { endpoint, name: Some(name.to_owned()) }, addresses)
    }

    /// The same to whatever core is there: for a core that knows addresses of a cluster and nobody in it yet.
    #[must_use]
    pub fn to_any(endpoint: Endpoint, addresses: Vec<SocketAddr>) -> Self {
        Self::to(Target { endpoint, name: None }, addresses)
    }

    fn to(target: Target, addresses: Vec<SocketAddr>) -> Self {
        Self(Arc::new(Parts { target, addresses: watch::Sender::new(addresses), dial: Mutex::new(None) }))
    }

    /// The name of the other core, if it must have one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.target.name.as_deref()
    }

    /// Where it is looked for.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.0.addresses.borrow().clone()
    }

    /// It is there from now on. Streams that are open stay so; the next one is not opened over a connection to an
    /// address that is not in the list any more.
    pub fn set_addresses(&self, addresses: Vec<SocketAddr>) {
        self.0.addresses.send_if_modified(|present| {
            let is_new = *present != addresses;
            *present = addresses;
            is_new
        });
    }

    /// Opens a stream and tells the other core its kind. Dials where there is no connection, one dial at a time
    /// whoever wants it. Call within a tokio runtime.
    ///
    /// A peer that refuses this node lets the handshake pass and then closes the connection: that shows at the first
    /// read of the stream.
    ///
    /// # Errors
    /// Nobody answers, somebody else does, or `patience` is over: the peer has as many streams as it takes, or it is
    /// gone and said no goodbye. A connection that has died is noticed within 10 s, see [`CoreLink::forget`].
    pub async fn open(&self, kind: u8, patience: Duration) -> Result<CoreStream, LinkError> {
        let opened = tokio::time::timeout(patience, self.open_at_leisure(kind)).await;
        opened.unwrap_or_else(|_| Err(LinkError::Patience { name: self.0.target.label(), patience }))
    }

    /// Dials anew for the next stream. For whoever has waited too long for an answer: a core that was killed says no
    /// goodbye, and one that was started again in its place does not know the connection. Streams that are open stay
    /// so.
    pub fn forget(&self) {
        *lock(&self.0.dial) = None;
    }

    async fn open_at_leisure(&self, kind: u8) -> Result<CoreStream, LinkError> {
        let dialled = self.dialled().await?;
        dialled.connection.open_core(kind).await.map_err(|error| LinkError::Stream(Arc::new(error)))
    }

    /// The connection, or the dial that all are waiting for.
    fn dialled(&self) -> Dial {
        let mut dial = lock(&self.0.dial);
        let usable = dial.take().filter(|dial| match dial.clone().now_or_never() {
            None => true,
            Some(Ok(dialled)) => self.may_use(&dialled),
            Some(Err(_)) => false,
        });
        dial.insert(usable.unwrap_or_else(|| self.start())).clone()
    }

    fn may_use(&self, dialled: &Dialled) -> bool {
        dialled.connection.is_open() && self.0.addresses.borrow().contains(&dialled.address)
    }

    /// On a task of its own: it goes on when whoever wanted it has lost patience, and ends when nobody can want it.
    fn start(&self) -> Dial {
        let (target, addresses) = (self.0.target.clone(), self.0.addresses.subscribe());
        let mut task = Aborts(tokio::spawn(async move { target.dial(addresses).await }));
        async move { (&mut task.0).await.unwrap_or(Err(LinkError::Interrupted)) }.boxed().shared()
    }
}

/// A task that is aborted when this is dropped.
struct Aborts<T>(JoinHandle<T>);

impl<T> Drop for Aborts<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Target {
    fn label(&self) -> String {
        self.name.clone().unwrap_or_else(|| "of any name".into())
    }

    /// Tries each address; begins anew when they change meanwhile.
    async fn dial(&self, mut addresses: watch::Receiver<Vec<SocketAddr>>) -> Result<Dialled, LinkError> {
        let own = self.endpoint.own().role;
        if !Protocol::Core.may_be_dialled_by(own) {
            return Err(LinkError::NotACore(own));
        }
        loop {
            let present = addresses.borrow_and_update().clone();
            tokio::select! {
                dialled = self.dial_each(present) => return dialled,
                Ok(()) = addresses.changed() => {}
            }
        }
    }

    async fn dial_each(&self, addresses: Vec<SocketAddr>) -> Result<Dialled, LinkError> {
        let mut failed = LinkError::NoAddress(self.label());
        for address in addresses {
            match self.dial_one(address).await {
                Ok(connection) => return Ok(Dialled { address, connection }),
                // It needs a hand; others may go away by themselves.
                Err(_) if matches!(failed, LinkError::WrongName { .. }) => {}
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    async fn dial_one(&self, address: SocketAddr) -> Result<Connection, LinkError> {
        let dialling = self.endpoint.dial(address, Protocol::Core);
        let connection = match tokio::time::timeout(DIAL_WITHIN, dialling).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(LinkError::Dial { address, source: Arc::new(error) }),
            Err(_) => return Err(LinkError::Silent { address }),
        };
        let found = &connection.peer().name;
        if let Some(expected) = self.name.as_ref().filter(|name| *name != found) {
            connection.close("another core was expected here");
            return Err(LinkError::WrongName { address, expected: expected.clone(), found: found.clone() });
        }
        Ok(connection)
    }
}
