//! Who may ask the API for what, over real connections: every path, every way to be refused, TLS.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::Method;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::runtime::Runtime;
use zonecast_kv_transport::{Ca, Endpoint, Role};

use super::running_core::{CoreSetup, RunningCore};
use super::{DataFolder, ports};
use crate::auth::TokenRole;
use crate::http::{May, all_routes};
use crate::metrics::MetricsRegistry;
use zonecast_api::ClientOptions;
use zonecast_api::types::{NewToken, RollbackRequest};
use zonecast_api::{Client, ClientError, Patience};
use zonecast_service::ClusterSetup;
use zonecast_service::Fault;
use zonecast_service::Secret;
use zonecast_service::ServiceSetup;
use zonecast_service::exit::{Code, Failure};
use zonecast_service::{MAX_WRITES, Service, ServiceError, Terms, Who};

/// Everything in these tests is done long before.
const DEADLINE: Duration = Duration::from_secs(30);

pub(super) const ZONE: &[u8] = b"$TTL 1h\n@ SOA ns1 hostmaster 7 2h 15m 1w 5m\n@ NS ns1\nns1 A 192.0.2.1\n";

/// A core with an API on a free port of loopback.
pub(crate) struct Api {
    runtime: Runtime,
    core: Option<RunningCore>,
    address: SocketAddr,
    folder: Arc<DataFolder>,
}

impl Api {
    pub(crate) fn start(with_tokens: bool, tls: Option<ServerConfig>) -> Self {
        let folder = Arc::new(DataFolder::temporary().unwrap());
        let runtime = Runtime::new().unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let api = Self { core: None, address: (Ipv4Addr::LOCALHOST, 0).into(), runtime, folder: Arc::clone(&folder) };
        let core = api.runtime.block_on(async {
            let ca = Ca::open_or_create(&folder.ca()).unwrap();
            let identity = ca.issue(Role::Core, "core-1").unwrap();
            let metrics = Arc::new(MetricsRegistry::new());
            let setup = CoreSetup {
                service: ServiceSetup {
                    store: folder.core(),
                    data: folder.path().to_owned(),
                    moved_from: None,
                    endpoint: Endpoint::server((Ipv4Addr::LOCALHOST, 0).into(), &identity).unwrap(),
                    identity,
                    edges: vec![],
                    cluster: ClusterSetup::default(),
                    expected: vec![],
                    edge_away: Duration::from_mins(60),
                    keep_replaced: Duration::from_mins(60),
                    verify: zonecast_service::VerifyOptions::default(),
                    first_token: with_tokens.then(|| folder.first_token()),
                    raft_log_bytes: zonecast_kv_store::RAFT_LOG_BYTES,
                    edge_snapshot_rate: None,
                    fault: Fault::new(folder.path()),
                    registry: metrics.registry().clone(),
                    started: Instant::now(),
                },
                http: ports::bind_http((Ipv4Addr::LOCALHOST, 0).into()).unwrap(),
                tls,
                metrics,
            };
            RunningCore::start(setup).await.unwrap()
        });
        Self { address: core.http(), core: Some(core), ..api }
    }

