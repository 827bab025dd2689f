//! Several cores in one process, over real QUIC: they elect, replicate, let each other in and go on without each other.

use std::path::{Path, PathBuf};
use std::time::Duration;

use zonecast_kv_core::{ClusterConfig, ClusterStatus, Core, CoreError, Member, MemberError, MemberRole, Outcome};
use zonecast_kv_transport::{Ca, Endpoint, Identity, Publisher, PublisherOptions, Role, TransportMetrics};

use super::*;

/// Longest wait for what must come.
const WITHIN: Duration = Duration::from_secs(60);

/// Where cores keep their data, and the CA that certifies them.
struct Site {
    folder: tempfile::TempDir,
    ca: Ca,
}

/// A core that serves others.
struct Node {
    core: Core,
    publisher: Publisher,
}

/// A core before it is started: its port is taken, so that others can be told.
struct Prepared {
    member: Member,
    endpoint: Endpoint,
    data_dir: PathBuf,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca = Ca::create(&folder.path().join("ca")).unwrap();
        Self { folder, ca }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn identity(&self, name: &str) -> Identity {
        self.ca.issue(Role::Core, name).unwrap()
    }

    fn prepare(&self, name: &str) -> Prepared {
        let endpoint = Endpoint::server("127.0.0.1:0".parse().unwrap(), &self.identity(name)).unwrap();
        let address = endpoint.local_addr().unwrap().to_string();
        Prepared { member: Member { name: name.into(), address }, endpoint, data_dir: self.path(name) }
    }

    /// The first of a cluster.
    async fn found(&self, name: &str) -> Node {
        self.prepare(name).start(vec![]).await.unwrap()
    }

    /// Starts a core that asks to join, and admits it.
    async fn add(&self, leader: &Node, name: &str) -> Node {
        let (prepared, join) = (self.prepare(name), vec![leader.address()]);
        let starting = tokio::spawn(async move { prepared.start(join).await });
        leader.admit(name).await;
        tokio::time::timeout(WITHIN, starting).await.unwrap().unwrap().unwrap()
    }

    /// Three voters; the first leads.
    async fn three(&self) -> [Node; 3] {
        let a = self.found("a").await;
        let b = self.add(&a, "b").await;
        let c = self.add(&a, "c").await;
        a.until(|cluster| voters(cluster) == ["a", "b", "c"]).await;
        [a, b, c]
    }
}

impl Prepared {
    async fn start(self, join: Vec<String>) -> Result<Node, CoreError> {
        let Self { member, endpoint, data_dir } = self;
        let cluster = ClusterConfig { member, endpoint: endpoint.clone(), join };
        let core = Core::start(CoreConfig { cluster: Some(cluster), ..config(&data_dir) }).await?;
        let metrics = TransportMetrics::register(&Registry::new()).unwrap();
        let options = PublisherOptions::default();
        let publisher = Publisher::start_in_cluster(endpoint, core.source(), options, metrics, core.service());
        Ok(Node { core, publisher })
    }
}

fn config(data_dir: &Path) -> CoreConfig {
    CoreConfig {
        data_dir: data_dir.to_path_buf(),
        state: StateOptions::default(),
        registry: Registry::new(),
        sink: Arc::new(|_: &Applied| {}),
        cluster: None,
    }
}

