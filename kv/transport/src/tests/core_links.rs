//! Links between cores: who may have one, how they are dialled, and what ends them.

use std::net::UdpSocket;

use super::cluster::*;
use super::*;
use crate::protocol::Protocol;
use crate::{CertificateFault, CertificateMetrics, CoreLink, EndpointError, Host, IssueOptions, LinkError};

#[tokio::test(flavor = "multi_thread")]
async fn another_core_than_the_expected_one_is_refused() {
    let cluster = Cluster::new();
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    // Also when another address of it says nothing.
    let link = cluster.link_to("core-9", vec![cluster.one.address, silent.local_addr().unwrap()]);
    match link.open(WHO, PATIENCE).await {
        Err(LinkError::WrongName { address, expected, found }) => {
            assert_eq!((address, expected.as_str(), found.as_str()), (cluster.one.address, "core-9", "core-1"));
        }
        other => panic!("{other:?}"),
    }
    cluster.one.until_connections(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_cores_may_dial_as_cores() {
    let cluster = Cluster::new();
    for role in [Role::Edge, Role::Relay, Role::Client] {
        let endpoint = cluster.endpoint(role, "other");
        let link = CoreLink::new(endpoint.clone(), "core-1", vec![cluster.one.address]);
        let error = link.open(WHO, PATIENCE).await.unwrap_err();
        assert!(matches!(error, LinkError::NotACore(found) if found == role), "{error}");

        // One that does not care.
        let before = cluster.one.metrics.refused.with_label_values(&["role"]).get();
        let connection = endpoint.dial(cluster.one.address, Protocol::Core).await.unwrap();
        assert!(ended(&connection).await.contains("role"));
        assert_eq!(cluster.one.metrics.refused.with_label_values(&["role"]).get(), before + 1, "{role}");
    }
    assert_eq!(cluster.one.metrics.core_connections.get(), 0);
}

/// A node that offers to speak as a core, whatever its certificate says.
fn pretender(identity: &Identity) -> (quinn::Endpoint, SocketAddr) {
    let credentials = identity.present();
    let mut tls = rustls::ServerConfig::builder_with_provider(crate::trust::provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(credentials.trust.clients())
        .with_single_cert(vec![identity.certificate()], identity.key())
        .unwrap();
    tls.alpn_protocols = vec![Protocol::Core.alpn().to_vec()];
    let tls = quinn::crypto::rustls::QuicServerConfig::try_from(tls).unwrap();
    let config = quinn::ServerConfig::with_crypto(Arc::new(tls));
    let endpoint = quinn::Endpoint::server(config, "127.0.0.1:0".parse().unwrap()).unwrap();
    let address = endpoint.local_addr().unwrap();
    (endpoint, address)
}

#[tokio::test(flavor = "multi_thread")]
async fn only_cores_may_be_dialled_as_cores() {
    let cluster = Cluster::new();
    for role in [Role::Edge, Role::Relay] {
        // With a host an edge may serve HTTPS.
        let hosts = vec!["192.0.2.1".parse::<Host>().unwrap()];
        let identity = cluster.ca.issue_with(&IssueOptions { hosts, ..IssueOptions::new(role, "core-1") }).unwrap();
        let (server, address) = pretender(&identity);
        let accepting = tokio::spawn(async move {
            while let Some(incoming) = server.accept().await {
                drop(incoming.await);
            }
        });
        let error = cluster.link_to("core-1", vec![address]).open(WHO, PATIENCE).await.unwrap_err();
        let LinkError::Dial { source, .. } = &error else { panic!("{error}") };
        assert_eq!(source.refused().map(|refused| refused.refusal), Some(CertificateFault::Role), "{error}");
        accepting.abort();

        // It does not offer it, either.
        let honest = Endpoint::server("127.0.0.1:0".parse().unwrap(), &identity).unwrap();
        let address = honest.local_addr().unwrap();
        let accepting = tokio::spawn(async move { drop(honest.accept(honest.incoming().await.unwrap()).await) });
        let dialled = cluster.endpoint(Role::Core, "core-2").dial(address, Protocol::Core).await;
        assert!(matches!(&dialled, Err(EndpointError::Refused(_))), "{dialled:?}");
        accepting.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_protocol_is_refused() {
    let cluster = Cluster::new();
    let core = cluster.ca.issue(Role::Core, "core-2").unwrap();
    for protocols in [&[&b"zonecast-core/2"[..]][..], &[]] {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(core.root()).unwrap();
        let mut tls = rustls::ClientConfig::builder_with_provider(crate::trust::provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![core.certificate()], core.key())
            .unwrap();
        tls.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let mut endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        let tls = QuicClientConfig::try_from(tls).unwrap();
        endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(tls)));
        let connected = endpoint.connect(cluster.one.address, "core.zonecast").unwrap().await;
        assert!(connected.is_err(), "{protocols:?}");
    }
    assert_eq!(cluster.one.metrics.core_connections.get(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_core_that_is_alone_says_so_to_others() {
    let world = World::new();
    let endpoint = Endpoint::client(world.address, &world.ca.issue(Role::Core, "core-2").unwrap()).unwrap();
    let connection = endpoint.dial(world.address, Protocol::Core).await.unwrap();
    assert!(ended(&connection).await.contains("not configured as a voter of a cluster"));
    world.until_refused("no_cluster").await;
    // To follow it is another matter.
    let follower = endpoint.connect(world.address).await.unwrap();
    let (mut sender, mut receiver) = follower.open().await.unwrap();
    sender.send(&subscribe("core-2", Some(origin()))).await.unwrap();
    assert_eq!(receiver.next().await.unwrap(), Some(Frame::Stream(origin())));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_who_want_a_stream_share_one_dial_and_its_failure() {
    let cluster = Cluster::new();
    let link = cluster.link();
    let all: Vec<_> = (0..30).map(|_| link.clone()).map(|link| tokio::spawn(async move { who(&link).await })).collect();
    for one in all {
        one.await.unwrap();
    }
    assert_eq!(cluster.one.metrics.core_connections.get(), 1);

    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    silent.set_nonblocking(true).unwrap();
    let link = cluster.link_to("core-1", vec![silent.local_addr().unwrap()]);
    let all: Vec<_> = (0..30).map(|_| link.clone()).collect();
    let all = all.into_iter().map(|link| tokio::spawn(async move { link.open(WHO, PATIENCE).await.unwrap_err() }));
    for one in all.collect::<Vec<_>>() {
        let error = one.await.unwrap();
        assert!(matches!(error, LinkError::Silent { .. }), "{error}");
    }
    let mut from = std::collections::BTreeSet::new();
    let mut packet = [0; 2000];
    while let Ok((length, _)) = silent.recv_from(&mut packet) {
        // The connection that a first packet of QUIC begins: its destination, after flags, version and length.
        assert!(length > 30);
        from.insert(packet[6..6 + usize::from(packet[5])].to_vec());
    }
    assert_eq!(from.len(), 1, "more than one dial");
    assert!(matches!(cluster.link_to("core-1", vec![]).open(WHO, PATIENCE).await, Err(LinkError::NoAddress(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dial_outlives_those_who_lose_patience() {
    let cluster = Cluster::new();
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let link = cluster.link_to("core-1", vec![silent.local_addr().unwrap(), cluster.one.address]);
    let deadline = Instant::now() + PATIENCE;
    // Each is far shorter than the time that the silent address is given.
    while link.open(WHO, Duration::from_millis(50)).await.is_err() {
        assert!(Instant::now() < deadline, "nobody gets through");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_address_counts_at_once_and_open_streams_stay() {
    let cluster = Cluster::new();
    let two = Core::start("two", &cluster.ca.issue(Role::Core, "core-1").unwrap());
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let link = cluster.link_to("core-1", vec![silent.local_addr().unwrap()]);
    let waiting = tokio::spawn({
        let link = link.clone();
        async move { who(&link).await }
    });
    // It is being dialled at its old address.
    tokio::task::spawn_blocking(move || silent.recv(&mut [0; 2000])).await.unwrap().unwrap();
    link.set_addresses(vec![cluster.one.address]);
    assert!(waiting.await.unwrap().starts_with("one has"));

    let mut stream = link.open(ECHO, PATIENCE).await.unwrap();
    link.set_addresses(vec![two.address, cluster.one.address]);
    assert!(who(&link).await.starts_with("one has"), "what is good stays");
    link.set_addresses(vec![two.address]);
    assert_eq!(link.addresses(), [two.address]);
    assert!(who(&link).await.starts_with("two has"));
    stream.sender.send(Bytes::from_static(b"old")).await.unwrap();
    assert_eq!(stream.receiver.next().await.unwrap(), Some(Bytes::from_static(b"old")));
    drop(stream);
    cluster.one.until_connections(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_reaches_a_core_that_was_started_again() {
    let cluster = Cluster::new();
    let link = cluster.link();
    let mut stream = link.open(HOLD, PATIENCE).await.unwrap();
    let address = cluster.one.address;
    cluster.one.publisher.shutdown().await;
    failure(&mut stream.receiver).await;
    let identity = cluster.ca.issue(Role::Core, "core-1").unwrap();
    let deadline = Instant::now() + PATIENCE;
    let endpoint = loop {
        match Endpoint::server(address, &identity) {
            Ok(endpoint) => break endpoint,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::task::yield_now().await;
    };
    let _again = Core::start_on("again", endpoint, PublisherOptions::default());
    assert!(who(&link).await.starts_with("again has"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_doubted_is_replaced() {
    let cluster = Cluster::new();
    let link = cluster.link();
    let mut stream = link.open(ECHO, PATIENCE).await.unwrap();
    cluster.one.until_connections(1).await;
    link.forget();
    who(&link).await;
    assert_eq!(cluster.one.metrics.core_connections.get(), 2);
    stream.sender.send(Bytes::from_static(b"old")).await.unwrap();
    assert!(stream.receiver.next().await.unwrap().is_some());
    drop(stream);
    cluster.one.until_connections(1).await;
    drop(link);
    cluster.one.until_connections(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn edges_and_cores_do_not_take_each_others_places() {
    let cluster = Cluster::with(PublisherOptions { max_connections: 1, ..PublisherOptions::default() });
    let follow = async |role, name| {
        let connection = cluster.endpoint(role, name).connect(cluster.one.address).await.unwrap();
        let (mut sender, mut receiver) = connection.open().await?;
        sender.send(&subscribe(name, Some(origin()))).await?;
        let first = receiver.next().await?;
        Ok::<_, crate::StreamError>((first, connection, sender, receiver))
    };
    // A core that follows and speaks as one: neither connection replaces the other.
    let (first, _connection, _sender, _receiver) = follow(Role::Core, "core-2").await.unwrap();
    assert_eq!(first, Some(Frame::Stream(origin())));
    assert!(follow(Role::Edge, "edge-1").await.is_err(), "there is one place");
    let mut links = Vec::new();
    while cluster.one.metrics.refused.with_label_values(&["too_many"]).get() < 2 {
        assert!(links.len() < 100, "nothing stops it");
        let link = cluster.link();
        if let Ok(mut stream) = link.open(ECHO, PATIENCE).await {
            let echoed = stream.sender.send(Bytes::new()).await.is_ok() && stream.receiver.next().await.is_ok();
            links.extend(echoed.then_some((link, stream)));
        }
    }
    assert_eq!(links.len(), 8);
    let other = CoreLink::new(cluster.endpoint(Role::Core, "core-3"), "core-1", vec![cluster.one.address]);
    assert!(who(&other).await.ends_with("from core core-3"));
    assert_eq!(cluster.one.metrics.connections.get(), 1);
}

/// Either side may be the one that knows; the streams are all that is left of the connection.
#[tokio::test(flavor = "multi_thread")]
async fn revoking_a_core_ends_its_streams() {
    let cluster = Cluster::new();
    let metrics = CertificateMetrics::register(&prometheus::Registry::new()).unwrap();
    let home = |name: &str| cluster.folder.path().join(name);
    let watched = |name: &str| {
        let identity = cluster.ca.issue_with(&IssueOptions::new(Role::Core, name)).unwrap();
        identity.save(&home(name)).unwrap();
        Identity::watch(&home(name), &metrics).unwrap()
    };
    let [listener, bad, doubter, bad_listener] = ["core-3", "bad", "core-4", "bad-too"].map(watched);
    let (listening, bad_listening) = (Core::start("three", &listener), Core::start("bad", &bad_listener));
    let open = async |identity: &Identity, name: &str, address| {
        let endpoint = Endpoint::client(address, identity).unwrap();
        let link = CoreLink::new(endpoint.clone(), name, vec![address]);
        (link.open(HOLD, PATIENCE).await.unwrap(), endpoint)
    };
    let (mut from_bad, _endpoint) = open(&bad, "core-3", listening.address).await;
    listening.service.until_held(1).await;
    let (mut to_bad, _endpoint) = open(&doubter, "bad-too", bad_listening.address).await;
    for name in ["bad", "bad-too"] {
        cluster.ca.revoke(name).unwrap();
    }
    for name in ["core-3", "core-4"] {
        std::fs::copy(home("ca").join("crl.pem"), home(name).join("crl.pem")).unwrap();
    }
    assert!(failure(&mut from_bad.receiver).await.contains("revoked"));
    listening.service.until_held(0).await;
    failure(&mut to_bad.receiver).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_cores_reach_each_other_from_the_ports_they_listen_on() {
    let cluster = Cluster::new();
    let two = Core::start("two", &cluster.ca.issue(Role::Core, "core-2").unwrap());
    let link = |from: &Core, name, to: &Core| CoreLink::new(from.publisher.endpoint.clone(), name, vec![to.address]);
    let (there, back) = (link(&two, "core-1", &cluster.one), link(&cluster.one, "core-2", &two));
    let (one, other) = tokio::join!(who(&there), who(&back));
    assert_eq!(one, "one has a stream of kind 2 from core core-2");
    assert_eq!(other, "two has a stream of kind 2 from core core-1");
    // Shutting one down ends what it has dialled, too.
    let mut stream = back.open(HOLD, PATIENCE).await.unwrap();
    cluster.one.publisher.shutdown().await;
    failure(&mut stream.receiver).await;
    two.until_connections(0).await;
    assert!(matches!(back.open(WHO, PATIENCE).await, Err(LinkError::Dial { .. })));
}
