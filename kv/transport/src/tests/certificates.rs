//! What certificates say, and what happens to connections when they are renewed, revoked or expire.

use std::path::PathBuf;
use std::time::SystemTime;

use prometheus::Registry;
use rustls::pki_types::UnixTime;

use super::*;
use crate::protocol::Protocol;
use crate::trust::Side;
use crate::{CertificateFault, CertificateMetrics, Host, IssueOptions, NotTrusted};

/// A core and a folder for each node, as they stand on machines of their own.
struct Installation {
    world: World,
    core: Identity,
    metrics: CertificateMetrics,
}

impl Installation {
    fn new(core: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca = Ca::create(&folder.path().join("ca")).unwrap();
        let metrics = CertificateMetrics::register(&Registry::new()).unwrap();
        let home = folder.path().join("core-1");
        ca.issue_with(&IssueOptions { valid_for: core, ..IssueOptions::new(Role::Core, "core-1") })
            .unwrap()
            .save(&home)
            .unwrap();
        let identity = Identity::watch(&home, &metrics).unwrap();
        Self { world: World::with(folder, ca, &identity), core: identity, metrics }
    }

    fn home(&self, name: &str) -> PathBuf {
        self.world.folder.path().join(name)
    }

    fn issue(&self, name: &str, valid_for: Duration) -> Identity {
        let options = IssueOptions { valid_for, ..IssueOptions::new(Role::Edge, name) };
        self.world.ca.issue_with(&options).unwrap()
    }

    /// As the operator does after `zonecast ca revoke`.
    fn copy_crl_to(&self, name: &str) {
        std::fs::copy(self.home("ca").join("crl.pem"), self.home(name).join("crl.pem")).unwrap();
    }

    /// A connection that is subscribed and stays so.
    async fn subscribed(&self, identity: &Identity) -> (Connection, crate::FrameSender, crate::FrameReceiver) {
        let connection = self.world.connect(identity).await;
        let (mut sender, mut receiver) = connection.open().await.unwrap();
        sender.send(&subscribe(&identity.peer().name, Some(origin()))).await.unwrap();
        assert_eq!(receiver.next().await.unwrap(), Some(Frame::Stream(origin())));
        (connection, sender, receiver)
    }

    async fn until_closed(&self, reason: &str) {
        until(|| self.metrics.closed.with_label_values(&[reason]).get() > 0).await;
    }

    async fn until_reloaded(&self, result: &str, count: u64) {
        until(|| self.metrics.reloads.with_label_values(&[result]).get() >= count).await;
    }
}

const LONG: Duration = Duration::from_secs(3600);

async fn until(mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "it did not come about");
        tokio::task::yield_now().await;
    }
}

/// Reads until the version that a test publishes, over whatever came meanwhile.
async fn until_version_one(receiver: &mut crate::FrameReceiver) {
    assert_eq!(after_signs_of_life(receiver).await, Some(Frame::Version(Bytes::from_static(b"version one"))));
}

/// Why a dialler got nowhere: at once, or when the server looked at its certificate.
async fn refused(address: SocketAddr, identity: &Identity) -> NotTrusted {
    let endpoint = Endpoint::client(address, identity).unwrap();
    match endpoint.connect(address).await {
        Err(error) => error.refused().unwrap_or_else(|| panic!("{error}")),
        Ok(connection) => {
            let closed = tokio::time::timeout(PATIENCE, connection.closed()).await.expect("it is still open");
            closed.refused().unwrap_or_else(|| panic!("it was refused for something else: {closed:?}"))
        }
    }
}

#[test]
fn a_ca_is_made_only_where_there_is_none() {
    let parent = tempfile::tempdir().unwrap();
    assert!(matches!(Ca::open(parent.path()), Err(CaError::Missing(_))));
    Ca::create(parent.path()).unwrap();
    assert!(matches!(Ca::create(parent.path()), Err(CaError::Exists(_))));
    Ca::open(parent.path()).unwrap();
}

