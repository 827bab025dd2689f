//! Each way to embed an edge, run as its users would and asked with `dig`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that finds something missing has failed")]

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use zonecast_tests::{Child, Node, System, c_library, free_port, poll_until, run};

/// Everything in these tests is there long before.
const DEADLINE: Duration = Duration::from_secs(60);

const ZONE: &str = "$TTL 300
@ SOA ns admin 1 2 3 4 5
@ NS ns
@ MX 10 www
ns A 192.0.2.53
www A 192.0.2.10
www AAAA 2001:db8::10
*.wild TXT \"made by a wildcard\"
alias CNAME www
sub NS ns.sub
ns.sub A 192.0.2.54
many TXT AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA1
many TXT AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA2
many TXT AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA3
many TXT AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA4
many TXT AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA5
";

fn dig(port: u16, arguments: &[&str]) -> String {
    let port = port.to_string();
    let fixed = ["@127.0.0.1", "-p", &port, "+tries=1", "+time=2", "+norecurse"];
    let output = Command::new("dig").args(fixed).args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A core that serves the zone, and certificates for edges that are not started.
fn core(edges: usize) -> System {
    let mut system = System::new(edges).unwrap();
    let zones = system.folder().join("zones");
    std::fs::create_dir(&zones).unwrap();
    std::fs::write(zones.join("example.com.zone"), ZONE).unwrap();
    system.core.zones = Some(zones);
    system.core.start_ready().unwrap();
    system
}

/// A program around the edge of a node, which is not running itself.
struct Server {
    port: u16,
    log: PathBuf,
    _child: Child,
}

impl Server {
    fn start(program: &Path, node: &Node, listen: &str, port: u16) -> Self {
        let log = node.identity.with_file_name("embedded.log");
        let output = OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let upstream = node.upstreams[0].to_string();
        let child = Child::spawn(program, |command| {
            command.arg(&node.identity).arg(&upstream).arg(&node.data).arg(listen);
            command.stdout(output.try_clone().unwrap()).stderr(output);
        });
        Self { port, log, _child: child.unwrap() }
    }

    fn at_port(program: &Path, node: &Node) -> Self {
        let port = free_port();
        Self::start(program, node, &format!("127.0.0.1:{port}"), port)
    }

    /// Waits until `dig` prints something.
    fn says(&self, arguments: &[&str], wanted: &str) -> String {
        let mut last = String::new();
        let said = poll_until(Instant::now() + DEADLINE, || {
            last = dig(self.port, arguments);
            last.contains(wanted).then(|| last.clone())
        });
        said.unwrap_or_else(|| panic!("no {wanted:?} in {last}\n{}", std::fs::read_to_string(&self.log).unwrap()))
    }
}

/// What every server must answer, over UDP.
fn answers(server: &Server) {
    server.says(&["www.example.com"], "192.0.2.10");
    let www = dig(server.port, &["WWW.example.com", "AAAA"]);
    assert!(www.contains("2001:db8::10") && www.contains("flags: qr aa"), "{www}");
    assert!(dig(server.port, &["alias.example.com"]).contains("192.0.2.10"), "the end of a chain");
    assert!(dig(server.port, &["x.wild.example.com", "TXT"]).contains("made by a wildcard"));
    let missing = dig(server.port, &["missing.example.com"]);
    assert!(missing.contains("NXDOMAIN") && missing.contains("SOA"), "{missing}");
    let nodata = dig(server.port, &["ns.example.com", "MX"]);
    assert!(nodata.contains("NOERROR") && nodata.contains("ANSWER: 0") && nodata.contains("SOA"), "{nodata}");
    let referral = dig(server.port, &["host.sub.example.com"]);
    assert!(referral.contains("ns.sub.example.com.") && referral.contains("192.0.2.54"), "{referral}");
    assert!(dig(server.port, &["example.org"]).contains("REFUSED"));
}

/// Over both, where the server has both: what does not fit a datagram is there over TCP.
fn truncates(server: &Server) {
    let cut = dig(server.port, &["+noedns", "+ignore", "many.example.com", "TXT"]);
    assert!(cut.contains("qr aa tc"), "{cut}");
    let whole = dig(server.port, &["+tcp", "many.example.com", "TXT"]);
    assert!(whole.contains("ANSWER: 5"), "{whole}");
}

/// A change is live everywhere moments later.
fn changes(system: &System, servers: &[&Server]) {
    let core = format!("http://{}", system.core.http);
    run(&["--core", &core, "record", "set", "example.com", "www", "A", "192.0.2.99"]).unwrap();
    servers.iter().for_each(|server| drop(server.says(&["www.example.com"], "192.0.2.99")));
}

#[test]
fn servers_in_rust_answer_from_an_edge() {
    let system = core(2);
    let domain = Server::at_port(env!("CARGO_BIN_EXE_domain_service").as_ref(), &system.edges[0]);
    let hickory = Server::at_port(env!("CARGO_BIN_EXE_hickory_service").as_ref(), &system.edges[1]);
    for server in [&domain, &hickory] {
        answers(server);
        truncates(server);
        assert!(dig(server.port, &["www.example.com"]).contains("EDNS: version: 0"));
    }
    changes(&system, &[&domain, &hickory]);
}

#[test]
fn a_server_in_c_answers_from_an_edge() {
    let system = core(1);
    let library = c_library().unwrap();
    let (libraries, program) = (library.parent().unwrap(), system.folder().join("serve"));
    let c = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("c");
    let mut compiler = Command::new("cc");
    compiler.args(["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-o"]).arg(&program);
    compiler.arg(c.join("example/serve.c")).arg("-I").arg(c.join("include"));
    compiler.arg("-L").arg(libraries).arg("-lzonecast_c").arg(format!("-Wl,-rpath,{}", libraries.display()));
    let output = compiler.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let port = free_port();
    let server = Server::start(&program, &system.edges[0], &port.to_string(), port);
    answers(&server);
    let cut = dig(port, &["+noedns", "+ignore", "many.example.com", "TXT"]);
    assert!(cut.contains("qr aa tc"), "{cut}");
    changes(&system, &[&server]);

    // What cannot be opened says why.
    let nowhere = Command::new(&program).args(["/nowhere", "127.0.0.1:1", "/nowhere", "1"]).output().unwrap();
    assert_eq!(nowhere.status.code(), Some(1));
    let said = String::from_utf8_lossy(&nowhere.stderr);
    assert!(said.contains("cannot be opened: identity"), "{said}");
}

#[test]
fn powerdns_answers_from_an_edge() {
    let system = core(1);
    let socket = system.folder().join("remote.sock");
    let listen = socket.to_str().unwrap();
    let port = free_port();
    let backend = Server::start(env!("CARGO_BIN_EXE_powerdns_remote").as_ref(), &system.edges[0], listen, port);
    let there = poll_until(Instant::now() + DEADLINE, || socket.exists().then_some(()));
    assert!(there.is_some(), "{}", std::fs::read_to_string(&backend.log).unwrap());
    let log = OpenOptions::new().append(true).open(&backend.log).unwrap();
    let _powerdns = Child::spawn("pdns_server".as_ref(), |command| {
        command.args(["--no-config", "--launch=remote", "--daemon=no", "--guardian=no", "--local-address=127.0.0.1"]);
        command.args([
            "--zone-cache-refresh-interval=0",
            "--cache-ttl=0",
            "--query-cache-ttl=0",
            "--negquery-cache-ttl=0",
        ]);
        command.arg(format!("--local-port={port}")).arg(format!("--remote-connection-string=unix:path={listen}"));
        command.arg(format!("--socket-dir={}", system.folder().display()));
        command.stdout(log.try_clone().unwrap()).stderr(log);
    });
    answers(&backend);
    truncates(&backend);
    changes(&system, &[&backend]);
}
