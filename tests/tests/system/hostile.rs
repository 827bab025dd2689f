//! Random and crafted bytes on every port: nothing crashes, memory stays flat, everybody else is served.
//!
//! A few seconds in `make test`, ten minutes with `ZONECAST_SOAK`. What decoders do with such bytes is what the fuzz
//! targets are for; here it is the sockets, timers and limits around them.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use zonecast_tests::fuzz::TARGETS;
use zonecast_tests::{Node, Random, System, poll_until};

use crate::api::{DEADLINE, addresses};
use crate::http::Http;

const ZONE: &str =
    "@ 300 SOA ns hostmaster 1 7200 3600 1209600 60\n@ 300 NS ns\nns 300 A 192.0.2.53\nwww 60 A 192.0.2.1\n";

/// How long, in `make test` and in `make soak`.
const A_WHILE: Duration = Duration::from_secs(4);
const LONG: Duration = Duration::from_mins(10);

/// What a node may have more afterwards than after the same for a moment: an allocator keeps some of what it once
/// needed, while one leaked KiB a connection would be ten times as much in ten minutes.
const GROWTH: u64 = 48 * 1024 * 1024;

/// What an attacker does with one port, once.
type Attack = fn(SocketAddr, &mut Random);

#[test]
fn hostile_bytes_on_every_port_change_nothing() {
    let _alone = crate::heavy::alone();
    let seed = super::crash::seed_of_run();
    let time = if std::env::var_os("ZONECAST_SOAK").is_some() { LONG } else { A_WHILE };
    println!("ZONECAST_SEED={seed}, {time:?}");
    let mut system = System::start(1).unwrap();
    let core = Http::new(system.core.http);
    assert_eq!(core.call("PUT", "/v1/zones/one.test?wait=all", Some(ZONE)).unwrap().0, 200);
    // Buffers, threads and caches that are made once are there afterwards.
    let warm = attack_all(&system, seed, A_WHILE / 2);
    let before = [system.core.memory().unwrap(), system.edges[0].memory().unwrap()];
    let attacks = attack_all(&system, seed + 1, time);
    assert!(attacks > 200 && warm > 0, "only {attacks} attacks");

    let edge = &mut system.edges[0];
    for (node, before) in [&mut system.core, edge].into_iter().zip(before) {
        assert!(node.ended().is_none(), "{} has ended:\n{}", node.name, node.log());
        assert!(node.log_lines(&["panicked"]).is_empty(), "{}:\n{}", node.name, node.log());
        let settled =
            poll_until(Instant::now() + DEADLINE, || node.memory().ok().filter(|after| *after < before + GROWTH));
        let after =
            settled.unwrap_or_else(|| panic!("{}: {before} bytes before, {:?} after", node.name, node.memory()));
        println!("{}: {} MiB before, {} after {attacks} attacks", node.name, before >> 20, after >> 20);
        assert!(node.log().len() < 1024 * 1024, "{} writes too much", node.name);
    }
    let (status, written) = core.call("PUT", "/v1/zones/one.test/records/www/A?wait=all", Some(SET)).unwrap();
    assert_eq!((status, &written["receipt"]["reached"]), (200, &true.into()), "{written}");
    assert_eq!(addresses(system.edges[0].service, "www.one.test"), ["192.0.2.2"]);
}

const SET: &str = "{\"ttl\": 60, \"data\": [\"192.0.2.2\"]}";

