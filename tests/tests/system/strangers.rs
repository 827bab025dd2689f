//! Messages that are for a primary or a secondary, from somebody who is neither: where BIND, Knot and NSD agree, zonecast
//! says the same.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use domain::base::iana::{OptRcode, Rtype};
use domain::base::message::Message;
use zonecast_tests::{DevOptions, HostedZone, Peer, Software, Zonecast};

const ZONE: &str = "$TTL 300\n@ SOA ns hostmaster 1 7200 3600 1209600 60\n@ NS ns\nns A 192.0.2.53\n";

const QUERY: u8 = 0;
const NOTIFY: u8 = 4;
const UPDATE: u8 = 5;

/// `one.test`, which all host, and `two.test`, which none does.
const OURS: &[u8] = b"\x03one\x04test\0";
const NOT_OURS: &[u8] = b"\x03two\x04test\0";

/// What a server says: RCODE, and the error of a TSIG record.
type Said = (OptRcode, Option<u16>);

fn record(owner: &[u8], rtype: Rtype, class: u16, rdata: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rdata.len()).unwrap().to_be_bytes();
    [owner, &rtype.to_int().to_be_bytes(), &class.to_be_bytes(), &[0; 4], &length, rdata].concat()
}

fn opt(version: u8) -> Vec<u8> {
    let mut record = record(b"\0", Rtype::OPT, 1232, b"");
    record[6] = version;
    record
}

/// Signed with a key that nobody knows.
fn tsig() -> Vec<u8> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let mac = [7; 32];
    let rdata = [
        b"\x0bhmac-sha256\0",
        &now.to_be_bytes()[2..],
        &300_u16.to_be_bytes(),
        &32_u16.to_be_bytes(),
        &mac,
        &[0x12, 0x34],
        &[0; 4],
    ];
    record(b"\x07unknown\0", Rtype::TSIG, 255, &rdata.concat())
}

fn soa(owner: &[u8]) -> Vec<u8> {
    record(owner, Rtype::SOA, 1, &[&b"\0\0\0\0\0\x01"[..], &[0; 16]].concat())
}

/// A message with these records in its answer, authority and additional sections.
fn message(opcode: u8, (name, rtype): (&[u8], Rtype), sections: [&[Vec<u8>]; 3]) -> Vec<u8> {
    let [an, ns, ar] = sections.map(|section| u8::try_from(section.len()).unwrap());
    let header = [0x12, 0x34, opcode << 3, 0, 0, 1, 0, an, 0, ns, 0, ar];
    let question = [name, &rtype.to_int().to_be_bytes(), &[0, 1]].concat();
    [&header[..], &question, &sections.map(<[_]>::concat).concat()].concat()
}

fn messages() -> Vec<(String, Vec<u8>)> {
    let (opt0, signed) = ([opt(0)], [opt(0), tsig()]);
    let mut all = Vec::new();
    for (whose, apex) in [("hosted", OURS), ("foreign", NOT_OURS)] {
        let soa = [soa(apex)];
        let a = [record(apex, Rtype::A, 1, &[192, 0, 2, 1])];
        for (how, ar) in [("plain", &opt0[..]), ("signed", &signed[..])] {
            let asked = [
                ("A", message(QUERY, (apex, Rtype::A), [&[], &[], ar])),
                ("IXFR", message(QUERY, (apex, Rtype::IXFR), [&[], &soa, ar])),
                ("notify", message(NOTIFY, (apex, Rtype::SOA), [&soa, &[], ar])),
                ("update", message(UPDATE, (apex, Rtype::SOA), [&[], &a, ar])),
            ];
            all.extend(asked.map(|(what, bytes)| (format!("{what}, {whose} zone, {how}"), bytes)));
        }
    }
    let other = |opcode, ar: Vec<u8>| message(opcode, (OURS, Rtype::A), [&[], &[], &[ar]]);
    all.extend([1, 2, 3, 6, 15].map(|opcode| (format!("opcode {opcode}"), other(opcode, opt(0)))));
    all.push(("no OPT".into(), message(2, (OURS, Rtype::A), [&[], &[], &[]])));
    let behind = [tsig(), opt(0)];
    all.push(("TSIG is not the last".into(), message(QUERY, (OURS, Rtype::A), [&[], &[], &behind])));
    let short = [record(b"\0", Rtype::TSIG, 255, &[0])];
    all.push(("TSIG is short".into(), message(QUERY, (OURS, Rtype::A), [&[], &[], &short])));
    all.push(("BADVERS".into(), other(QUERY, opt(1))));
    all
}

fn ask(server: SocketAddr, bytes: &[u8]) -> (Said, bool) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket.connect(server).unwrap();
    socket.send(bytes).unwrap();
    let mut buffer = [0; 4096];
    let len = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("{server} does not answer: {error}"));
    let reply = &buffer[..len];
    let message = Message::from_slice(reply).unwrap();
    let last = message.additional().unwrap().last().map(|record| record.unwrap().rtype());
    // Nothing follows the error but the length of other data, which there is none of.
    let error =
        last.filter(|rtype| *rtype == Rtype::TSIG).map(|_| u16::from_be_bytes([reply[len - 4], reply[len - 3]]));
    ((message.opt_rcode(), error), message.opt().is_some())
}

#[test]
fn strangers_get_what_the_peers_agree_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("one.test.zone");
    std::fs::write(&file, ZONE).unwrap();
    let server = Zonecast::start(&DevOptions::new(folder.path())).unwrap();
    let zones = [HostedZone { apex: "one.test".parse().unwrap(), file }];
    let peers = [Software::Bind, Software::Knot, Software::Nsd];
    let peers = peers.map(|software| Peer::start(software, &zones).unwrap());
    let mut agreed = Vec::new();
    for (what, bytes) in messages() {
        let (ours, has_opt) = ask(server.dns[0], &bytes);
        let theirs = peers.each_ref().map(|peer| ask(peer.address(), &bytes).0);
        println!("{what}: {ours:?}, peers {theirs:?}");
        if theirs.iter().all(|said| *said == theirs[0]) {
            assert_eq!(ours, theirs[0], "{what}");
            agreed.push(what.clone());
        } else {
            assert!(ours.0 == OptRcode::NOERROR || theirs.iter().any(|said| said.0 == ours.0), "{what}: {ours:?}");
        }
        assert!(has_opt || what == "no OPT" || ours.0 == OptRcode::FORMERR, "{what}: no OPT");
    }
    for what in ["A, hosted zone, signed", "IXFR, foreign zone, plain", "opcode 2", "TSIG is not the last", "BADVERS"] {
        assert!(agreed.iter().any(|agreed| agreed == what), "{what} is not among {agreed:?}");
    }
}