#[test]
fn extra_hosts_do_not_change_who_a_node_is() {
    let folder = tempfile::tempdir().unwrap();
    let ca = Ca::create(folder.path()).unwrap();
    let hosts: Vec<Host> =
        ["core.example.com", "192.0.2.1", "2001:db8::1"].iter().map(|host| host.parse().unwrap()).collect();
    let identity = ca.issue_with(&IssueOptions { hosts, ..IssueOptions::new(Role::Edge, "edge-1") }).unwrap();
    assert_eq!((identity.peer().role, identity.peer().name.as_str()), (Role::Edge, "edge-1"));
    assert_eq!(identity.hosts(), ["core.example.com", "192.0.2.1", "2001:db8::1"]);
    assert_eq!(ca.issued().unwrap()[0].hosts, identity.hosts());

    // It may serve HTTPS now, but that makes it no core.
    let now = UnixTime::now();
    let trust = &identity.present().trust;
    trust.check(&identity.certificate(), Side::Client, now).unwrap();
    for protocol in [Protocol::FanOut, Protocol::Core] {
        let error = trust.check(&identity.certificate(), Side::Server(protocol), now).unwrap_err();
        assert_eq!(CertificateFault::from_tls(&error), CertificateFault::Role);
    }
    identity.https_server().unwrap();
}

#[test]
fn whoever_serves_is_followed_and_only_a_core_is_a_core_to_others() {
    let folder = tempfile::tempdir().unwrap();
    let ca = Ca::create(folder.path()).unwrap();
    let trust = &ca.issue(Role::Client, "me").unwrap().present().trust;
    let fault = |role, protocol| {
        // With a host each of them has a certificate for servers.
        let hosts = vec!["192.0.2.1".parse::<Host>().unwrap()];
        let identity = ca.issue_with(&IssueOptions { hosts, ..IssueOptions::new(role, "node-1") }).unwrap();
        let checked = trust.check(&identity.certificate(), Side::Server(protocol), UnixTime::now());
        checked.err().map(|error| CertificateFault::from_tls(&error))
    };
    let refused = Some(CertificateFault::Role);
    let of_all = |protocol| [Role::Core, Role::Relay, Role::Edge, Role::Client].map(|role| fault(role, protocol));
    assert_eq!(of_all(Protocol::FanOut), [None, None, refused, refused]);
    assert_eq!(of_all(Protocol::Core), [None, refused, refused, refused]);

    let other = Ca::create(&folder.path().join("other")).unwrap().issue(Role::Relay, "node-1").unwrap();
    let error = trust.check(&other.certificate(), Side::Server(Protocol::FanOut), UnixTime::now()).unwrap_err();
    assert_eq!(CertificateFault::from_tls(&error), CertificateFault::WrongCa);
}

#[test]
fn what_was_issued_is_remembered_and_revoked_by_name_or_serial() {
    let folder = tempfile::tempdir().unwrap();
    let ca = Ca::create(folder.path()).unwrap();
    let issue = |role, name: &str| ca.issue_with(&IssueOptions::new(role, name)).unwrap();
    let (old, new) = (issue(Role::Edge, "edge-1"), issue(Role::Edge, "edge-1"));
    let (core, _) = (issue(Role::Core, "both"), issue(Role::Edge, "both"));
    assert!(ca.revoke("nobody").is_err());
    assert!(matches!(ca.revoke("both"), Err(CaError::Ambiguous(_))));
    assert!(!folder.path().join("crl.pem").exists());

    let revoked = ca.revoke(&old.serial().to_string()).unwrap().revoked;
    assert_eq!(revoked.iter().map(|one| &one.serial).collect::<Vec<_>>(), [&old.serial()]);
    ca.revoke(&core.serial().to_string()).unwrap();

    // Another process sees the same, and does not lose what the first has revoked.
    let again = Ca::open(folder.path()).unwrap();
    let is_revoked =
        |serial| again.issued().unwrap().iter().any(|one| one.serial == serial && one.revoked_at.is_some());
    assert!(is_revoked(old.serial()) && is_revoked(core.serial()) && !is_revoked(new.serial()));
    assert_eq!(again.revoke("edge-1").unwrap().revoked.len(), 2);
    let trust = &again.issue(Role::Client, "me").unwrap().present().trust;
    for identity in [&old, &new, &core] {
        let checked = trust.check(&identity.certificate(), Side::Client, UnixTime::now()).unwrap_err();
        assert_eq!(CertificateFault::from_tls(&checked), CertificateFault::Revoked);
    }
    // So is this, for who may read the file.
    let first = ca.issued().unwrap()[0].revoked_at;
    again.revoke("edge-1").unwrap();
    assert_eq!(ca.issued().unwrap()[0].revoked_at, first);
}

