//! Cores with a service for tests.

use futures_util::future::BoxFuture;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::watch;

use super::*;
use crate::{CoreLink, CoreService, CoreStream};

/// Kinds of streams of the service below.
pub(super) const ECHO: u8 = 1;
pub(super) const WHO: u8 = 2;
pub(super) const HOLD: u8 = 3;
pub(super) const PANIC: u8 = 4;
pub(super) const BYTES: u8 = 5;
/// The handler goes on when its stream is gone.
pub(super) const LINGER: u8 = 6;
/// The stream is not over when its handler is.
pub(super) const KEEP: u8 = 7;

/// Serves the kinds above; says how many handlers do not end, and with what error a stream ended last.
#[derive(Clone)]
pub(super) struct Service {
    pub(super) held: watch::Sender<usize>,
    pub(super) failed: watch::Sender<Option<String>>,
    kept: Arc<std::sync::Mutex<Vec<CoreStream>>>,
    tag: &'static str,
}

/// A stream that is held until this is dropped.
struct Held(watch::Sender<usize>);

impl Held {
    fn new(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl Service {
    pub(super) fn new(tag: &'static str) -> Self {
        Self { held: watch::Sender::new(0), failed: watch::Sender::new(None), kept: Arc::default(), tag }
    }

    pub(super) async fn until_held(&self, count: usize) {
        let mut held = self.held.subscribe();
        let waited = tokio::time::timeout(PATIENCE, held.wait_for(|held| *held == count)).await;
        waited.unwrap_or_else(|_| panic!("{} are held", *self.held.borrow())).unwrap();
    }

    pub(super) async fn until_failed(&self) -> String {
        let mut failed = self.failed.subscribe();
        let failed = tokio::time::timeout(PATIENCE, failed.wait_for(Option::is_some)).await.expect("none failed");
        failed.unwrap().clone().unwrap()
    }

    async fn run(self, peer: Peer, kind: u8, stream: CoreStream) {
        let held = matches!(kind, HOLD | LINGER).then(|| Held::new(&self.held));
        match kind {
            ECHO => {
                if let Err(error) = echo(stream).await {
                    self.failed.send_replace(Some(error.to_string()));
                }
            }
            WHO => {
                let CoreStream { mut sender, .. } = stream;
                let who = format!("{} has a stream of kind {kind} from {peer}", self.tag);
                sender.send(who.into()).await.unwrap();
                sender.finish().await.unwrap();
            }
            HOLD => {
                let _stream = stream;
                std::future::pending::<()>().await;
            }
            LINGER => {
                drop(stream);
                std::future::pending::<()>().await;
            }
            KEEP => {
                let CoreStream { mut sender, receiver } = stream;
                sender.send(Bytes::from_static(b"kept")).await.unwrap();
                self.kept.lock().unwrap().push(CoreStream { sender, receiver });
            }
            BYTES => {
                let (mut read, mut write) = tokio::io::split(stream.into_io());
                tokio::io::copy(&mut read, &mut write).await.unwrap();
                write.shutdown().await.unwrap();
            }
            _ => panic!("a test wants this"),
        }
        drop(held);
    }
}

async fn echo(stream: CoreStream) -> Result<(), crate::StreamError> {
    let CoreStream { mut sender, mut receiver } = stream;
    while let Some(message) = receiver.next().await? {
        sender.send(message).await?;
    }
    sender.finish().await
}

impl CoreService for Service {
    fn serve(&self, peer: &Peer, kind: u8, stream: CoreStream) -> BoxFuture<'static, ()> {
        Box::pin(self.clone().run(peer.clone(), kind, stream))
    }
}

/// A core of a cluster, and the CA of it.
pub(super) struct Cluster {
    pub(super) ca: Ca,
    pub(super) folder: tempfile::TempDir,
    pub(super) one: Core,
}

/// A core that listens.
pub(super) struct Core {
    pub(super) publisher: Publisher,
    pub(super) metrics: TransportMetrics,
    pub(super) address: SocketAddr,
    pub(super) service: Service,
}

impl Core {
    pub(super) fn start(tag: &'static str, identity: &Identity) -> Self {
        let endpoint = Endpoint::server("127.0.0.1:0".parse().unwrap(), identity).unwrap();
        Self::start_on(tag, endpoint, PublisherOptions::default())
    }

    pub(super) fn start_on(tag: &'static str, endpoint: Endpoint, options: PublisherOptions) -> Self {
        let (metrics, service) = (TransportMetrics::register(&prometheus::Registry::new()).unwrap(), Service::new(tag));
        let cores: Arc<dyn CoreService> = Arc::new(service.clone());
        let publisher = Publisher::start_in_cluster(endpoint, Arc::new(Empty), options, metrics.clone(), cores);
        let address = publisher.local_addr().unwrap();
        Self { publisher, metrics, address, service }
    }

    pub(super) async fn until_connections(&self, count: i64) {
        let deadline = Instant::now() + PATIENCE;
        while self.metrics.core_connections.get() != count {
            assert!(Instant::now() < deadline, "there are {} connections", self.metrics.core_connections.get());
            tokio::task::yield_now().await;
        }
    }
}

impl Cluster {
    pub(super) fn new() -> Self {
        Self::with(PublisherOptions::default())
    }

    pub(super) fn with(options: PublisherOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca = Ca::open_or_create(&folder.path().join("ca")).unwrap();
        let identity = ca.issue(Role::Core, "core-1").unwrap();
        let endpoint = Endpoint::server("127.0.0.1:0".parse().unwrap(), &identity).unwrap();
        Self { ca, folder, one: Core::start_on("one", endpoint, options) }
    }

    pub(super) fn endpoint(&self, role: Role, name: &str) -> Endpoint {
        Endpoint::client(self.one.address, &self.ca.issue(role, name).unwrap()).unwrap()
    }

    /// From core-2 to core-1.
    pub(super) fn link(&self) -> CoreLink {
        self.link_to("core-1", vec![self.one.address])
    }

    pub(super) fn link_to(&self, name: &str, addresses: Vec<SocketAddr>) -> CoreLink {
        CoreLink::new(self.endpoint(Role::Core, "core-2"), name, addresses)
    }
}

/// Asks over a stream of its own who serves it.
pub(super) async fn who(link: &CoreLink) -> String {
    let mut stream = link.open(WHO, PATIENCE).await.unwrap();
    String::from_utf8(stream.receiver.next().await.unwrap().unwrap().to_vec()).unwrap()
}

/// The end of a stream, which the other side must bring about.
pub(super) async fn failure(receiver: &mut crate::MessageReceiver) -> String {
    let ended = tokio::time::timeout(PATIENCE, receiver.next()).await.expect("it is still open");
    ended.expect_err("it should not end well").to_string()
}