    pub(crate) fn service(&self) -> &Arc<Service> {
        self.core.as_ref().unwrap().service()
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// What `/metrics` says without a token.
    pub(crate) fn metrics(&self) -> String {
        Client::new(&format!("http://{}", self.address)).metrics().unwrap()
    }

    /// A new token, in force at once.
    fn token(&self, name: &str, role: TokenRole, zones: &[&str]) -> String {
        self.lasting(name, role, zones, None)
    }

    fn lasting(&self, name: &str, role: TokenRole, zones: &[&str], lasts_s: Option<u64>) -> String {
        let zones = zones.iter().map(|zone| (*zone).to_owned()).collect();
        let new = NewToken { name: name.into(), role, zones, lasts_s };
        self.runtime.block_on(self.service().create_token(new, &Who::default())).unwrap().token.unwrap()
    }

    fn client(&self, token: &str) -> Client {
        let options = ClientOptions::default().token(token).unwrap();
        Client::with_options(&format!("http://{}", self.address), options).unwrap()
    }

    /// Of an API without tokens.
    pub(crate) fn open_client(&self) -> Client {
        Client::new(&format!("http://{}", self.address))
    }

    /// Sends this as it is; all that comes back until the connection ends.
    pub(crate) fn say(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut heard = vec![];
        // A reset is an end, too.
        let _ = stream.read_to_end(&mut heard);
        String::from_utf8(heard).unwrap()
    }

    /// Waits until a token is known.
    fn known(&self, token: &str) -> Client {
        let client = self.client(token);
        until(|| client.status().is_ok());
        client
    }

    /// Sends a request as it is; status line, headers and body of the answer.
    fn ask(&self, method: &Method, path: &str, headers: &str) -> Answer {
        self.ask_host("127.0.0.1", method, path, headers)
    }

    fn ask_host(&self, host: &str, method: &Method, path: &str, headers: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let length = if method == Method::GET || method == Method::HEAD { "" } else { "content-length: 0\r\n" };
        write!(stream, "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{length}{headers}\r\n")
            .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let status = text.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, text }
    }

    pub(crate) fn stop(mut self) {
        let core = self.core.take().unwrap();
        self.runtime.block_on(async { core.stop_api().await.close().await });
    }
}

struct Answer {
    status: u16,
    text: String,
}

impl Answer {
    #[track_caller]
    fn assert_refused(&self, what: &str, status: u16, code: &str) {
        assert_eq!(self.status, status, "{what}: {}", self.text);
        let lower = self.text.to_lowercase();
        assert_eq!(
            lower.contains("www-authenticate: bearer realm=\"zonecast\""),
            status == 401,
            "{what}: {}",
            self.text
        );
        assert!(
            self.text.contains(&format!("{{\"error\":{{\"code\":\"{code}\",\"message\":\"")),
            "{what}: {}",
            self.text
        );
    }

    #[track_caller]
    fn assert_passed(&self, what: &str) {
        assert!(![401, 403].contains(&self.status), "{what}: {}", self.text);
    }
}

fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}\r\n")
}

