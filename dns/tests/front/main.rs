//! The front end over real sockets on loopback, answering from zones in memory.

#![cfg(test)]

mod namespace;
#[path = "../../examples/own_store.rs"]
mod own_store;

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use domain::base::iana::{Rcode, Rtype};
use domain::base::message_builder::MessageBuilder;
use domain::base::{Message, Name};
use prometheus::Registry;
use zonecast_dns::{Access, Answerer, Bound, Limits, Metrics, Prefixes, RateLimit, ReaderSession, Server};
use zonecast_edge_reader::{Client, CookieSecrets, Outcome, Scratch, ZoneTable};
use zonecast_kv_proto::{KeyspaceId, MemoryView};
use zonecast_records::{Generation, KeyBuffer, RdataListBuilder, Rrset, ZoneId, ZoneValue};

/// How long a test waits for anything before it fails.
const DEADLINE: Duration = Duration::from_secs(20);

/// The state that answers, replaced as a whole.
#[derive(Default)]
struct Shared(Mutex<(Arc<MemoryView>, ZoneTable)>);

#[derive(Debug)]
struct Snapshot(Arc<MemoryView>);

impl zonecast_kv_proto::View for Snapshot {
    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, zonecast_kv_proto::ViewError> {
        self.0.get(key, value)
    }

    fn last_in(
        &self,
        lower: &[u8],
        upper: &[u8],
        key: &mut Vec<u8>,
        value: &mut Vec<u8>,
    ) -> Result<bool, zonecast_kv_proto::ViewError> {
        self.0.last_in(lower, upper, key, value)
    }

    fn scan(
        &self,
        lower: &[u8],
        end: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> std::ops::ControlFlow<()>,
    ) -> Result<(), zonecast_kv_proto::ViewError> {
        self.0.scan(lower, end, visit)
    }
}

impl Answerer for Shared {
    type Session<'a> = ReaderSession<'a, Snapshot>;

    fn session<'a>(&'a self, scratch: &'a mut Scratch) -> Self::Session<'a> {
        let (view, zones) = &*self.0.lock().unwrap();
        ReaderSession::new(Snapshot(Arc::clone(view)), zones.clone(), scratch)
    }
}

impl Shared {
    /// One zone `example.` of which only the zone key exists: SOA with this serial.
    fn publish(&self, serial: u32) {
        let apex = "example.".parse().unwrap();
        let numbers: Vec<u8> = [serial, 1, 1, 1, 60].iter().flat_map(|number| number.to_be_bytes()).collect();
        let soa = RdataListBuilder::from_items([[&[0, 0][..], &numbers].concat()]);
        let soa = Rrset { ttl: 60, data: soa.as_bytes(), ..Rrset::default() };
        let value = ZoneValue { soa, ..ZoneValue::new(&apex, ZoneId::new(1), Generation::new(1)) };
        let mut view = MemoryView::new();
        view.insert(KeyBuffer::new().zone(KeyspaceId::DNS, &apex), &value.encode());
        let zones = ZoneTable::load(&view).unwrap();
        *self.0.lock().unwrap() = (Arc::new(view), zones);
    }
}

fn query(id: u16, name: &str) -> Vec<u8> {
    let mut builder = MessageBuilder::new_vec().question();
    builder.header_mut().set_id(id);
    builder.push((name.parse::<Name<Vec<u8>>>().unwrap(), Rtype::SOA)).unwrap();
    builder.finish()
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
}

/// Id, rcode and the serial if there is an answer.
fn read(bytes: &[u8]) -> (u16, Rcode, Option<u32>) {
    let message = Message::from_octets(bytes).unwrap();
    let serial = message.answer().unwrap().next().map(|_| {
        let tail: [u8; 20] = bytes[bytes.len() - 20..].try_into().unwrap();
        u32::from_be_bytes(tail[..4].try_into().unwrap())
    });
    (message.header().id(), message.header().rcode(), serial)
}

fn read_framed(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message).unwrap();
    message
}

fn udp(server: SocketAddr) -> UdpSocket {
    let own = if server.is_ipv6() { "[::1]:0" } else { "127.0.0.1:0" };
    let socket = UdpSocket::bind(own).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket.connect(server).unwrap();
    socket
}