#[test]
fn an_old_revocation_list_locks_nobody_out_and_lets_nobody_back_in() {
    let folder = tempfile::tempdir().unwrap();
    let ca = Ca::create(folder.path()).unwrap();
    let years = Duration::from_hours(19 * 365 * 24);
    let issue = |name: &str| ca.issue_with(&IssueOptions { valid_for: years, ..IssueOptions::new(Role::Edge, name) });
    let (good, bad) = (issue("good").unwrap(), issue("bad").unwrap());
    ca.revoke("bad").unwrap();
    let crl = std::fs::read(folder.path().join("crl.pem")).unwrap();
    let (_, pem) = x509_parser::pem::parse_x509_pem(&crl).unwrap();
    let (_, list) = x509_parser::parse_x509_crl(&pem.contents).unwrap();
    let next = u64::try_from(list.next_update().unwrap().timestamp()).unwrap();
    assert_eq!(Duration::from_secs(next), since_epoch(ca.not_after()));

    let trust = &ca.issue(Role::Client, "me").unwrap().present().trust;
    let later = UnixTime::since_unix_epoch(since_epoch(SystemTime::now()) + years - LONG);
    trust.check(&good.certificate(), Side::Client, later).unwrap();
    let error = trust.check(&bad.certificate(), Side::Client, later).unwrap_err();
    assert_eq!(CertificateFault::from_tls(&error), CertificateFault::Revoked);
}

fn is_open(connection: &Connection) -> bool {
    connection.verified.quinn.close_reason().is_none()
}

fn certificate_of(connection: &Connection) -> rustls::pki_types::CertificateDer<'static> {
    connection.verified.certificate.clone()
}

fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(std::time::UNIX_EPOCH).unwrap()
}