/// Waits until something is so.
fn until(is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it did not happen in time");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A path that a request can have, in the zone `example.com`.
fn filled(path: &str) -> String {
    let path = path
        .replace("{zone}", "example.com")
        .replace("{name}", "www")
        .replace("{type}", "A")
        .replace("{token}", "none")
        .replace("{verification}", "0");
    let path = path.replace("{keyspace}", "rules").replace("{*key}", "a").replace("{group}", "eu");
    match path.as_str() {
        "/v1/lookup" => "/v1/lookup?name=www.example.com&at=core".into(),
        _ => path.replace("{version}", "0"),
    }
}

#[test]
fn every_path_asks_for_a_token_of_its_role_and_scope() {
    let api = Api::start(true, None);
    let expired = api.lasting("expired", TokenRole::Admin, &[], Some(0));
    let reader = api.token("reader", TokenRole::Read, &[]);
    let elsewhere = api.token("elsewhere", TokenRole::Write, &["example.net", "www.example.com"]);
    let writer = api.token("writer", TokenRole::Write, &["Example.COM."]);
    let admin = api.token("admin", TokenRole::Admin, &[]);
    api.known(&admin);
    let unknown = Secret::generate().unwrap();
    let mut kinds = BTreeSet::new();
    for (method, path, may) in all_routes() {
        let what = format!("{method} {path}");
        let path = filled(path);
        let ask = |headers: &str| api.ask(&method, &path, headers);
        kinds.insert(format!("{may:?}"));
        if may == May::Everybody {
            ask("").assert_passed(&what);
            continue;
        }
        ask("").assert_refused(&what, 401, "no_token");
        ask(&format!("authorization: Basic {admin}\r\n")).assert_refused(&what, 401, "no_token");
        ask(&[bearer(&admin), bearer(&admin)].concat()).assert_refused(&what, 401, "no_token");
        for bad in [unknown.reveal(), &expired, "x", &admin[..66]] {
            ask(&bearer(bad)).assert_refused(&what, 401, "bad_token");
        }
        ask(&bearer(&admin)).assert_passed(&what);
        if matches!(may, May::Role(TokenRole::Admin) | May::Unscoped(TokenRole::Admin)) {
            for token in [&reader, &elsewhere, &writer] {
                ask(&bearer(token)).assert_refused(&what, 403, "forbidden");
            }
            continue;
        }
        let (writes, in_zone) = match may {
            May::InZone(role) | May::Unscoped(role) => (role > TokenRole::Read, true),
            May::Role(role) => (role > TokenRole::Read, path.contains("/lookup")),
            May::AnyToken | May::Everybody => (false, false),
        };
        let read = ask(&bearer(&reader));
        let other = ask(&bearer(&elsewhere));
        if writes {
            read.assert_refused(&what, 403, "forbidden")
        } else {
            read.assert_passed(&what)
        }
        // The name that is looked up is in the scope, the zone that it lies in is not.
        if in_zone && !path.contains("/lookup") {
            other.assert_refused(&what, 403, "forbidden");
        } else {
            other.assert_passed(&what);
        }
        match may {
            // Its token is for a zone, and a keyspace is in none.
            May::Unscoped(_) => ask(&bearer(&writer)).assert_refused(&what, 403, "forbidden"),
            _ => ask(&bearer(&writer)).assert_passed(&what),
        }
    }
    assert_eq!(kinds.len(), 9, "{kinds:?}");
    api.stop();
}

/// Whoever sends a precondition wants it to count: it is looked at, or refused.
#[test]
fn no_read_ignores_a_precondition() {
    let api = Api::start(false, None);
    api.open_client().put_zone("example.com", ZONE, "x", Patience::default()).unwrap();
    let tag = |text: &str| {
        let line = text.lines().find_map(|line| line.to_lowercase().strip_prefix("etag: ").map(str::to_owned));
        line.map(|tag| tag.trim().to_owned())
    };
    let mut tagged = BTreeSet::new();
    for (method, path, _) in all_routes().into_iter().filter(|(method, ..)| method == Method::GET) {
        for method in [method, Method::HEAD] {
            let what = format!("{method} {path}");
            let ask = |headers: &str| api.ask(&method, &filled(path), headers);
            for refused in ["if-match: *", "if-match: \"1\"", "if-range: \"1\"", "if-unmodified-since: x"] {
                assert_eq!(ask(&format!("{refused}\r\n")).status, 400, "{what} {refused}");
            }
            let Some(tag) = tag(&ask("").text) else {
                for refused in ["if-none-match: *", "if-none-match: \"1-1\"", "if-modified-since: x"] {
                    assert_eq!(ask(&format!("{refused}\r\n")).status, 400, "{what} {refused}");
                }
                continue;
            };
            assert_eq!(ask(&format!("if-none-match: {tag}\r\n")).status, 304, "{what}");
            assert_eq!(ask("if-none-match: *\r\n").status, 304, "{what}");
            assert_eq!(ask("if-none-match: \"0-0\"\r\n").status, 200, "{what}");
            tagged.insert(path);
        }
    }
    assert_eq!(tagged.len(), 5, "{tagged:?}");
    api.stop();
}

/// Whoever counts on a key must not be left without it.
#[test]
fn no_write_ignores_an_idempotency_key() {
    let api = Api::start(false, None);
    for (method, path, _) in all_routes() {
        let refused = api.ask(&method, &filled(path), "idempotency-key: 1\r\n");
        let is_refused = refused.status == 400 && refused.text.contains("idempotency-key");
        assert_eq!(is_refused, method != Method::GET, "{method} {path}: {}", refused.text);
    }
    api.stop();
}

/// Else a typing mistake would be a silent no-op.
#[test]
fn no_path_ignores_a_parameter_that_it_does_not_know() {
    let api = Api::start(false, None);
    api.open_client().put_zone("example.com", ZONE, "x", Patience::default()).unwrap();
    let free = ["/healthz", "/readyz", "/metrics"];
    for (method, path, _) in all_routes().into_iter().filter(|(_, path, _)| !free.contains(path)) {
        let path = format!("{}{}no_such=1", filled(path), if filled(path).contains('?') { '&' } else { '?' });
        let answer = api.ask(&method, &path, "");
        assert!(answer.status == 400 && answer.text.matches("no_such").count() > 0, "{method} {path}: {}", answer.text);
    }
    api.stop();
}

#[test]
fn nobody_learns_without_a_token_which_paths_there_are() {
    let api = Api::start(true, None);
    let admin = api.token("admin", TokenRole::Admin, &[]);
    let client = api.known(&admin);
    for (method, path) in [
        (Method::GET, "/"),
        (Method::GET, "/v2"),
        (Method::GET, "/v1/zones/a/b/c/d/e/f"),
        (Method::PATCH, "/v1/zones"),
        (Method::DELETE, "/metrics"),
        (Method::OPTIONS, "/v1/status"),
        (Method::POST, "/healthz"),
        (Method::GET, "/healthz/"),
        (Method::GET, "//healthz"),
    ] {
        let what = format!("{method} {path}");
        api.ask(&method, path, "").assert_refused(&what, 401, "no_token");
        let status = api.ask(&method, path, &bearer(&admin)).status;
        assert!([404, 405].contains(&status), "{what}: {status}");
    }
    // HEAD is GET without the body.
    assert_eq!(api.ask(&Method::HEAD, "/v1/status", "").status, 401);
    assert_eq!(api.ask(&Method::HEAD, "/v1/status", &bearer(&admin)).status, 200);
    api.ask(&Method::GET, &format!("/v1/status?access_token={admin}"), "").assert_refused("query", 401, "no_token");
    let metrics = client.metrics().unwrap();
    assert!(metrics.contains("zonecast_api_refused_total{reason=\"no_token\"} 11"), "{metrics}");
    assert!(metrics.contains("zonecast_api_refused_total{reason=\"forbidden\"} 0"), "{metrics}");
    api.stop();
}

#[test]
fn a_scope_holds_however_the_zone_is_written() {
    let api = Api::start(true, None);
    let admin = api.token("admin", TokenRole::Admin, &[]);
    let writer = api.token("writer", TokenRole::Write, &["example.com"]);
    api.known(&admin);
    for inside in ["example.com", "example.com.", "EXAMPLE.com", "ex%61mple.com", "a.b.example.com", "%2a.example.com"]
    {
        let path = format!("/v1/zones/{inside}");
        assert_eq!(api.ask(&Method::GET, &path, &bearer(&writer)).status, 404, "{inside}");
    }
    for outside in
        ["@", "com", "example.net", "xexample.com", "example.com.net", "x%5C.example.com", "example.com%2enet"]
    {
        let path = format!("/v1/zones/{outside}");
        api.ask(&Method::GET, &path, &bearer(&writer)).assert_refused(outside, 403, "forbidden");
        assert_eq!(api.ask(&Method::GET, &path, &bearer(&admin)).status, 404, "{outside}");
    }
    let nonsense = api.ask(&Method::GET, "/v1/zones/a..b", &bearer(&writer));
    assert_eq!(nonsense.status, 400, "{}", nonsense.text);
    api.stop();
}

#[test]
fn a_scope_shows_its_zones_only() {
    let api = Api::start(true, None);
    let admin = api.token("admin", TokenRole::Admin, &[]);
    let scoped = api.token("scoped", TokenRole::Write, &["b.test", "d.test", "www.e.test"]);
    let scoped = api.known(&scoped);
    let admin = api.client(&admin);
    let put = |client: &Client, zone: &str| client.put_zone(zone, ZONE, "x", Patience::default()).map(|_| ());
    for zone in ["a.test", "b.test", "c.test", "e.test", "test"] {
        put(&admin, zone).unwrap();
    }
    for zone in ["y.b.test", "x.b.test", "d.test"] {
        put(&scoped, zone).unwrap();
    }
    assert!(matches!(put(&scoped, "bb.test"), Err(ClientError::Refused { status: 403, .. })));
    let names = |client: &Client, after: Option<&str>| -> Vec<String> {
        client.zones(after).unwrap().zones.into_iter().map(|zone| zone.zone).collect()
    };
    let all = ["test.", "a.test.", "b.test.", "x.b.test.", "y.b.test.", "c.test.", "d.test.", "e.test."];
    assert_eq!(names(&admin, None), all);
    let own = ["b.test.", "x.b.test.", "y.b.test.", "d.test."];
    assert_eq!(names(&scoped, None), own);
    // Whatever the page begins after, in the scope or not: what follows in the order of all.
    for (at, after) in all.iter().enumerate() {
        let rest: Vec<_> = all[at + 1..].iter().filter(|zone| own.contains(zone)).copied().collect();
        assert_eq!(names(&scoped, Some(after)), rest, "after {after}");
    }
    let forbidden = |name: &str| match scoped.lookup(name, None, Some("core")) {
        Err(ClientError::Refused { status, .. }) => status == 403,
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!(scoped.lookup("ns1.b.test", None, Some("core")).unwrap().zone.as_deref(), Some("b.test."));
    assert!(scoped.lookup("z.d.test", None, Some("core")).unwrap().entries.is_empty());
    assert!(forbidden("ns1.a.test"));
    // It lies in e.test, which the scope does not hold.
    assert!(forbidden("www.e.test"));
    api.stop();
}

#[test]
fn pages_of_a_scope_fit_together() {
    let api = Api::start(true, None);
    let scoped = api.token("scoped", TokenRole::Write, &["b.test", "d.test"]);
    let client = api.known(&scoped);
    for zone in ["b.test", "x.b.test", "d.test"] {
        client.put_zone(zone, ZONE, "x", Patience::default()).unwrap();
    }
    let page = |query: &str| {
        let answer = api.ask(&Method::GET, &format!("/v1/zones?limit=1{query}"), &bearer(&scoped));
        let body = answer.text.split_once("\r\n\r\n").unwrap().1;
        let page: zonecast_api::types::ZonePage = serde_json::from_str(body).unwrap();
        (page.zones[0].zone.clone(), page.next)
    };
    assert_eq!(page(""), ("b.test.".into(), Some("b.test.".into())));
    assert_eq!(page("&after=b.test."), ("x.b.test.".into(), Some("x.b.test.".into())));
    assert_eq!(page("&after=x.b.test."), ("d.test.".into(), None));
    api.stop();
}

#[test]
fn deleted_zones_come_in_pages() {
    let api = Api::start(true, None);
    let (admin, scoped) =
        (api.token("admin", TokenRole::Admin, &[]), api.token("scoped", TokenRole::Read, &["b.test"]));
    let client = api.known(&admin);
    for zone in ["a.test", "b.test", "b.test", "x.b.test", "c.test"] {
        client.put_zone(zone, ZONE, "x", Patience::default()).unwrap();
        client.delete_zone(zone, true, Patience::default()).unwrap();
    }
    let page = |token: &str, query: &str| {
        let answer = api.ask(&Method::GET, &format!("/v1/deleted-zones?limit=1{query}"), &bearer(token));
        let body = answer.text.split_once("\r\n\r\n").unwrap().1;
        let page: zonecast_api::types::DeletedZones = serde_json::from_str(body).unwrap();
        (page.zones.into_iter().map(|zone| zone.zone).collect::<Vec<_>>(), page.next)
    };
    let (a, b, x, c) = ("a.test.", "b.test.", "x.b.test.", "c.test.");
    let next = |name: &str| Some(name.to_owned());
    assert_eq!(page(&admin, ""), (vec![a.into()], next(a)));
    assert_eq!(page(&admin, "&after=a.test"), (vec![b.into(), b.into()], next(b)), "two of one name stay together");
    assert_eq!(page(&admin, "&after=b.test"), (vec![x.into()], next(x)));
    assert_eq!(page(&admin, "&after=x.b.test"), (vec![c.into()], None));
    assert_eq!(page(&scoped, ""), (vec![b.into(), b.into()], next(b)));
    assert_eq!(page(&scoped, "&after=b.test"), (vec![x.into()], None));
    api.stop();
}

#[test]
fn a_token_is_good_from_when_it_is_made_until_it_is_revoked_without_a_restart() {
    let api = Api::start(true, None);
    let token = api.token("new", TokenRole::Read, &[]);
    let client = api.known(&token);
    let first = std::fs::read_to_string(api.folder.first_token()).unwrap();
    api.known(first.trim()).revoke_token("new").unwrap();
    assert!(matches!(client.status(), Err(ClientError::Refused { status: 401, .. })));
    api.stop();
}

#[test]
fn where_no_tokens_are_asked_for_everybody_passes() {
    let api = Api::start(false, None);
    for (method, path, _) in all_routes() {
        api.ask(&method, &filled(path), "").assert_passed(path);
    }
    api.stop();
}

#[test]
fn a_large_zone_without_a_token_is_refused_and_not_a_broken_connection() {
    let api = Api::start(true, None);
    let client = api.open_client();
    let large = vec![b'\n'; 32 * 1024 * 1024];
    let refused = client.put_zone("example.com", &large, "x", Patience::default()).unwrap_err();
    assert!(matches!(refused, ClientError::Refused { status: 401, .. }), "{refused}");
    api.stop();
}

/// A CA of these tests, and what it signs.
struct Signer {
    issuer: Issuer<'static, KeyPair>,
    root: String,
}

impl Signer {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), root }
    }

    fn server(&self, host: &str) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([host.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap()
    }

    fn save(&self, folder: &Path) -> PathBuf {
        let path = folder.join("root.pem");
        std::fs::write(&path, &self.root).unwrap();
        path
    }
}