fn tcp(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

fn bind() -> Bound {
    Bound::bind("127.0.0.1:0".parse().unwrap(), NonZeroUsize::new(2).unwrap()).unwrap()
}

fn start(limits: Limits) -> (Server, Arc<Shared>, Registry) {
    let shared = Arc::new(Shared::default());
    shared.publish(1);
    let registry = Registry::new();
    let metrics = Metrics::new(&registry).unwrap();
    let server = bind().start(Arc::clone(&shared), limits, metrics).unwrap();
    (server, shared, registry)
}

fn metric(registry: &Registry, line: &str) -> Option<f64> {
    let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    text.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok())
}

/// Waits until `condition` holds.
async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Runs blocking client code beside the server.
async fn client<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test]
async fn udp_and_tcp_answer_on_one_port_and_follow_changes() {
    let (server, shared, registry) = start(Limits::default());
    let addr = server.local_addr();
    client(move || {
        let socket = udp(addr);
        let mut stream = tcp(addr);
        let mut buffer = [0; 512];
        for serial in 1..200 {
            shared.publish(serial);
            socket.send(&query(7, "example.")).unwrap();
            let len = socket.recv(&mut buffer).unwrap();
            assert_eq!(read(&buffer[..len]), (7, Rcode::NOERROR, Some(serial)));
            stream.write_all(&framed(&query(8, "example."))).unwrap();
            assert_eq!(read(&read_framed(&mut stream)), (8, Rcode::NOERROR, Some(serial)));
        }
        socket.send(&query(9, "example.net.")).unwrap();
        let len = socket.recv(&mut buffer).unwrap();
        assert_eq!(read(&buffer[..len]), (9, Rcode::REFUSED, None));
    })
    .await;
    assert_eq!(metric(&registry, r#"zonecast_dns_queries_total{transport="udp"}"#), Some(200.0));
    assert_eq!(metric(&registry, r#"zonecast_dns_queries_total{transport="tcp"}"#), Some(199.0));
    assert_eq!(metric(&registry, r#"zonecast_dns_responses_total{rcode="REFUSED"}"#), Some(1.0));
    assert_eq!(metric(&registry, r#"zonecast_dns_answers_total{class="positive"}"#), Some(398.0));
    assert_eq!(metric(&registry, r#"zonecast_dns_lookups_total{class="positive",for="name"}"#), Some(398.0));
    server.shutdown().await;
}

#[tokio::test]
async fn a_flood_of_datagrams_is_answered_from_every_worker() {
    const SENDERS: u16 = 8;
    const EACH: u16 = 100;
    let (server, _shared, registry) = start(Limits::default());
    let addr = server.local_addr();
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| {
            client(move || {
                let socket = udp(addr);
                (0..EACH).for_each(|id| assert!(socket.send(&query(id, "example.")).is_ok()));
                let mut ids: Vec<u16> = (0..EACH)
                    .map(|_| {
                        let mut buffer = [0; 512];
                        let len = socket.recv(&mut buffer).unwrap();
                        read(&buffer[..len]).0
                    })
                    .collect();
                ids.sort_unstable();
                assert!(ids.into_iter().eq(0..EACH));
            })
        })
        .collect();
    for sender in senders {
        sender.await;
    }
    let answered = metric(&registry, r#"zonecast_dns_responses_total{rcode="NOERROR"}"#);
    assert_eq!(answered, Some(f64::from(SENDERS * EACH)));
    server.shutdown().await;
}

#[tokio::test]
async fn tcp_takes_queries_in_any_pieces_and_answers_in_order() {
    let (server, _shared, _registry) = start(Limits::default());
    let addr = server.local_addr();
    client(move || {
        let mut stream = tcp(addr);
        let wire: Vec<u8> = (0..500).flat_map(|id| framed(&query(id, "example."))).collect();
        let mut writer = stream.try_clone().unwrap();
        let pieces = std::thread::spawn(move || {
            for piece in wire.chunks(17) {
                writer.write_all(piece).unwrap();
            }
        });
        for id in 0..500 {
            assert_eq!(read(&read_framed(&mut stream)), (id, Rcode::NOERROR, Some(1)));
        }
        pieces.join().unwrap();
    })
    .await;
    server.shutdown().await;
}

#[tokio::test]
async fn what_is_no_query_ends_a_connection_and_no_datagram_thread() {
    let (server, _shared, registry) = start(Limits::default());
    let addr = server.local_addr();
    client(move || {
        for wire in [framed(&[0; 4]), vec![0xff, 0xff], framed(&[])] {
            let mut stream = tcp(addr);
            stream.write_all(&wire).unwrap();
            let mut rest = Vec::new();
            // The end, or a reset where bytes of ours were not read.
            let _ = stream.read_to_end(&mut rest);
            assert_eq!(rest, b"");
        }
        let socket = udp(addr);
        for junk in [&[][..], &[1], &[0xff; 12], &[0xff; 9000]] {
            socket.send(junk).unwrap();
        }
        socket.send(&query(5, "example.")).unwrap();
        let mut buffer = [0; 512];
        let len = socket.recv(&mut buffer).unwrap();
        assert_eq!(read(&buffer[..len]).0, 5);
    })
    .await;
    assert!(metric(&registry, r#"zonecast_dns_answers_total{class="dropped"}"#) >= Some(4.0));
    server.shutdown().await;
}

#[tokio::test]
async fn idle_and_surplus_connections_are_closed() {
    let limits = Limits { tcp_connections: 2, tcp_idle: Duration::from_millis(300), ..Limits::default() };
    let (server, _shared, registry) = start(limits);
    let addr = server.local_addr();
    let open = || metric(&registry, "zonecast_dns_tcp_connections");
    let (one, two) = (tcp(addr), tcp(addr));
    eventually("both are closed for resting", || open() == Some(0.0)).await;
    drop((one, two));
    client(move || {
        let mut stream = tcp(addr);
        stream.write_all(&framed(&query(1, "example."))).unwrap();
        assert_eq!(read(&read_framed(&mut stream)).0, 1);
    })
    .await;
    server.shutdown().await;
}

/// The table is full: the busiest client gives up its connection that has rested longest, and nobody else does.
#[tokio::test]
async fn the_busiest_client_makes_room_for_others() {
    let (server, _shared, registry) = start(Limits { tcp_connections: 3, ..Limits::default() });
    let addr = server.local_addr();
    let from = |own: &str| {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::new(own.parse().unwrap(), 0).into()).unwrap();
        socket.connect(&addr.into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    };
    let (one, busy, rested) = (from("127.0.0.1"), from("127.0.0.2"), from("127.0.0.2"));
    let open = || metric(&registry, "zonecast_dns_tcp_connections");
    eventually("all are open", || open() == Some(3.0)).await;
    let ask = |mut stream: TcpStream| {
        client(move || {
            stream.write_all(&framed(&query(1, "example."))).unwrap();
            assert_eq!(read(&read_framed(&mut stream)).0, 1);
            stream
        })
    };
    let busy = ask(busy).await;
    let newcomer = ask(from("127.0.0.3")).await;
    client(move || assert_eq!({ rested }.read(&mut [0; 1]).unwrap_or(0), 0, "it is closed")).await;
    let (one, busy) = (ask(one).await, ask(busy).await);
    assert_eq!(metric(&registry, "zonecast_dns_tcp_given_up_total"), Some(1.0));
    assert_eq!((open(), metric(&registry, "zonecast_dns_tcp_refused_total")), (Some(3.0), Some(0.0)));
    drop((one, busy, newcomer));
    server.shutdown().await;
}

/// Panics at every query.
struct Broken;

struct BrokenSession;

impl Answerer for Broken {
    type Session<'a> = BrokenSession;

    fn session<'a>(&'a self, _: &'a mut Scratch) -> BrokenSession {
        BrokenSession
    }
}

impl zonecast_dns::Session for BrokenSession {
    fn answer(&mut self, _: &[u8], _: Client<'_>, _: &mut Vec<u8>) -> Outcome {
        panic!("a defect, for this test")
    }
}

#[tokio::test]
async fn a_thread_that_dies_is_noticed() {
    let metrics = Metrics::new(&Registry::new()).unwrap();
    let server = bind().start(Arc::new(Broken), Limits::default(), metrics).unwrap();
    let died = server.died();
    udp(server.local_addr()).send(&query(1, "example.")).unwrap();
    tokio::time::timeout(DEADLINE, died).await.expect("nobody noticed");
    server.shutdown().await;
}

#[tokio::test]
async fn a_port_in_use_is_told_and_a_stopped_server_frees_its_own() {
    let (server, _shared, _registry) = start(Limits::default());
    let addr = server.local_addr();
    let workers = NonZeroUsize::MIN;
    let refused = Bound::bind(addr, workers).unwrap_err();
    assert!(refused.is_in_use(), "{refused}");
    let held = tcp(addr);
    server.shutdown().await;
    drop(held);
    assert_eq!(Bound::bind(addr, workers).unwrap().local_addr(), addr);
}

/// Every address of IPv4 and every one of IPv6 on one port that is free for both.
fn bind_any() -> [Bound; 2] {
    let workers = NonZeroUsize::MIN;
    for _ in 0..16 {
        let four = Bound::bind("0.0.0.0:0".parse().unwrap(), workers).unwrap();
        let six = SocketAddr::from((Ipv6Addr::UNSPECIFIED, four.local_addr().port()));
        // Somebody else may have the port over IPv6; nobody has it sixteen times.
        if let Ok(six) = Bound::bind(six, workers) {
            return [four, six];
        }
    }
    panic!("[::] cannot be had beside 0.0.0.0");
}

/// As `zonecast_tests::skip`, which is above this crate.
fn skip(needs: &str) {
    assert!(std::env::var_os("CI").is_none(), "may not be skipped in CI: {needs}");
    println!("SKIPPED: {needs}");
    let Some(path) = std::env::var_os("ZONECAST_SKIPPED") else { return };
    let mut file = std::fs::File::options().create(true).append(true).open(path).unwrap();
    file.write_all(format!("zonecast-dns: {needs}\n").as_bytes()).unwrap();
}

#[tokio::test]
async fn any_address_of_both_families_is_served_on_one_port() {
    if let Err(error) = UdpSocket::bind("[::1]:0") {
        return skip(&format!("no IPv6 here: {error}"));
    }
    let (shared, limits) = (Arc::new(Shared::default()), Limits::default());
    shared.publish(1);
    for bound in bind_any() {
        let metrics = Metrics::new(&Registry::new()).unwrap();
        let mut addr = bound.local_addr();
        addr.set_ip(if addr.is_ipv6() { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() });
        let server = bound.start(Arc::clone(&shared), limits.clone(), metrics).unwrap();
        client(move || {
            let socket = udp(addr);
            socket.send(&query(1, "example.")).unwrap();
            let mut buffer = [0; 512];
            let len = socket.recv(&mut buffer).unwrap();
            assert_eq!(read(&buffer[..len]), (1, Rcode::NOERROR, Some(1)));
            let mut stream = tcp(addr);
            stream.write_all(&framed(&query(2, "example."))).unwrap();
            assert_eq!(read(&read_framed(&mut stream)), (2, Rcode::NOERROR, Some(1)));
        })
        .await;
        server.shutdown().await;
    }
}

fn prefixes(prefixes: &[&str]) -> Prefixes {
    Prefixes::new(prefixes.iter().map(|prefix| prefix.parse().unwrap()).collect()).unwrap()
}

/// The same query with this option.
fn with_option(mut query: Vec<u8>, code: u16, data: &[u8]) -> Vec<u8> {
    query[11] = 1;
    let len = |len: usize| u16::try_from(len).unwrap().to_be_bytes();
    query.extend([0, 0, 41, 4, 208, 0, 0, 0, 0]);
    query.extend(len(data.len() + 4));
    query.extend(code.to_be_bytes());
    query.extend(len(data.len()));
    query.extend(data);
    query
}

fn exchange(socket: &UdpSocket, query: &[u8]) -> Vec<u8> {
    socket.send(query).unwrap();
    let mut buffer = [0; 512];
    let len = socket.recv(&mut buffer).unwrap();
    buffer[..len].to_vec()
}

#[tokio::test]
async fn who_may_not_ask_is_refused_over_udp_and_closed_over_tcp() {
    let access = Access { deny: prefixes(&["127.0.0.0/8"]), ..Access::default() };
    let (server, _shared, registry) = start(Limits { access, ..Limits::default() });
    let addr = server.local_addr();
    client(move || {
        let socket = udp(addr);
        assert_eq!(read(&exchange(&socket, &query(1, "example."))), (1, Rcode::REFUSED, None));
        let why = exchange(&socket, &with_option(query(2, "example."), 3, b""));
        assert!(why.ends_with(&[0, 15, 0, 2, 0, 18]), "RFC 8914: prohibited");
        let mut stream = tcp(addr);
        assert_eq!(stream.read(&mut [0; 1]).unwrap_or(0), 0);
    })
    .await;
    assert_eq!(metric(&registry, "zonecast_dns_access_denied_total"), Some(3.0));
    server.shutdown().await;
}

#[tokio::test]
async fn one_client_does_not_take_all_connections() {
    let (server, _shared, registry) = start(Limits { tcp_connections_per_client: 1, ..Limits::default() });
    let addr = server.local_addr();
    let refused = || metric(&registry, "zonecast_dns_tcp_refused_total");
    let open = || metric(&registry, "zonecast_dns_tcp_connections");
    for round in 1..4 {
        let held = tcp(addr);
        eventually("it is open", || open() == Some(1.0)).await;
        client(move || assert_eq!(tcp(addr).read(&mut [0; 1]).unwrap_or(0), 0)).await;
        assert_eq!(refused(), Some(f64::from(round)));
        drop(held);
        eventually("its place is free again", || open() == Some(0.0)).await;
    }
    server.shutdown().await;
}

#[tokio::test]
async fn what_is_over_the_rate_is_truncated_and_a_cookie_or_tcp_is_not_limited() {
    let limit = |exempt| RateLimit { per_second: 1.try_into().unwrap(), slip: 1.try_into().ok(), exempt };
    let cookies = CookieSecrets::new(vec![[7; 16]]);
    let limits = Limits { rate_limit: Some(limit(Prefixes::default())), cookies, ..Limits::default() };
    let (server, _shared, registry) = start(limits);
    let addr = server.local_addr();
    let is_truncated = |answer: &[u8]| Message::from_octets(answer).unwrap().header().tc();
    client(move || {
        let socket = udp(addr);
        let asked: Vec<Vec<u8>> = (0..50).map(|id| exchange(&socket, &query(id, "example."))).collect();
        assert!(!is_truncated(&asked[0]));
        let cut = asked.iter().find(|answer| is_truncated(answer)).expect("fifty take less than fifty seconds");
        assert_eq!(read(cut).2, None);
        let first = exchange(&socket, &with_option(query(60, "example."), 10, &[9; 8]));
        let cookie = &first[first.len() - 24..];
        assert_eq!(cookie[..8], [9; 8]);
        for id in 100..150 {
            let answer = exchange(&socket, &with_option(query(id, "example."), 10, cookie));
            assert!(!is_truncated(&answer) && answer.ends_with(cookie));
        }
        let mut stream = tcp(addr);
        for id in 200..250 {
            stream.write_all(&framed(&query(id, "example."))).unwrap();
            assert_eq!(read(&read_framed(&mut stream)), (id, Rcode::NOERROR, Some(1)));
        }
    })
    .await;
    assert!(metric(&registry, r#"zonecast_dns_rate_limited_total{action="truncate"}"#) >= Some(1.0));
    server.shutdown().await;

    let exempt = Prefixes::new(vec![IpAddr::from(Ipv4Addr::LOCALHOST).into()]).unwrap();
    let (server, _shared, _registry) = start(Limits { rate_limit: Some(limit(exempt)), ..Limits::default() });
    let addr = server.local_addr();
    client(move || {
        let socket = udp(addr);
        assert!((0..50).all(|id| !is_truncated(&exchange(&socket, &query(id, "example.")))));
    })
    .await;
    server.shutdown().await;
}

#[tokio::test]
async fn the_example_answers_dig() {
    let zone = "$TTL 60\n@ SOA ns admin 1 2 3 4 5\n@ NS ns\nns A 192.0.2.53\n*.www A 192.0.2.1\n";
    let store = own_store::OwnStore::build(&[("example.com".into(), zone.into())]).unwrap();
    let server = store.serve("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = server.local_addr().port().to_string();
    client(move || {
        for more in ["+notcp", "+tcp"] {
            let mut dig = std::process::Command::new("dig");
            let output = dig.args(["@127.0.0.1", "-p", &port, "+short", more, "x.www.example.com"]).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout), "192.0.2.1\n", "{output:?}");
        }
    })
    .await;
    server.shutdown().await;
}
