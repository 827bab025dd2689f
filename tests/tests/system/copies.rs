//! The copy of an edge, whatever has become of it: an edge serves what it has, and fetches by itself what it has not.

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use domain::base::iana::{OptRcode, Rtype};
use zonecast_tests::{Node, System, poll_until};

use crate::api::{DEADLINE, addresses, ask};
use crate::http::Http;

const ZONE: &str =
    "@ 300 SOA ns hostmaster 1 7200 3600 1209600 60\n@ 300 NS ns\nns 300 A 192.0.2.53\nwww 60 A 192.0.2.1\n";

/// `www.one.test A` with an OPT record, so that an answer may say why (RFC 8914).
const QUERY: &[u8] = b"\x12\x34\0\0\0\x01\0\0\0\0\0\x01\x03www\x03one\x04test\0\0\x01\0\x01\
    \0\0\x29\x04\xd0\0\0\0\0\0\0";

/// Option EDE with info code 14, Not Ready, and no text.
pub(crate) const NOT_READY: &[u8] = b"\0\x0f\0\x02\0\x0e";

fn over_udp(server: SocketAddr) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket.send_to(QUERY, server).unwrap();
    let mut answer = vec![0; 2048];
    let length = socket.recv(&mut answer).expect("silence over UDP");
    answer.truncate(length);
    answer
}

fn over_tcp(server: SocketAddr) -> Vec<u8> {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(&[&u16::try_from(QUERY.len()).unwrap().to_be_bytes(), QUERY].concat()).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).expect("silence over TCP");
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer).unwrap();
    answer
}

fn holds(answer: &[u8], part: &[u8]) -> bool {
    answer.windows(part.len()).any(|window| window == part)
}

/// A core with the zone and an edge that has it, in table files: what its log held is put there by a start.
fn system() -> System {
    let mut system = System::start(1).unwrap();
    let core = Http::new(system.core.http);
    assert_eq!(core.call("PUT", "/v1/zones/one.test?wait=all", Some(ZONE)).unwrap().0, 200);
    assert!(system.edges[0].stop().unwrap().success());
    system.edges[0].start_ready().unwrap();
    system
}

#[test]
fn an_edge_that_holds_nothing_says_so_at_once_over_udp_and_tcp() {
    let mut system = System::new(1).unwrap();
    let edge = &mut system.edges[0];
    edge.start().unwrap();
    Http::new(edge.http).wait_status(edge, "up", |status| status["ready"] == false);
    for answer in [over_udp(edge.service), over_tcp(edge.service)] {
        assert_eq!(OptRcode::from_rcode(domain::base::iana::Rcode::REFUSED).to_int(), u16::from(answer[3] & 15));
        assert!(holds(&answer, NOT_READY), "{answer:?}");
    }
    assert_eq!(Http::new(edge.http).metric("zonecast_ready "), Some(0.0));
    system.core.start_ready().unwrap();
    system.edges[0].wait_ready().unwrap();
    assert_eq!(Http::new(system.edges[0].http).metric("zonecast_ready "), Some(1.0));
}

#[test]
fn an_edge_started_without_its_core_is_ready_by_the_copy_it_has() {
    let mut system = system();
    assert!(system.core.stop().unwrap().success());
    let ended = system.edges[0].stop().unwrap();
    assert!(ended.success(), "{ended}: {}", system.edges[0].log());
    let ready = system.edges[0].start_ready().unwrap();
    assert_eq!((&ready["zones"], &ready["event"]), (&1.into(), &"ready".into()), "{ready}");
    let edge = &system.edges[0];
    assert_eq!(addresses(edge.service, "www.one.test"), ["192.0.2.1"]);
    let http = Http::new(edge.http);
    assert_eq!(http.call("GET", "/readyz", None).unwrap().0, 200);
    let status = http.wait_status(edge, "away", |status| status["trouble"].is_string());
    assert_eq!((&status["ready"], &status["following"]), (&true.into(), &"away".into()), "{status}");
    assert_eq!(http.metric("zonecast_ready "), Some(1.0));
    assert_eq!(http.metric("zonecast_edge_connected{edge=\"edge-1\"}"), Some(0.0));
}

/// Files of an edge's copy whose path ends or begins as `part` says.
fn files(edge: &Node, part: &str) -> Vec<PathBuf> {
    fn all(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in folder.read_dir().unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                all(&entry.path(), found);
            } else {
                found.push(entry.path());
            }
        }
    }
    let mut found = Vec::new();
    all(&edge.data.join("edges"), &mut found);
    found.retain(|path| path.file_name().unwrap().to_string_lossy().contains(part));
    assert!(!found.is_empty(), "no {part} in {}", edge.data.display());
    found
}

fn truncate(path: &Path) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
}

fn zero(path: &Path) {
    let length = std::fs::metadata(path).unwrap().len();
    std::fs::write(path, vec![0; usize::try_from(length).unwrap()]).unwrap();
}