fn over_tls(address: &str, ca: &Path, token: &str) -> Client {
    let options = ClientOptions::default().token(token).unwrap().ca_file(ca).unwrap();
    Client::with_options(&format!("https://{address}"), options).unwrap()
}

#[test]
fn over_tls_a_client_trusts_its_ca_and_the_host_and_nobody_else() {
    let signer = Signer::new("good");
    let api = Api::start(true, Some(signer.server("127.0.0.1")));
    let admin = api.token("admin", TokenRole::Admin, &[]);
    let other = tempfile::tempdir().unwrap();
    let (good, wrong) = (signer.save(api.folder.path()), Signer::new("wrong").save(other.path()));
    let (address, port) = (api.address.to_string(), api.address.port());
    let client = over_tls(&address, &good, &admin);
    until(|| client.status().is_ok());
    client.put_zone("example.com", ZONE, "x", Patience::default()).unwrap();
    let untrusted = |client: Client| match client.status() {
        Err(ClientError::Untrusted { reason, .. }) => reason,
        other => panic!("{other:?}"),
    };
    assert!(untrusted(over_tls(&address, &wrong, &admin)).contains("UnknownIssuer"));
    let reason = untrusted(over_tls(&format!("localhost:{port}"), &good, &admin));
    assert!(reason.contains("not valid for name"), "{reason}");
    // Without a CA nobody is trusted, whoever signed.
    assert!(untrusted(Client::new(&format!("https://{address}"))).contains("UnknownIssuer"));
    client.status().unwrap();
    api.stop();
}

