//! etcd, one node or a cluster, and the few calls of its API that measuring needs: `rpc.proto` of etcd 3.4, written out
//! by hand.
//!
//! Both ends show a certificate (mutual TLS), as core and edges do; between its nodes, too.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use futures_util::{StreamExt as _, stream};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic_prost::ProstCodec;
use zonecast_kv_transport::{Ca, IssueOptions, Role};
use zonecast_tests::{Child, free_port};

const PROGRAM: &str = "/usr/bin/etcd";

/// How long it may take to answer.
const READY: Duration = Duration::from_secs(30);

#[derive(Clone, PartialEq, prost::Message)]
struct PutRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// What it says back is not looked at.
#[derive(Clone, PartialEq, prost::Message)]
struct PutResponse {}

#[derive(Clone, PartialEq, prost::Message)]
struct WatchRequest {
    #[prost(message, optional, tag = "1")]
    create_request: Option<WatchCreateRequest>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WatchCreateRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    range_end: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WatchResponse {
    #[prost(bool, tag = "3")]
    created: bool,
    #[prost(message, repeated, tag = "11")]
    events: Vec<Event>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Event {
    #[prost(message, optional, tag = "2")]
    kv: Option<KeyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct KeyValue {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct StatusRequest {}

#[derive(Clone, PartialEq, prost::Message)]
struct StatusResponse {
    #[prost(message, optional, tag = "1")]
    header: Option<ResponseHeader>,
    #[prost(uint64, tag = "4")]
    leader: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ResponseHeader {
    #[prost(uint64, tag = "2")]
    member_id: u64,
}

/// One node or several that are one cluster, ended when dropped.
pub(crate) struct Etcd {
    nodes: Vec<Node>,
    tls: ClientTlsConfig,
    configuration: String,
}

struct Node {
    name: String,
    /// For clients.
    url: String,
    /// For the other nodes.
    peer: String,
    child: Option<Child>,
}

/// Files of a certificate, its key, and the CA.
struct Identity {
    root: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Etcd {
    /// What it says of itself; nothing if it is not installed.
    pub(crate) fn version() -> Option<String> {
        let output = Command::new(PROGRAM).arg("--version").output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().next()?.split_whitespace().last().map(str::to_owned)
    }

    /// Starts so many nodes with their defaults and mutual TLS, and empty stores in this folder.
    pub(crate) fn start(folder: &Path, nodes: usize) -> anyhow::Result<Self> {
        let host = Ipv4Addr::LOCALHOST;
        let url = || format!("https://{host}:{}", free_port());
        let identity = Identity::make(folder)?;
        let nodes =
            (1..=nodes).map(|number| Node { name: format!("etcd-{number}"), url: url(), peer: url(), child: None });
        let mut nodes: Vec<Node> = nodes.collect();
        let cluster: Vec<String> = nodes.iter().map(|node| format!("{}={}", node.name, node.peer)).collect();
        let mut configuration = format!("# etcd {}", Self::version().unwrap_or_default());
        for node in &mut nodes {
            // A switch takes its value in the same word.
            let words = node.switches(folder, &identity, &cluster.join(","));
            configuration.push_str(&format!("\netcd {}", words.join(" ")));
            let child = Child::spawn(Path::new(PROGRAM), |command| {
                command.args(words).stdout(Stdio::null()).stderr(Stdio::null());
            })?;
            node.child = Some(child);
        }
        Ok(Self { nodes, tls: identity.tls()?, configuration })
    }

    /// Its processes.
    pub(crate) fn ids(&self) -> Vec<u32> {
        self.nodes.iter().filter_map(|node| node.child.as_ref().map(Child::id)).collect()
    }

    /// What it was told, for the report.
    pub(crate) fn configuration(&self) -> &str {
        &self.configuration
    }

    /// A connection of its own to the node that leads; waits until one does.
    pub(crate) async fn client(&self) -> anyhow::Result<EtcdClient> {
        let deadline = Instant::now() + READY;
        loop {
            for node in &self.nodes {
                let endpoint = Endpoint::from_shared(node.url.clone())?.tcp_nodelay(true);
                let Ok(channel) = endpoint.tls_config(self.tls.clone())?.connect().await else { continue };
                let client = EtcdClient { channel };
                if client.leads().await.unwrap_or(false) {
                    return Ok(client);
                }
            }
            if Instant::now() > deadline {
                bail!("etcd does not answer within {READY:?}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Identity {
    /// A node shows its certificate to the others, too, so it is one for both ends of a connection.
    fn make(folder: &Path) -> anyhow::Result<Self> {
        let host = Ipv4Addr::LOCALHOST;
        let options = IssueOptions { hosts: vec![host.to_string().parse()?], ..IssueOptions::new(Role::Core, "etcd") };
        let identity = folder.join("etcd-identity");
        std::fs::create_dir_all(&identity)?;
        Ca::open_or_create(&folder.join("etcd-ca"))?.issue_with(&options)?.save(&identity)?;
        let [root, certificate, key] = ["ca.pem", "node.pem", "node.key"].map(|file| identity.join(file));
        Ok(Self { root, certificate, key })
    }

    /// For a client.
    fn tls(&self) -> anyhow::Result<ClientTlsConfig> {
        let read = |path: &Path| std::fs::read(path);
        let identity = tonic::transport::Identity::from_pem(read(&self.certificate)?, read(&self.key)?);
        Ok(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(&self.root)?)).identity(identity))
    }
}

impl Node {
    /// What it is started with, in a cluster of these.
    fn switches(&self, folder: &Path, identity: &Identity, cluster: &str) -> Vec<String> {
        let Self { name, url, peer, .. } = self;
        let data = folder.join(name).display().to_string();
        let [root, certificate, key] =
            [&identity.root, &identity.certificate, &identity.key].map(|path| path.display().to_string());
        let switches = [
            ("name", name.as_str()),
            ("data-dir", &data),
            ("listen-client-urls", url),
            ("advertise-client-urls", url),
            ("listen-peer-urls", peer),
            ("initial-advertise-peer-urls", peer),
            ("initial-cluster", cluster),
            ("cert-file", &certificate),
            ("key-file", &key),
            ("trusted-ca-file", &root),
            ("client-cert-auth", "true"),
            ("peer-cert-file", &certificate),
            ("peer-key-file", &key),
            ("peer-trusted-ca-file", &root),
            ("peer-client-cert-auth", "true"),
        ];
        switches.map(|(name, value)| format!("--{name}={value}")).into()
    }
}

/// A connection; clones share it.
#[derive(Clone)]
pub(crate) struct EtcdClient {
    channel: Channel,
}

impl EtcdClient {
    /// Returns when the change is durable.
    pub(crate) async fn put(&self, key: &[u8], value: &[u8]) -> anyhow::Result<()> {
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await.context("etcd is gone")?;
        let request = PutRequest { key: key.to_vec(), value: value.to_vec() };
        let codec = ProstCodec::<PutRequest, PutResponse>::default();
        let path = PathAndQuery::from_static("/etcdserverpb.KV/Put");
        grpc.unary(tonic::Request::new(request), path, codec).await?;
        Ok(())
    }

    /// Whether this is the node that leads.
    async fn leads(&self) -> anyhow::Result<bool> {
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await.context("etcd is gone")?;
        let codec = ProstCodec::<StatusRequest, StatusResponse>::default();
        let path = PathAndQuery::from_static("/etcdserverpb.Maintenance/Status");
        let status = grpc.unary(tonic::Request::new(StatusRequest {}), path, codec).await?.into_inner();
        Ok(status.leader != 0 && status.header.is_some_and(|header| header.member_id == status.leader))
    }

    /// Follows all keys with this prefix; what comes is told with the time at which it came, until nobody listens.
    pub(crate) async fn watch(
        &self,
        prefix: &[u8],
        tell: tokio::sync::mpsc::UnboundedSender<(Vec<u8>, Instant)>,
    ) -> anyhow::Result<()> {
        let mut range_end = prefix.to_vec();
        // The prefixes here end in a letter, so the next one is what ends the range.
        *range_end.last_mut().context("an empty prefix")? += 1;
        let create = WatchCreateRequest { key: prefix.to_vec(), range_end };
        let first = WatchRequest { create_request: Some(create) };
        let requests = stream::once(async { first }).chain(stream::pending());
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await.context("etcd is gone")?;
        let codec = ProstCodec::<WatchRequest, WatchResponse>::default();
        let path = PathAndQuery::from_static("/etcdserverpb.Watch/Watch");
        let mut responses = grpc.streaming(tonic::Request::new(requests), path, codec).await?.into_inner();
        let created = responses.message().await?.is_some_and(|response| response.created);
        anyhow::ensure!(created, "etcd did not create the watch");
        tokio::spawn(async move {
            while let Ok(Some(response)) = responses.message().await {
                let at = Instant::now();
                for kv in response.events.into_iter().filter_map(|event| event.kv) {
                    if tell.send((kv.value, at)).is_err() {
                        return;
                    }
                }
            }
        });
        Ok(())
    }
}