#[test]
fn a_damaged_copy_is_fetched_again_with_one_warning_and_until_then_the_edge_says_so() {
    let _alone = crate::heavy::alone();
    let mut system = system();
    let harms: [(&str, fn(&Path)); 7] = [
        (".sst", zero),
        (".sst", truncate),
        ("MANIFEST-", truncate),
        ("MANIFEST-", zero),
        ("CURRENT", zero),
        ("current", truncate),
        (".log", zero),
    ];
    let (mut warned, mut unhealthy) = (0, 0);
    for (part, harm) in harms {
        system.edges[0].kill();
        files(&system.edges[0], part).iter().for_each(|file| harm(file));
        let told = system.edges[0].log_lines(&["fetched again"]).len();
        // Without its core it has nothing to mend itself with.
        system.core.kill();
        system.edges[0].start().unwrap();
        let http = Http::new(system.edges[0].http);
        let damage = http.wait_status(&system.edges[0], "up", |_| true)["damage"].clone();
        let health = http.call("GET", "/healthz", None).unwrap();
        let answer = over_udp(system.edges[0].service);
        let (rcode, answered) = (answer[3] & 15, holds(&answer, &[192, 0, 2, 1]));
        assert!(answered || (rcode == 5 && holds(&answer, NOT_READY)), "{part}: {answer:?}");
        // What a read has found only since then is not said yet.
        assert!(health.0 == 503 || damage.is_null(), "{part}: {damage} and {health:?}");
        unhealthy += usize::from(health.0 == 503);
        system.core.start_ready().unwrap();
        let status = http.wait_status(&system.edges[0], part, |status| {
            status["ready"] == true && status["following"] == "streaming" && status["damage"].is_null()
        });
        assert_eq!(addresses(system.edges[0].service, "www.one.test"), ["192.0.2.1"], "{part}: {status}");
        let lines = system.edges[0].log_lines(&["fetched again"]);
        assert!(lines.len() <= told + 1, "{part}: {lines:#?}");
        warned += lines.len() - told;
        assert_eq!(http.call("GET", "/healthz", None).unwrap().0, 200);
    }
    // A log or a manifest that ends early may lead to an older version, from which the edge just goes on.
    assert!(warned >= 4 && unhealthy > 0, "{}", system.edges[0].log());
    assert!(system.edges[0].log_lines(&["ERROR"]).is_empty(), "{}", system.edges[0].log());
}

/// Names of a zone that is larger than what an edge keeps of its copy in memory would have to be for no read to be
/// of the disk: each is read once, by us.
const NAMES: usize = 3_000;

#[test]
fn damage_that_a_query_runs_into_is_told_counted_and_repaired() {
    let _alone = crate::heavy::alone();
    let mut system = system();
    let core = Http::new(system.core.http);
    let mut zone = ZONE.to_owned();
    (0..NAMES).for_each(|name| zone.push_str(&format!("t{name} 60 TXT {:0>200}\n", name * 7919)));
    assert_eq!(core.call("PUT", "/v1/zones/large.test?wait=all", Some(&zone)).unwrap().0, 200);
    // Loaded anew, all of it is in table files; a core that restarts has no older snapshot to give, which the log goes on
    // from.
    system.core.kill();
    system.core.start_ready().unwrap();
    system.edges[0].kill();
    std::fs::remove_dir_all(&system.edges[0].data).unwrap();
    system.edges[0].start_ready().unwrap();
    let edge = &system.edges[0];
    let http = Http::new(edge.http);
    http.wait_status(edge, "caught up", |status| status["version"] == core.get("/v1/status")["version"]);
    for file in files(edge, ".sst") {
        let length = std::fs::metadata(&file).unwrap().len();
        let middle = vec![0; usize::try_from(length / 2).unwrap()];
        let file = OpenOptions::new().write(true).open(&file).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &middle, length / 4).unwrap();
    }
    let failed = (0..NAMES).find(|name| {
        let reply = ask(edge.service, &format!("t{name}.large.test"), Rtype::TXT);
        reply.rcode == OptRcode::from_rcode(domain::base::iana::Rcode::SERVFAIL)
    });
    let failed = failed.expect("no query has run into the damage");
    http.wait_status(edge, "repaired", |status| status["damage"].is_null() && status["following"] == "streaming");
    let answered = poll_until(Instant::now() + DEADLINE, || {
        let reply = ask(edge.service, &format!("t{failed}.large.test"), Rtype::TXT);
        (reply.answer.len() == 1).then_some(())
    });
    assert!(answered.is_some(), "{}", edge.log());
    assert!(http.metric("zonecast_edge_read_errors_total{edge=\"edge-1\"}") > Some(0.0));
    assert!(edge.wait_log(&["WARN", "damaged", "fetched again"], Duration::from_secs(1)).is_some(), "{}", edge.log());
    assert_eq!(edge.log_lines(&["fetched again"]).len(), 1, "{}", edge.log());
}