#[test]
fn plain_http_at_a_port_that_speaks_tls_is_told_so_and_nothing_is_called_unknown() {
    let signer = Signer::new("good");
    let api = Api::start(true, Some(signer.server("127.0.0.1")));
    let admin = api.token("admin", TokenRole::Admin, &[]);
    let client = api.client(&admin);
    let outcomes = [
        client.status().map(drop),
        client.export_zone("example.com").map(drop),
        client.put_zone("example.com", ZONE, "x", Patience::default()).map(drop),
        client.delete_zone("example.com", false, Patience::default()).map(drop),
    ];
    for (number, outcome) in outcomes.into_iter().enumerate() {
        let error = outcome.unwrap_err();
        assert!(matches!(error, ClientError::SpeaksTls { .. }), "{number}: {error:?}");
        let failure = Failure::from(error);
        assert_eq!(failure.code, Code::Usage);
        assert!(failure.message.contains("speaks TLS: use `https://`"), "{failure}");
    }
    api.stop();
}

#[test]
fn tls_at_a_port_without_it_is_told_so() {
    let signer = Signer::new("good");
    let api = Api::start(false, None);
    let ca = signer.save(api.folder.path());
    let client = over_tls(&api.address.to_string(), &ca, "zc_x");
    let write = client.delete_zone("example.com", false, Patience::default()).map(drop);
    for outcome in [client.status().map(drop), write] {
        let error = outcome.unwrap_err();
        assert!(matches!(error, ClientError::SpeaksNoTls { .. }), "{error}");
        let failure = Failure::from(error);
        assert_eq!(failure.code, Code::Usage);
        assert!(failure.message.contains("does not speak TLS: use `http://`"), "{failure}");
    }
    api.stop();
}