/// All attacks at once for some time, while others are served; how many there were.
fn attack_all(system: &System, seed: u64, time: Duration) -> u64 {
    let (core, edge): (&Node, &Node) = (&system.core, &system.edges[0]);
    let attacks: [(SocketAddr, Attack); 6] = [
        (core.service, quic),
        (core.http, http),
        (edge.http, http),
        (edge.service, dns_udp),
        (edge.service, dns_tcp),
        (core.http, silent),
    ];
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let threads: Vec<_> = attacks
        .into_iter()
        .enumerate()
        .map(|(number, (address, attack))| {
            let (stop, count) = (Arc::clone(&stop), Arc::clone(&count));
            let mut random = Random::new(seed.wrapping_mul(1000) + u64::try_from(number).unwrap());
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    attack(address, &mut random);
                    count.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let until = Instant::now() + time;
    let (core, edge) = (Http::new(core.http), edge.service);
    let mut served = 0_u64;
    while Instant::now() < until {
        assert_eq!(addresses(edge, "www.one.test"), ["192.0.2.1"], "an honest client is not served");
        assert_eq!(core.get("/v1/zones/one.test")["zone"], "one.test.");
        served += 1;
        std::thread::park_timeout(Duration::from_millis(10));
    }
    stop.store(true, Ordering::Relaxed);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    println!("{served} honest clients served");
    count.load(Ordering::Relaxed)
}

fn random_bytes(random: &mut Random, longest: usize) -> Vec<u8> {
    let length = random.below(longest + 1);
    (0..length).map(|_| random.number().to_be_bytes()[0]).collect()
}

/// Something valid from the seeds of a fuzz target, damaged in some places.
fn damaged(target: &str, random: &mut Random) -> Vec<u8> {
    let seeds = TARGETS.iter().find(|known| known.name == target).map(|target| (target.seeds)()).unwrap();
    let mut bytes = seeds[random.below(seeds.len())].clone();
    (0..random.below(4)).for_each(|_| random.change(&mut bytes));
    bytes
}

/// Packets as QUIC has them at the start: long headers of any version, short ones of no connection, noise.
fn quic(address: SocketAddr, random: &mut Random) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    for _ in 0..20 {
        let mut packet = random_bytes(random, 1400);
        let kind = random.below(4);
        if kind < 3 {
            packet.resize(1200 + random.below(200), 0);
            // Initial of version 1, an unknown version, a short header.
            let starts: [&[u8]; 3] = [&[0xc3, 0, 0, 0, 1, 8], &[0xff, 0xfa, 0xce, 0xb0, 0x0c, 20], &[0x40]];
            packet.splice(..starts[kind].len(), starts[kind].iter().copied());
        }
        let _ = socket.send_to(&packet, address);
    }
    std::thread::park_timeout(Duration::from_millis(2));
}

fn dns_udp(address: SocketAddr, random: &mut Random) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    for _ in 0..50 {
        let message = if random.below(4) == 0 { random_bytes(random, 4096) } else { damaged("answer", random) };
        let _ = socket.send_to(&message, address);
    }
    std::thread::park_timeout(Duration::from_millis(2));
}

/// Says something on a new connection, and leaves in one of several ways.
fn converse(address: SocketAddr, random: &mut Random, pieces: &[Vec<u8>]) {
    let Ok(mut stream) = TcpStream::connect(address) else { return };
    let _ = stream.set_read_timeout(Some(Duration::from_millis(20)));
    let _ = stream.set_write_timeout(Some(Duration::from_millis(200)));
    for piece in pieces {
        if stream.write_all(piece).is_err() {
            break;
        }
    }
    let mut buffer = [0; 4096];
    match random.below(3) {
        // Gone without a look at what comes back.
        0 => {}
        1 => _ = stream.shutdown(Shutdown::Write).and_then(|()| stream.read(&mut buffer)),
        _ => _ = stream.read(&mut buffer),
    }
}

fn dns_tcp(address: SocketAddr, random: &mut Random) {
    let mut pieces = Vec::new();
    for _ in 0..random.below(8) {
        let message = damaged("answer", random);
        // Sometimes another length than it has.
        let length = if random.below(4) == 0 { random.below(65_536) } else { message.len() };
        pieces.push(u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes().to_vec());
        pieces.push(message);
    }
    converse(address, random, &pieces);
}

fn http(address: SocketAddr, random: &mut Random) {
    let paths = [
        "/v1/status",
        "/v1/zones/one.test",
        "/v1/zones/one.test/changes",
        "/metrics",
        "/%00/%ff",
        "/v1/lookup?name=%2e",
    ];
    let methods = ["GET", "POST", "PUT", "DELETE", "HEAD", "BREW", ""];
    let bodies: [&[u8]; 4] = [
        b"Content-Length: 99999999999\r\n\r\n{",
        b"Transfer-Encoding: chunked\r\n\r\nfffffffff\r\nx",
        b"Content-Length: 4\r\n\r\n{\"a\"",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    ];
    let (method, path) = (methods[random.below(methods.len())], paths[random.below(paths.len())]);
    // Not what deletes or changes the zone that honest clients ask for.
    let path = if method == "DELETE" { "/v1/zones/none.test" } else { path };
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n").into_bytes();
    match random.below(4) {
        0 => head.extend(format!("X: {}\r\n", "x".repeat(random.below(200_000))).into_bytes()),
        1 => head.extend("A: b\r\n".repeat(random.below(500)).into_bytes()),
        2 => (0..4).for_each(|_| random.change(&mut head)),
        _ => {}
    }
    let tail =
        if random.below(5) == 0 { random_bytes(random, 2000) } else { bodies[random.below(bodies.len())].to_vec() };
    converse(address, random, &[head, tail]);
}

/// Many connections that say nothing, or half a head, and go all at once.
fn silent(address: SocketAddr, random: &mut Random) {
    let mut streams: Vec<_> = (0..100).filter_map(|_| TcpStream::connect(address).ok()).collect();
    for stream in streams.iter_mut().take(random.below(100)) {
        let _ = stream.write_all(b"GET /v1/sta");
    }
    std::thread::park_timeout(Duration::from_millis(50));
}