impl Node {
    fn address(&self) -> String {
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
    async fn until(&self, is_so: impl Fn(&ClusterStatus) -> bool) -> ClusterStatus {
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

    async fn write(&self, name: &str) -> u64 {
        let (number, pending) = increment(&self.core, name).await.unwrap();
        assert!(matches!(pending.await, Outcome::Committed { .. }));
        number
    }

    /// What a linearizable read finds.
    async fn read(&self, name: &str) -> u64 {
        self.core.catch_up(WITHIN).await.unwrap();
        number(&self.core.view(), name)
    }

    /// Without a goodbye to anybody, as far as that goes in one process.
    async fn kill(self) {
        self.publisher.shutdown().await;
        let _ = self.core.shutdown().await;
    }
}

fn voters(cluster: &ClusterStatus) -> Vec<&str> {
    let voters = cluster.members.iter().filter(|member| member.role == MemberRole::Voter && !cluster.is_changing);
    let mut names: Vec<&str> = voters.map(|member| member.member.name.as_str()).collect();
    names.sort_unstable();
    names
}

/// The one of them that leads, once one does.
async fn leader(nodes: &[Node]) -> &Node {
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

#[tokio::test(flavor = "multi_thread")]
async fn one_becomes_three_and_every_one_has_what_was_written() {
    let site = Site::new();
    let a = site.found("a").await;
    for _ in 0..10 {
        a.write("n").await;
    }
    let b = site.add(&a, "b").await;
    let cluster = a.until(|cluster| cluster.members.len() == 2).await;
    assert_eq!(voters(&cluster), ["a"], "two would be no better than one");
    let c = site.add(&a, "c").await;
    a.until(|cluster| voters(cluster) == ["a", "b", "c"]).await;
    assert_eq!(a.write("n").await, 11);
    for node in [&a, &b, &c] {
        assert_eq!(node.read("n").await, 11);
        assert_eq!(node.core.position(), a.core.position());
        let known = node.until(|cluster| voters(cluster) == ["a", "b", "c"]).await;
        assert!(known.members.iter().all(|member| member.status.is_some()), "{known:?}");
    }
    assert!(matches!(
        increment(&b.core, "n").await,
        Err(ChangeError::Propose(ProposeError::NotLeader { leader: Some(leader) })) if leader.name == "a"
    ));
    for node in [c, b, a] {
        node.kill().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_of_three_go_on_and_the_third_comes_back_to_what_it_missed() {
    let site = Site::new();
    let [a, b, c] = site.three().await;
    a.write("n").await;
    a.kill().await;
    let nodes = [b, c];
    let led = leader(&nodes).await;
    assert_eq!(led.write("n").await, 2);
    let again = site.prepare("a").start(vec![]).await.unwrap();
    assert_eq!(again.read("n").await, 2, "at another address");
    let known = led.until(|cluster| cluster.members.iter().any(|m| m.member.address == again.address())).await;
    assert_eq!(known.members.len(), 3);
    assert_eq!(led.write("n").await, 3);
    assert_eq!(again.read("n").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lead_is_handed_over_and_a_planned_stop_hands_it_over_too() {
    let site = Site::new();
    let [a, b, c] = site.three().await;
    a.core.transfer_lead("b", WITHIN).await.unwrap();
    b.core.lead_changed(true).await;
    a.core.lead_changed(false).await;
    assert_eq!(b.write("n").await, 1);
    assert!(matches!(a.core.transfer_lead("c", WITHIN).await, Err(MemberError::NotLeader)));
    b.core.shutdown().await.unwrap();
    let nodes = [a, c];
    assert_eq!(leader(&nodes).await.write("n").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn three_become_one_and_whoever_is_removed_hears_of_it() {
    let site = Site::new();
    let [a, b, c] = site.three().await;
    a.write("n").await;
    let why = a.core.remove_members(&["c".into()]).await.unwrap_err();
    assert_eq!(why, MemberError::Even(2));
    let data_dir = site.path("c");
    c.kill().await;
    a.core.remove_members(&["b".into(), "c".into()]).await.unwrap();
    a.until(|cluster| voters(cluster) == ["a"] && cluster.members.len() == 1).await;
    let stopped = tokio::time::timeout(WITHIN, b.core.stopped()).await.expect("it was there, and hears of it");
    assert!(matches!(&stopped, CoreError::Removed { by, .. } if by.name == "a"), "{stopped}");
    b.kill().await;
    assert_eq!(a.write("n").await, 2);
    // It was away, still takes itself for a voter, and asks.
    assert!(data_dir.exists());
    let c = site.prepare("c").start(vec![]).await.unwrap();
    let stopped = tokio::time::timeout(WITHIN, c.core.stopped()).await.expect("it hears of it when it is back");
    assert!(matches!(&stopped, CoreError::Removed { .. }), "{stopped}");
    assert_eq!(a.write("n").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_disk_does_not_come_back_under_its_name() {
    let site = Site::new();
    let [a, b, c] = site.three().await;
    a.write("n").await;
    c.kill().await;
    std::fs::remove_dir_all(site.path("c")).unwrap();
    let error = site.prepare("c").start(vec![a.address()]).await.err().expect("the others count on what it held");
    assert!(matches!(&error, CoreError::Join(why) if why.contains("cluster remove c")), "{error}");
    // Nor when only the log is gone.
    b.kill().await;
    std::fs::remove_dir_all(site.path("b").join("raft")).unwrap();
    let error = site.prepare("b").start(vec![]).await.err().expect("its log is gone");
    assert!(matches!(&error, CoreError::Emptied { id, .. } if *id > 1), "{error}");
}
