//! Cores in one process that reach each other over QUIC.

use std::path::PathBuf;
use std::sync::{OnceLock, Weak};
use std::time::Duration;

use zonecast_kv_core::{
    AppliedSink, ClusterConfig, ClusterStatus, Core, CoreError, Member, MemberError, MemberRole, Outcome, Patience,
};
use zonecast_kv_transport::{Ca, Endpoint, Identity, Publisher, PublisherOptions, Role, TransportMetrics};

use super::*;

/// Longest wait for what must come.
pub(crate) const WITHIN: Duration = Duration::from_secs(60);

/// Where cores keep their data, and the CA that certifies them.
pub(crate) struct Site {
    folder: tempfile::TempDir,
    ca: Ca,
    /// Of every core that is started from now on.
    pub(crate) state: StateOptions,
}

/// A core that serves others.
pub(crate) struct Node {
    pub(crate) core: Core,
    pub(crate) publisher: Arc<Publisher>,
    registry: Registry,
}

/// A core before it is started: its port is taken, so that others can be told.
pub(crate) struct Prepared {
    member: Member,
    endpoint: Endpoint,
    data_dir: PathBuf,
    state: StateOptions,
}

impl Site {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca = Ca::create(&folder.path().join("ca")).unwrap();
        Self { folder, ca, state: StateOptions::default() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn identity(&self, name: &str) -> Identity {
        self.ca.issue(Role::Core, name).unwrap()
    }

    pub(crate) fn edge(&self, name: &str) -> Identity {
        self.ca.issue(Role::Edge, name).unwrap()
    }

    pub(crate) fn prepare(&self, name: &str) -> Prepared {
        let endpoint = Endpoint::server("127.0.0.1:0".parse().unwrap(), &self.identity(name)).unwrap();
        let address = endpoint.local_addr().unwrap().to_string();
        Prepared {
            member: Member { name: name.into(), address },
            endpoint,
            data_dir: self.path(name),
            state: self.state.clone(),
        }
    }

    /// The same at an address that was in use.
    pub(crate) async fn prepare_at(&self, name: &str, address: &str) -> Prepared {
        let binding = async {
            loop {
                match Endpoint::server(address.parse().unwrap(), &self.identity(name)) {
                    Ok(endpoint) => return endpoint,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        };
        let endpoint = tokio::time::timeout(WITHIN, binding).await.expect("nobody has it any more");
        let member = Member { name: name.into(), address: address.into() };
        Prepared { member, endpoint, data_dir: self.path(name), state: self.state.clone() }
    }

    /// The first of a cluster.
    pub(crate) async fn found(&self, name: &str) -> Node {
        self.prepare(name).start(vec![]).await.unwrap()
    }

    /// Starts a core that asks to join, and admits it.
    pub(crate) async fn add(&self, leader: &Node, name: &str) -> Node {
        let (prepared, join) = (self.prepare(name), vec![leader.address()]);
        let starting = tokio::spawn(async move { prepared.start(join).await });
        leader.admit(name).await;
        tokio::time::timeout(WITHIN, starting).await.unwrap().unwrap().unwrap()
    }

    /// Three voters; the first leads.
    pub(crate) async fn three(&self) -> [Node; 3] {
        let a = self.found("a").await;
        let b = self.add(&a, "b").await;
        let c = self.add(&a, "c").await;
        a.until(|cluster| voters(cluster) == ["a", "b", "c"]).await;
        [a, b, c]
    }
}

impl Prepared {
    /// The same, without a word about where the others reach it.
    pub(crate) fn unreachable(self) -> Self {
        Self { member: Member { address: String::new(), ..self.member }, ..self }
    }

    pub(crate) async fn start(self, join: Vec<String>) -> Result<Node, CoreError> {
        self.start_with(join, Patience::default()).await
    }

    pub(crate) async fn start_with(self, join: Vec<String>, patience: Patience) -> Result<Node, CoreError> {
        let Self { member, endpoint, data_dir, state } = self;
        let (registry, sink) = (Registry::new(), Arc::new(Sink::default()));
        let config = CoreConfig {
            data_dir,
            state,
            registry: registry.clone(),
            sink: Arc::clone(&sink) as Arc<_>,
            cluster: Some(ClusterConfig { member, endpoint: endpoint.clone(), join }),
        };
        let core = Core::start_with(config, patience).await?;
        let metrics = TransportMetrics::register(&Registry::new()).unwrap();
        let options = PublisherOptions::default();
        let publisher =
            Arc::new(Publisher::start_in_cluster(endpoint, core.source(), options, metrics, core.service()));
        let _ = sink.publisher.set(Arc::downgrade(&publisher));
        Ok(Node { core, publisher, registry })
    }
}

/// Hands what is applied to the publisher.
#[derive(Default)]
struct Sink {
    publisher: OnceLock<Weak<Publisher>>,
}

impl Sink {
    fn publisher(&self) -> Option<Arc<Publisher>> {
        self.publisher.get().and_then(Weak::upgrade)
    }
}

impl AppliedSink for Sink {
    fn applied(&self, version: &Applied) {
        if let Some(publisher) = self.publisher() {
            publisher.publish(&version.bytes, version.position);
        }
    }

    fn installed(&self, position: Position) {
        if let Some(publisher) = self.publisher() {
            publisher.jumped(position);
        }
    }
}

impl Node {
    pub(crate) fn address(&self) -> String {
        self.publisher.local_addr().unwrap().to_string()
    }

    async fn admit(&self, name: &str) {
        let admitting = async {
            loop {
                match self.core.add_member(name).await {
                    Ok(_) => return,
                    Err(MemberError::NotAsking(_)) => tokio::task::yield_now().await,
                    Err(error) => panic!("{name} is not admitted: {error}"),
                }
            }
        };
        tokio::time::timeout(WITHIN, admitting).await.expect("it asks");
    }

    /// Waits until this core knows the cluster to be so.
    pub(crate) async fn until(&self, is_so: impl Fn(&ClusterStatus) -> bool) -> ClusterStatus {
        let waiting = async {
            loop {
                let cluster = self.core.cluster().await;
                if is_so(&cluster) {
                    return cluster;
                }
                tokio::task::yield_now().await;
            }
        };
        match tokio::time::timeout(WITHIN, waiting).await {
            Ok(cluster) => cluster,
            Err(_) => panic!("it never came: {:?}", self.core.cluster().await),
        }
    }

    pub(crate) async fn write(&self, name: &str) -> u64 {
        let (number, pending) = increment(&self.core, name).await.unwrap();
        assert!(matches!(pending.await, Outcome::Committed { .. }));
        number
    }

    /// What a linearizable read finds.
    pub(crate) async fn read(&self, name: &str) -> u64 {
        self.core.catch_up(WITHIN).await.unwrap();
        number(&self.core.view(), name)
    }

    /// What a counter of this core says.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of bytes in a test")]
    pub(crate) fn counter(&self, name: &str) -> u64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name).expect("it is registered");
        family.get_metric().iter().map(|metric| metric.get_counter().get_value()).sum::<f64>() as u64
    }

    /// Waits until a counter of this core says so.
    pub(crate) async fn until_counted(&self, name: &str, count: u64) {
        let counted = async {
            while self.counter(name) != count {
                tokio::task::yield_now().await;
            }
        };
        let counted = tokio::time::timeout(WITHIN, counted).await;
        assert!(counted.is_ok(), "{name} is {}, not {count}", self.counter(name));
    }

    /// Without a goodbye to anybody, as far as that goes in one process.
    pub(crate) async fn kill(self) {
        if let Ok(publisher) = Arc::try_unwrap(self.publisher) {
            publisher.shutdown().await;
        }
        let _ = self.core.shutdown().await;
    }
}

pub(crate) fn voters(cluster: &ClusterStatus) -> Vec<&str> {
    let voters = cluster.members.iter().filter(|member| member.role == MemberRole::Voter && !cluster.is_changing);
    let mut names: Vec<&str> = voters.map(|member| member.member.name.as_str()).collect();
    names.sort_unstable();
    names
}

/// The one of them that leads, once one does.
pub(crate) async fn leader(nodes: &[Node]) -> &Node {
    let waiting = async {
        loop {
            if let Some(leader) = nodes.iter().find(|node| node.core.leads()) {
                return leader;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WITHIN, waiting).await.expect("somebody leads")
}
