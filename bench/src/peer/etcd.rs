//! etcd, one node, and the few calls of its API that measuring needs: `rpc.proto` of etcd 3.4, written out by hand.
//!
//! Both ends show a certificate (mutual TLS), as core and edges do.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use futures_util::{StreamExt as _, stream};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
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

/// One node, ended when dropped.
pub(crate) struct Etcd {
    child: Child,
    url: String,
    tls: ClientTlsConfig,
    configuration: String,
}

impl Etcd {
    /// What it says of itself; nothing if it is not installed.
    pub(crate) fn version() -> Option<String> {
        let output = Command::new(PROGRAM).arg("--version").output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().next()?.split_whitespace().last().map(str::to_owned)
    }

    /// Starts one with its defaults and mutual TLS, and an empty store in this folder.
    pub(crate) fn start(folder: &Path) -> anyhow::Result<Self> {
        let host = Ipv4Addr::LOCALHOST;
        let (url, peer) = (format!("https://{host}:{}", free_port()), format!("http://{host}:{}", free_port()));
        // The node shows the certificate to itself, too, so it is one for both ends of a connection.
        let options = IssueOptions { hosts: vec![host.to_string().parse()?], ..IssueOptions::new(Role::Core, "etcd") };
        let identity = folder.join("etcd-identity");
        std::fs::create_dir_all(&identity)?;
        Ca::open_or_create(&folder.join("etcd-ca"))?.issue_with(&options)?.save(&identity)?;
        let [root, certificate, key] = ["ca.pem", "node.pem", "node.key"].map(|file| identity.join(file));
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(std::fs::read(&root)?))
            .identity(Identity::from_pem(std::fs::read(&certificate)?, std::fs::read(&key)?));
        let cluster = format!("default={peer}");
        let arguments = [
            ["--data-dir", &folder.join("etcd").to_string_lossy()],
            ["--listen-client-urls", &url],
            ["--advertise-client-urls", &url],
            ["--listen-peer-urls", &peer],
            ["--initial-advertise-peer-urls", &peer],
            ["--initial-cluster", &cluster],
            ["--cert-file", &certificate.to_string_lossy()],
            ["--key-file", &key.to_string_lossy()],
            ["--trusted-ca-file", &root.to_string_lossy()],
            ["--client-cert-auth", "true"],
        ]
        .map(|pair| pair.map(str::to_owned));
        let child = Child::spawn(Path::new(PROGRAM), |command| {
            // A switch takes its value in the same word.
            let words = arguments.iter().map(|[name, value]| format!("{name}={value}"));
            command.args(words).stdout(Stdio::null()).stderr(Stdio::null());
        })?;
        let version = Self::version().unwrap_or_default();
        let configuration = format!("# etcd {version}\netcd {}", arguments.as_flattened().join(" "));
        Ok(Self { child, url, tls, configuration })
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it was told, for the report.
    pub(crate) fn configuration(&self) -> &str {
        &self.configuration
    }

    /// A connection of its own; waits until it answers.
    pub(crate) async fn client(&self) -> anyhow::Result<EtcdClient> {
        let deadline = Instant::now() + READY;
        loop {
            let endpoint = Endpoint::from_shared(self.url.clone())?.tcp_nodelay(true).tls_config(self.tls.clone())?;
            if let Ok(channel) = endpoint.connect().await {
                return Ok(EtcdClient { channel });
            }
            if Instant::now() > deadline {
                bail!("etcd does not answer within {READY:?}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
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