#[test]
fn connections_that_never_get_to_tls_keep_nobody_waiting() {
    let signer = Signer::new("good");
    let api = Api::start(false, Some(signer.server("127.0.0.1")));
    let ca = signer.save(api.folder.path());
    let idle: Vec<TcpStream> = (0..400).map(|_| TcpStream::connect(api.address).unwrap()).collect();
    for (number, mut stream) in idle.iter().enumerate() {
        // Half of them say something that is not TLS, or the beginning of it.
        let _ = stream.write_all(if number % 2 == 0 { b"\x16\x03\x01\x02\x00" } else { b"GET / HTTP/1.1\r\n\r\n" });
    }
    let client = over_tls(&api.address.to_string(), &ca, "zc_x");
    assert_eq!(client.status().unwrap().zones, 0);
    drop(idle);
    api.stop();
}

#[test]
fn without_tokens_pages_of_other_sites_are_refused_and_with_them_the_token_decides() {
    let api = Api::start(false, None);
    for foreign in ["origin: https://evil.example\r\n", "sec-fetch-site: cross-site\r\n"] {
        api.ask(&Method::GET, "/v1/status", foreign).assert_refused(foreign, 403, "foreign");
        api.ask(&Method::GET, "/metrics", foreign).assert_refused(foreign, 403, "foreign");
        api.ask(&Method::DELETE, "/v1/zones/example.com", foreign).assert_refused(foreign, 403, "foreign");
        api.ask(&Method::GET, "/healthz", foreign).assert_passed(foreign);
    }
    let rebound = api.ask_host("evil.example", &Method::GET, "/v1/status", "");
    rebound.assert_refused("Host", 403, "foreign");
    api.stop();

    let api = Api::start(true, None);
    let token = api.token("reader", TokenRole::Read, &[]);
    api.known(&token);
    let asked = api.ask_host("core.example", &Method::GET, "/v1/status", &bearer(&token));
    assert_eq!(asked.status, 200, "{}", asked.text);
    api.stop();
}

