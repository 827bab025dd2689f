//! `zonecast doctor` on real processes: all is well, then one thing after the other is broken for real.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use zonecast_api::{Client, Patience, WaitFor};
use zonecast_kv_transport::{Ca, IssueOptions, Role};

/// Everything here is done long before.
const DEADLINE: Duration = Duration::from_secs(60);

/// Between two looks.
const STEP: Duration = Duration::from_millis(100);

/// A process that does not outlive the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A core and an edge with configurations, certificates and ports of their own.
struct World {
    ca: Ca,
    core_http: SocketAddr,
    edge_dns: SocketAddr,
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca = Ca::create(&folder.path().join("ca")).unwrap();
        // All of them at once, so that no two are the same.
        let held: Vec<TcpListener> = (0..4).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).collect();
        let ports: Vec<SocketAddr> = held.iter().map(|held| held.local_addr().unwrap()).collect();
        let world = Self { ca, core_http: ports[0], edge_dns: ports[3], folder };
        let (core_http, edge_http, quic, dns) = (ports[0], ports[1], ports[2], ports[3]);
        world.write("core", &format!("quic = \"{quic}\"\nedges = [\"edge\"]\n[http]\nlisten = \"{core_http}\"\n"));
        let edge = format!("upstreams = [\"{quic}\"]\ndns = [\"{dns}\"]\n[http]\nlisten = \"{edge_http}\"\n");
        world.write("edge", &edge);
        world.issue("core", Role::Core, None);
        world.issue("edge", Role::Edge, None);
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, role: &str, rest: &str) {
        let (data, identity) = (self.path(&format!("{role}-data")), self.path(&format!("{role}-identity")));
        let text =
            format!("role = \"{role}\"\ndata = \"{}\"\nidentity = \"{}\"\n{rest}", data.display(), identity.display());
        std::fs::write(self.path(&format!("{role}.toml")), text).unwrap();
    }

    fn issue(&self, name: &str, role: Role, valid_for: Option<Duration>) {
        let options = IssueOptions::new(role, name);
        let options = IssueOptions { valid_for: valid_for.unwrap_or(options.valid_for), ..options };
        self.ca.issue_with(&options).unwrap().save(&self.path(&format!("{name}-identity"))).unwrap();
    }

    fn start(&self, role: &str) -> Running {
        let log = std::fs::File::create(self.path(&format!("{role}.log"))).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_zonecast"));
        command.args([role, "--die-with", &std::process::id().to_string(), "--config"]);
        command.arg(self.path(&format!("{role}.toml")));
        Running(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap())
    }

    /// Exit code and report of the doctor about both configurations.
    fn examine(&self) -> (i32, Value) {
        let (core, edge) = (self.path("core.toml"), self.path("edge.toml"));
        let output = Command::new(env!("CARGO_BIN_EXE_zonecast"))
            .args(["doctor", "--json", "--config"])
            .args([core.as_path(), Path::new("--config"), edge.as_path()])
            .env_remove("ZONECAST_CORE")
            .output()
            .unwrap();
        let report = serde_json::from_slice(&output.stdout);
        let said = String::from_utf8_lossy(&output.stderr);
        (output.status.code().unwrap(), report.unwrap_or_else(|error| panic!("{error}: {output:?}: {said}")))
    }

    /// Examines until there is a finding with these words that `severity` says.
    fn wait_for(&self, severity: &str, node: &str, check: &str, words: &str) -> (i32, Value) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let (code, report) = self.examine();
            let has = |finding: &&Value| {
                let is = |field: &str, text: &str| finding[field] == text;
                let message = finding["message"].as_str().unwrap();
                is("severity", severity) && is("node", node) && is("check", check) && message.contains(words)
            };
            if report["findings"].as_array().unwrap().iter().any(|finding| has(&finding)) {
                return (code, report);
            }
            let log = std::fs::read_to_string(self.path("edge.log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "no {severity} {node} {check} {words:?}: {report:#}\n{log}");
            std::thread::park_timeout(STEP);
        }
    }

    /// Examines until nothing is an error.
    fn wait_healthy(&self) -> Value {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let (code, report) = self.examine();
            assert_eq!(code == 0, report["healthy"].as_bool().unwrap(), "{report:#}");
            if code == 0 {
                return report;
            }
            assert!(Instant::now() < deadline, "not healthy: {report:#}");
            std::thread::park_timeout(STEP);
        }
    }

    fn make_zone(&self) {
        let client = Client::new(&format!("http://{}", self.core_http));
        let all = Patience { wait: Some(WaitFor::All), timeout: DEADLINE };
        let written = client.put_zone("example.com", super::ZONE.as_bytes(), "file", all).unwrap();
        assert!(written.receipt.unwrap().reached);
    }
}

#[test]
fn the_doctor_finds_what_was_broken() {
    let world = World::new();
    let (code, _) = world.wait_for("error", "core", "process", "does not run");
    assert_eq!(code, 1);

    let core = world.start("core");
    world.wait_for("ok", "core", "answer", "answers");
    world.wait_for("error", "edge", "connected", "has not connected");
    let edge = world.start("edge");
    world.wait_for("ok", "edge", "answer", "answers");
    world.make_zone();
    let report = world.wait_healthy();
    let ok = |check: &str, words: &str| {
        let findings = report["findings"].as_array().unwrap().iter();
        let mut of_check = findings.filter(|finding| finding["check"] == check && finding["severity"] == "ok");
        let found = of_check.any(|finding| finding["message"].as_str().unwrap().contains(words));
        assert!(found, "{check} {words}: {report:#}");
    };
    let dns = world.edge_dns;
    for (check, words) in [
        ("dns", format!("{dns} over UDP answers for example.com.")),
        ("dns", format!("{dns} over TCP answers for example.com.")),
        ("port", format!("DNS on {dns} over UDP")),
        ("chain", "equal".into()),
        ("connected", "to the core".into()),
        ("release", "everywhere".into()),
        ("clock", "the clock here".into()),
        ("identity", "for its owner only".into()),
    ] {
        ok(check, &words);
    }

    let key = world.path("edge-identity/node.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(world.wait_for("error", "edge", "identity", "mode 644").0, 1);
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();

    world.issue("edge", Role::Edge, Some(Duration::from_secs(1)));
    assert_eq!(world.wait_for("error", "edge", "certificate", "expired").0, 1);
    world.issue("edge", Role::Edge, None);
    world.wait_healthy();

    drop(edge);
    assert_eq!(world.wait_for("error", "edge", "process", "does not run").0, 1);
    world.wait_for("error", "edge", "connected", "not connected");

    // Another store under the same name and certificates.
    drop(core);
    std::fs::remove_dir_all(world.path("core-data")).unwrap();
    let _core = world.start("core");
    let _edge = world.start("edge");
    assert_eq!(world.wait_for("error", "edge", "store", "copy of store").0, 1);
    world.wait_for("error", "edge", "following", "no core");
    assert_eq!(super::ask(dns, "www.example.com", domain::base::iana::Rtype::A).1, ["192.0.2.10"], "it answers on");
}