#[test]
fn files_that_do_not_belong_together_are_no_identity() {
    let folder = tempfile::tempdir().unwrap();
    let (ca, other) =
        (Ca::create(&folder.path().join("ca")).unwrap(), Ca::create(&folder.path().join("other")).unwrap());
    let (home, strange) = (folder.path().join("edge-1"), folder.path().join("strange"));
    other.issue_with(&IssueOptions::new(Role::Edge, "edge-2")).unwrap().save(&strange).unwrap();
    other.revoke("edge-2").unwrap();
    std::fs::copy(folder.path().join("other/crl.pem"), strange.join("crl.pem")).unwrap();
    let good = ca.issue_with(&IssueOptions::new(Role::Edge, "edge-1")).unwrap();
    for file in ["node.pem", "node.key", "ca.pem"] {
        good.save(&home).unwrap();
        Identity::load(&home).unwrap();
        std::fs::copy(strange.join(file), home.join(file)).unwrap();
        assert!(Identity::load(&home).is_err(), "{file}");
        std::fs::write(home.join(file), "-----BEGIN").unwrap();
        assert!(Identity::load(&home).is_err(), "{file}");
        std::fs::write(home.join(file), vec![b'a'; 1 << 20]).unwrap();
        assert!(Identity::load(&home).is_err(), "{file}");
    }
    good.save(&home).unwrap();
    // The list of another CA says nothing about this node, and does not keep it from its own.
    std::fs::copy(strange.join("crl.pem"), home.join("crl.pem")).unwrap();
    Identity::load(&home).unwrap();
    // Revoked itself, it still is somebody.
    ca.revoke("edge-1").unwrap();
    std::fs::copy(folder.path().join("ca/crl.pem"), home.join("crl.pem")).unwrap();
    assert!(Identity::load(&home).unwrap().is_revoked());
    assert!(!good.is_revoked());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_expired_or_is_revoked_is_refused_by_name() {
    let it = Installation::new(LONG);
    let short = it.issue("short", Duration::from_secs(1));
    let revoked = it.issue("revoked", LONG);
    it.world.ca.revoke("revoked").unwrap();
    it.copy_crl_to("core-1");
    it.until_reloaded("ok", 1).await;
    assert_eq!(
        refused(it.world.address, &revoked).await,
        NotTrusted { refusal: CertificateFault::Revoked, by_peer: true }
    );
    it.world.until_refused("revoked").await;

    until(|| short.not_after() < SystemTime::now() - Duration::from_secs(1)).await;
    assert_eq!(
        refused(it.world.address, &short).await,
        NotTrusted { refusal: CertificateFault::Expired, by_peer: true }
    );
    it.world.until_refused("expired").await;
    assert_eq!(it.world.publisher.edges(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_core_that_is_revoked_or_expired_is_not_followed() {
    let it = Installation::new(LONG);
    let edge = it.issue("edge-1", LONG);
    it.world.ca.revoke("core-1").unwrap();
    // The core does not know yet; the edge does.
    edge.save(&it.home("edge-1")).unwrap();
    it.copy_crl_to("edge-1");
    let edge = Identity::load(&it.home("edge-1")).unwrap();
    assert_eq!(
        refused(it.world.address, &edge).await,
        NotTrusted { refusal: CertificateFault::Revoked, by_peer: false }
    );

    let it = Installation::new(Duration::from_secs(1));
    let edge = it.issue("edge-1", LONG);
    until(|| it.world.ca.issued().unwrap()[0].not_after < SystemTime::now() - Duration::from_secs(1)).await;
    assert_eq!(
        refused(it.world.address, &edge).await,
        NotTrusted { refusal: CertificateFault::Expired, by_peer: false }
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn revoking_closes_a_live_connection_and_no_other() {
    let it = Installation::new(LONG);
    let (good, _sender, mut receiver) = it.subscribed(&it.issue("good", LONG)).await;
    let (bad, _bad_sender, _bad_receiver) = it.subscribed(&it.issue("bad", LONG)).await;
    it.world.ca.revoke("bad").unwrap();
    it.copy_crl_to("core-1");
    assert!(ended(&bad).await.contains("revoked"));
    it.until_closed("revoked").await;

    let next = Position { version: Version::new(1), ..origin() };
    it.world.publisher.publish(&Bytes::from_static(b"version one"), next);
    until_version_one(&mut receiver).await;
    assert!(is_open(&good));
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_the_replicated_list_names_is_cut_off_at_once_and_refused_from_then_on() {
    let it = Installation::new(LONG);
    let (good, _sender, _receiver) = it.subscribed(&it.issue("good", LONG)).await;
    let bad = it.issue("bad", LONG);
    let (cut, _bad_sender, _bad_receiver) = it.subscribed(&bad).await;
    it.core.revoke([bad.serial()].into());
    assert!(ended(&cut).await.contains("revoked"));
    assert_eq!(refused(it.world.address, &bad).await, NotTrusted { refusal: CertificateFault::Revoked, by_peer: true });

    // It stays so when something else in the identity folder changes.
    it.world.ca.issue_with(&IssueOptions::new(Role::Core, "core-1")).unwrap().save(&it.home("core-1")).unwrap();
    it.until_reloaded("ok", 1).await;
    assert_eq!(refused(it.world.address, &bad).await.refusal, CertificateFault::Revoked);
    assert!(is_open(&good));
    it.core.revoke([].into());
    it.subscribed(&bad).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_leaves_a_core_that_the_replicated_list_names() {
    let it = Installation::new(LONG);
    let edge = it.issue("edge-1", LONG);
    let endpoint = Endpoint::client(it.world.address, &edge).unwrap();
    let connection = endpoint.connect(it.world.address).await.unwrap();
    edge.revoke([it.core.serial()].into());
    ended(&connection).await;
    assert_eq!(
        refused(it.world.address, &edge).await,
        NotTrusted { refusal: CertificateFault::Revoked, by_peer: false }
    );
    // The core itself learns it in the same way.
    assert!(!it.core.is_revoked());
    it.core.revoke([it.core.serial()].into());
    assert!(it.core.is_revoked());
}

#[test]
fn only_a_list_that_the_own_ca_has_signed_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let [ca, other] = ["ca", "other"].map(|name| Ca::create(&folder.path().join(name)).unwrap());
    let issue = |ca: &Ca, role, name| ca.issue_with(&IssueOptions::new(role, name)).unwrap();
    let (core, bad) = (issue(&ca, Role::Core, "core-1"), issue(&ca, Role::Edge, "bad"));
    issue(&other, Role::Edge, "bad");
    let revoke = |ca: &Ca| std::fs::read_to_string(ca.revoke("bad").unwrap().crl).unwrap();
    let (first, foreign) = (revoke(&ca), revoke(&other));
    let list = core.read_list(&first).unwrap();
    assert_eq!(list.serials, [bad.serial()]);
    issue(&ca, Role::Core, "core-1");
    let now = SystemTime::now();
    while SystemTime::now() < now + Duration::from_millis(2) {}
    ca.revoke("core-1").unwrap();
    let later = core.read_list(&std::fs::read_to_string(folder.path().join("ca/crl.pem")).unwrap()).unwrap();
    assert!(later.number > list.number && later.serials.len() == 3, "a revoked core reads it, too: {later:?}");
    let damaged = first.replacen('M', "N", 5);
    for bad in [
        foreign.as_str(),
        "",
        "x",
        damaged.as_str(),
        &std::fs::read_to_string(folder.path().join("ca/ca.pem")).unwrap(),
    ] {
        assert!(core.read_list(bad).is_err(), "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_gone_stays_in_force() {
    let it = Installation::new(LONG);
    let bad = it.issue("bad", LONG);
    it.world.ca.revoke("bad").unwrap();
    it.copy_crl_to("core-1");
    it.until_reloaded("ok", 1).await;
    std::fs::remove_file(it.home("core-1").join("crl.pem")).unwrap();
    it.until_reloaded("ok", 2).await;
    assert_eq!(refused(it.world.address, &bad).await.refusal, CertificateFault::Revoked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_drops_no_connection_and_is_shown_to_the_next() {
    let it = Installation::new(LONG);
    let edge = it.issue("edge-1", LONG);
    let (connection, _sender, mut receiver) = it.subscribed(&edge).await;
    let before = certificate_of(&connection);
    let renewed = it.world.ca.issue_with(&IssueOptions::new(Role::Core, "core-1")).unwrap();
    renewed.save(&it.home("core-1")).unwrap();
    it.until_reloaded("ok", 1).await;
    until(|| {
        let gauge = it.metrics.not_after.with_label_values(&["core-1"]).get();
        u64::try_from(gauge).unwrap() == since_epoch(renewed.not_after()).as_secs()
    })
    .await;

    // The endpoint may be a moment behind the identity.
    let deadline = Instant::now() + PATIENCE;
    let other = it.issue("edge-2", LONG);
    while certificate_of(&it.world.connect(&other).await) != renewed.certificate() {
        assert!(Instant::now() < deadline, "the old certificate is still shown");
    }
    let next = Position { version: Version::new(1), ..origin() };
    it.world.publisher.publish(&Bytes::from_static(b"version one"), next);
    until_version_one(&mut receiver).await;
    assert!(is_open(&connection));
    assert_ne!(before, renewed.certificate());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_dials_with_its_newest_certificate() {
    let it = Installation::new(LONG);
    let home = it.home("edge-1");
    it.issue("edge-1", Duration::from_secs(1)).save(&home).unwrap();
    let identity = Identity::watch(&home, &it.metrics).unwrap();
    let endpoint = Endpoint::client(it.world.address, &identity).unwrap();
    it.issue("edge-1", LONG).save(&home).unwrap();
    it.until_reloaded("ok", 1).await;
    until(|| identity.not_after() > SystemTime::now() + LONG / 2).await;
    // The first is over now, and this endpoint was made with it.
    let connection = endpoint.connect(it.world.address).await.unwrap();
    let (mut sender, mut receiver) = connection.open().await.unwrap();
    sender.send(&subscribe("edge-1", Some(origin()))).await.unwrap();
    assert_eq!(receiver.next().await.unwrap(), Some(Frame::Stream(origin())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_expires_ends_its_connections_on_both_sides() {
    let it = Installation::new(LONG);
    let edge = it.issue("edge-1", Duration::from_secs(3));
    let (connection, _sender, _receiver) = it.subscribed(&edge).await;
    ended(&connection).await;
    // Not before its time.
    assert!(SystemTime::now() > edge.not_after());
    until(|| it.world.publisher.edges().iter().all(|edge| edge.report.link.away_since().is_some())).await;

    let it = Installation::new(Duration::from_secs(3));
    let (connection, _sender, _receiver) = it.subscribed(&it.issue("edge-1", LONG)).await;
    ended(&connection).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_or_strange_folder_changes_nothing() {
    let it = Installation::new(LONG);
    let core = it.home("core-1");
    std::fs::write(core.join("node.pem"), "half").unwrap();
    it.until_reloaded("failed", 1).await;
    it.subscribed(&it.issue("edge-1", LONG)).await;

    it.issue("edge-9", LONG).save(&core).unwrap();
    it.until_reloaded("failed", 2).await;
    it.subscribed(&it.issue("edge-2", LONG)).await;

    // Put right, it is taken over.
    it.world.ca.issue_with(&IssueOptions::new(Role::Core, "core-1")).unwrap().save(&core).unwrap();
    it.until_reloaded("ok", 1).await;
    it.subscribed(&it.issue("edge-3", LONG)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_session_outlives_the_look_at_its_certificate() {
    use rustls::client::{ClientSessionMemoryCache, ClientSessionStore as _, Resumption};

    let world = World::new();
    let edge = world.ca.issue(Role::Edge, "edge-1").unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(edge.root()).unwrap();
    let mut tls = rustls::ClientConfig::builder_with_provider(crate::trust::provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![edge.certificate()], edge.key())
        .unwrap();
    let tickets = Arc::new(ClientSessionMemoryCache::new(8));
    tls.resumption = Resumption::store(Arc::clone(&tickets) as Arc<_>);
    tls.alpn_protocols = vec![crate::protocol::Protocol::FanOut.alpn().to_vec()];
    let mut endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap())));
    let connection = endpoint.connect(world.address, "core.zonecast").unwrap().await.unwrap();
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    send.write_all(&subscribe("edge-1", Some(origin())).to_bytes()).await.unwrap();
    // A ticket comes before the answer to the first frame.
    assert!(receive.read_chunk(1024, true).await.unwrap().is_some());
    assert!(tickets.take_tls13_ticket(&"core.zonecast".try_into().unwrap()).is_none());
}

#[cfg(unix)]
#[test]
fn keys_that_others_may_read_are_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let (home, authority) = (folder.path().join("edge-1"), folder.path().join("ca"));
    Ca::create(&authority).unwrap().issue(Role::Edge, "edge-1").unwrap().save(&home).unwrap();
    for (key, mode) in [("edge-1/node.key", 0o640), ("edge-1/node.key", 0o604), ("ca/ca.key", 0o644)] {
        let key = folder.path().join(key);
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
        let refused = match Identity::load(&home) {
            Ok(_) => Ca::open(&authority).err().unwrap().to_string(),
            Err(error) => error.to_string(),
        };
        assert!(refused.contains("chmod 600") && refused.contains(key.to_str().unwrap()), "{refused}");
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    Identity::load(&home).unwrap();
    Ca::open(&authority).unwrap();
}