/// A write goes on when whoever asked for it is gone, so it keeps its place: else there would be no end to them. Those of
/// one name leave places for others.
#[test]
fn writes_whose_clients_are_gone_count_until_they_end() {
    let api = Api::start(false, None);
    let client = api.open_client();
    client.put_zone("a.test", ZONE, "x", Patience::default()).unwrap();
    let delete = || client.delete_zone("not-here.test", true, Patience::default()).unwrap_err();
    let is_busy = |error: &ClientError| matches!(error, ClientError::Refused { status: 429, .. });
    assert!(matches!(delete(), ClientError::Refused { status: 404, .. }));

    // Each waits for a record change that does not end.
    let service = api.service();
    let changing = |number: usize| service.locks().change(format!("z{number}.test").parse().unwrap()).unwrap();
    let guards: Vec<_> = (0..MAX_WRITES).map(changing).collect();
    let begin = |number: usize, name: &str| {
        let (service, zone) = (Arc::clone(service), format!("z{number}.test").parse().unwrap());
        let terms = Terms { who: Who::Token(name.into()), ..Terms::default() };
        api.runtime.spawn(async move { service.delete_zone(zone, true, terms).await })
    };
    let mut waiting: Vec<_> = (0..MAX_WRITES / 2).map(|number| begin(number, "greedy")).collect();
    // Who asks meanwhile could take a place from one of them.
    until(|| service.writes_under_way() == MAX_WRITES / 2);
    assert!(matches!(api.runtime.block_on(begin(0, "greedy")).unwrap(), Err(ServiceError::Overloaded)));
    assert!(matches!(delete(), ClientError::Refused { status: 404, .. }), "it has half of the places, and no more");

    waiting.extend((MAX_WRITES / 2..MAX_WRITES).map(|number| begin(number, &format!("name-{number}"))));
    until(|| service.writes_under_way() == MAX_WRITES);
    assert!(is_busy(&delete()));
    waiting.iter().for_each(|waiting| waiting.abort());
    for waiting in waiting {
        assert!(api.runtime.block_on(waiting).unwrap_err().is_cancelled());
    }
    assert!(is_busy(&delete()), "they are gone, and their writes are not");
    assert!(client.zone("a.test").is_ok(), "who reads is not kept out");
    drop(guards);
    until(|| matches!(delete(), ClientError::Refused { status: 404, .. }));
    client.delete_zone("a.test", true, Patience::default()).unwrap();
    api.stop();
}

/// Begins an upload and says when its body is wanted: from then on it holds one of the places.
struct Upload(TcpStream);

impl Upload {
    fn begin(api: &Api, token: &str, zone: &str) -> Self {
        let mut stream = TcpStream::connect(api.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let (token, length) = (bearer(token), ZONE.len());
        write!(
            stream,
            "PUT /v1/zones/{zone} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n{token}\
             expect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
        )
        .unwrap();
        Self(stream)
    }

    #[track_caller]
    fn is_wanted(&mut self) {
        const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
        let mut heard = [0; CONTINUE.len()];
        self.0.read_exact(&mut heard).expect("its turn does not come");
        assert_eq!(heard, CONTINUE);
    }

    fn end(mut self) {
        self.0.write_all(ZONE).unwrap();
        let mut text = String::new();
        self.0.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    }
}

#[test]
fn uploads_of_one_token_do_not_keep_out_another_and_who_waits_keeps_its_turn() {
    let api = Api::start(true, None);
    let (greedy, modest) = (api.token("greedy", TokenRole::Write, &[]), api.token("modest", TokenRole::Write, &[]));
    api.known(&modest);
    let [mut one, mut two] = ["1.test", "2.test"].map(|zone| Upload::begin(&api, &greedy, zone));
    one.is_wanted();
    two.is_wanted();
    let mut waits = ["3.test", "4.test"].map(|zone| Upload::begin(&api, &greedy, zone));
    for zone in ["5.test", "6.test"] {
        let mut other = Upload::begin(&api, &modest, zone);
        other.is_wanted();
        other.end();
    }
    one.end();
    // Whichever came first; both were there before.
    let [three, four] = &mut waits;
    let mut other = Upload::begin(&api, &modest, "7.test");
    other.is_wanted();
    other.end();
    two.end();
    three.is_wanted();
    four.is_wanted();
    waits.into_iter().for_each(Upload::end);
    api.stop();
}

#[test]
fn a_zone_that_is_replaced_is_busy_and_others_are_not() {
    let api = Api::start(false, None);
    let client = api.open_client();
    for zone in ["a.test", "b.test"] {
        client.put_zone(zone, ZONE, "x", Patience::default()).unwrap();
    }
    let replacing = api.runtime.block_on(api.service().locks().replace("a.test".parse().unwrap())).unwrap();
    let code = |result: Result<zonecast_api::types::Written, ClientError>| match result {
        Err(ClientError::Refused { status, detail }) => (status, detail.code),
        other => panic!("{other:?}"),
    };
    let busy = (503, "busy".to_owned());
    assert_eq!(code(client.put_zone("a.test", ZONE, "x", Patience::default())), busy);
    assert_eq!(code(client.delete_zone("a.test", true, Patience::default())), busy);
    assert_eq!(
        code(client.roll_back("a.test", &RollbackRequest { to: Some(0), undo: None }, Patience::default())),
        busy
    );
    client.delete_zone("b.test", true, Patience::default()).unwrap();
    drop(replacing);
    client.delete_zone("a.test", true, Patience::default()).unwrap();
    api.stop();
}
