//! The bytes that docs/format.md and docs/protocol.md show are the bytes that the code writes.
//!
//! An example stands in a block fenced by `hex` and its name. `UPDATE_DOCS=1 cargo test -p zonecast-tests --test tidy`
//! writes the blocks anew; what the fields are called stands here.

use std::ops::ControlFlow;

use bytes::Bytes;
use zonecast_builder::{FullBuild, Location, Settings, ZoneIdentity, ZoneSource};
use zonecast_ingest::read_zone_bytes;
use zonecast_kv_proto::{
    Batch, Chain, Command, Commit, Edition, Epoch, Frame, Group, Head, Heartbeat, Idempotency, Key, KeyspaceId, Note,
    Once, Op, PROTOCOL, Path, Peer, Position, Precondition, Published, RequestKey, RequestRecord, Revision, Role,
    Section, SectionId, StoreId, Subscribe, SubscribeRefusal, TableFile, TableHash, TableManifest, TablePiece,
    TablesWant, Value, Version, encode_entries,
};
use zonecast_records::{Generation, KeyBuffer, KeySection, Name, NameInZone, Nsec3Parameters, ZoneId};

use crate::hex::Lines;
use crate::tree::root;

const PAGES: [&str; 2] = ["docs/format.md", "docs/protocol.md"];
const FENCE: &str = "```hex ";

/// The zone that the examples are from; docs/format.md shows it.
const ZONE: &str = "\
@      3600 SOA ns hostmaster 1 7200 3600 1209600 300
@      3600 NS  ns
@      300  MX  10 mail
ns     300  A   192.0.2.53
WWW    300  A   192.0.2.1
WWW    60   A   192.0.2.2
a.b    300  TXT \"x\"
sub    300  NS  ns.sub
ns.sub 300  A   192.0.2.54
ns.sub 300  TXT \"occluded\"
";

fn apex() -> Name {
    "example.com".parse().expect("a name")
}

fn build() -> FullBuild {
    let mut source = ZoneSource::new(apex());
    let report = read_zone_bytes("example", ZONE.as_bytes(), &apex(), &mut |record, location| {
        source.push(record, Location::new(location.line));
        ControlFlow::Continue(())
    });
    report.expect("the zone is well formed");
    let identity = ZoneIdentity { id: ZoneId::new(5), generation: Generation::new(7) };
    source.build(identity, &Settings::with_origin(*b"origin")).expect("the zone can be served")
}

/// Keys and values of the zone.
fn entries() -> Vec<(Bytes, Bytes)> {
    let build = build();
    let zone =
        build.zone_entries().map(|(key, value)| (key.as_bytes().to_vec().into(), value.as_bytes().to_vec().into()));
    build.published().chain(build.private()).chain(zone).collect()
}

/// The entry whose key is the keyspace, and ends with the rest.
fn entry(keyspace: KeyspaceId, tail: &[u8]) -> (Bytes, Bytes) {
    let is_it =
        |key: &[u8]| key.starts_with(&keyspace.get().to_be_bytes()) && key.get(10..).is_some_and(|end| end == tail);
    entries().into_iter().find(|(key, _)| is_it(key)).unwrap_or_else(|| panic!("no key ends with {tail:02x?}"))
}

/// All examples by name.
fn examples() -> Vec<(&'static str, String)> {
    let mut examples = vec![("zone", ZONE.to_owned())];
    examples.extend(keys().into_iter().map(|(name, key)| (name, Lines::default().key(&key).into_text())));
    let values = published_values()
        .into_iter()
        .chain(private_values())
        .chain(commands())
        .chain(groups())
        .chain(batches())
        .chain(frames())
        .chain(tables());
    examples
        .extend(values.map(|(name, bytes, names)| (name, Lines::default().message_pack(&bytes, names).into_text())));
    let snapshot = encode_entries(&[entry(KeyspaceId::DNS, b"\x01b\0\0\xff\xff")]);
    let parts =
        [(2, "length of the key"), (16, "key: `b`, an empty non-terminal"), (4, "length of the value"), (2, "value")];
    examples.push(("snapshot-entry", Lines::default().fields(&snapshot, &parts).into_text()));
    examples
}

fn keys() -> Vec<(&'static str, Bytes)> {
    let mut buffer = KeyBuffer::new();
    let odd: Name = r"\000\001*.b.example.com".parse().expect("a name");
    let place = (KeyspaceId::DNS, Generation::new(7));
    let escaped =
        buffer.node(place.0, place.1, KeySection::Name, NameInZone { name: &odd, apex_labels: 2 }, 16).to_vec();
    let parameters = Nsec3Parameters { algorithm: 1, iterations: 0, salt: &[0xaa, 0xbb] };
    let nsec3 = buffer.nsec3(place.0, place.1, parameters, &[0x11; 20]).to_vec();
    vec![
        ("key-address", entry(KeyspaceId::DNS, b"\x01www\0\0\xff\xff").0),
        ("key-rrset", entry(KeyspaceId::DNS, b"\x01\0\0\x0f").0),
        ("key-zone", entry(KeyspaceId::DNS, b"\0com\0example\0\0\0\x06").0),
        ("key-glue", entry(KeyspaceId::DNS, b"\x02sub\0ns\0\0\xff\xff").0),
        ("key-escaped", escaped.into()),
        ("key-nsec3", nsec3.into()),
    ]
}

type Example = (&'static str, Bytes, &'static [&'static str]);

fn published_values() -> Vec<Example> {
    let value = |tail: &[u8]| entry(KeyspaceId::DNS, tail).1;
    vec![
        (
            "value-address",
            value(b"\x01www\0\0\xff\xff"),
            &["address key", "format", "types", "A", "TTL", "two addresses"],
        ),
        ("value-empty", value(b"\x01b\0\0\xff\xff"), &["address key", "format"]),
        (
            "value-cut",
            value(b"\x01sub\0\0\xff\xff"),
            &["address key", "format", "types", "A", "AAAA", "CNAME", "cut", "NS", "TTL", "#name servers", "#glue"],
        ),
        ("value-rrset", value(b"\x01\0\0\x0f"), &["RRset key", "format", "RRset", "TTL", "#data"]),
        (
            "value-zone",
            value(b"\0com\0example\0\0\0\x06"),
            &[
                "zone key",
                "format",
                "apex",
                "zone id",
                "generation",
                "summary",
                "wildcards",
                "cuts",
                "DNAMEs",
                "SOA",
                "TTL",
                "#data",
                "NS",
                "TTL",
                "#data",
            ],
        ),
    ]
}

fn private_values() -> Vec<Example> {
    let value = |tail: &[u8]| entry(KeyspaceId::CORE, tail).1;
    vec![
        (
            "core-node",
            value(b"\x01www\0\0\xff\xff"),
            &["node", "format", "owner", "TTLs", "of an RRset", "type", "records", "first", "second"],
        ),
        ("core-hidden", value(b"\x01sub\0ns\0\0\0\x10"), &["RRset key", "format", "RRset", "TTL", "#data"]),
        (
            "core-zone",
            value(b"\0com\0example\0\0\0\x06"),
            &["zone", "format", "origin", "records", "wildcards", "cuts", "depth 0", "depth 1"],
        ),
    ]
}

const SECTION: SectionId = SectionId { keyspace: KeyspaceId::DNS, partition: 5 };

fn batch() -> Batch {
    let key = |tail: &[u8]| Key::new([&[0, 1], tail].concat()).expect("short");
    let ops = vec![
        Op::Put { key: key(b"a"), value: Value::new(&b"value"[..]).expect("short") },
        Op::Delete { key: key(b"b") },
        Op::DeleteRange { start: key(b"c"), end: key(b"d") },
    ];
    let preconditions = vec![Precondition { section: SECTION, edition: Edition::new(3) }];
    Batch { preconditions, sections: vec![Section { id: SECTION, ops }] }
}

fn position() -> Position {
    Position::origin(StoreId::new(9))
}

fn head_after(version: &Published) -> Head {
    Head {
        revision: Revision::new(1),
        position: Position { version: Version::new(1), chain: version.chain, ..position() },
        time_us: 1_000_000,
        next_id: 8,
        ..Head::default()
    }
}

fn group() -> Group {
    let batch = Batch::default().encode().expect("empty");
    let key = RequestKey::made_at(1000, 7);
    let idempotency = Idempotency { scope: [1; 16], key, request_hash: [2; 32] };
    let once = Once { idempotency, note: note() };
    let mut group = Group::default();
    for (time_us, once) in [(1_000_000, None), (1_000_001, Some(once))] {
        group.push(Commit { time_us, batch: batch.clone(), once }).expect("small");
    }
    group
}

fn note() -> Note {
    Note::new(&b"note"[..]).expect("short")
}

fn request_record() -> RequestRecord {
    let (epoch, revision) = (Epoch::ZERO, Revision::new(3));
    RequestRecord { request_hash: [2; 32], epoch, revision, version: None, time_us: 1_000_001, note: note() }
}

fn commands() -> Vec<Example> {
    let batch = batch().encode().expect("small");
    vec![(
        "command",
        Command::Batch(Commit { time_us: 1_000_000, batch, once: None }).to_bytes(),
        &[
            "command",
            "format",
            "kind",
            "time",
            "batch",
            "format",
            "preconditions",
            "precondition",
            "section id",
            "keyspace",
            "partition",
            "edition",
            "sections",
            "section",
            "section id",
            "keyspace",
            "partition",
            "operations",
            ">operations",
            "operation",
            "put",
            "key",
            "value",
            "operation",
            "delete",
            "key",
            "operation",
            "delete range",
            "start",
            "end",
        ],
    )]
}

fn groups() -> Vec<Example> {
    vec![
        (
            "command-group",
            group().to_bytes(),
            &[
                "command",
                "format",
                "kind",
                "time",
                "batch",
                "count",
                "store id",
                "restore id",
                "epoch",
                "once",
                "group",
                "commit",
                "time",
                "batch",
                "format",
                "commit",
                "time",
                "batch",
                "format",
                "once",
                "scope",
                "key",
                "hash",
                "note",
            ],
        ),
        (
            "request-record",
            request_record().to_bytes(),
            &["record", "format", "hash", "epoch", "revision", "version", "time", "note"],
        ),
    ]
}

fn batches() -> Vec<Example> {
    let batch = batch().encode().expect("small");
    let version = Published::after(&position(), 1_000_000, batch.sections).expect("the first");
    let head = head_after(&version);
    vec![
        (
            "version",
            version.to_bytes(),
            &[
                "version",
                "format",
                "epoch",
                "version",
                "time",
                "chain",
                "sections",
                "section",
                "section id",
                "keyspace",
                "partition",
                "operations",
                "operations",
            ],
        ),
        (
            "head",
            head.to_bytes(),
            &["head", "format", "revision", "store id", "epoch", "version", "chain", "time", "next id"],
        ),
    ]
}

fn frames() -> Vec<Example> {
    let subscribe = Subscribe {
        protocol: PROTOCOL,
        name: "edge-1".into(),
        incarnation: 77,
        position: Some(position()),
        ..Subscribe::default()
    };
    let differs = SubscribeRefusal::ChainDiffers { version: Version::new(4), chain: Chain::origin(StoreId::new(9)) };
    let heartbeat = Heartbeat { head: None, time_us: 1_000_000, ack_every_us: 100, unconfirmed_us: 50_000 };
    let path = Path::of_core(Peer { role: Role::Core, name: "core-1".into() });
    let path = path.to(Peer { role: Role::Relay, name: "relay-1".into() }).expect("two nodes are few");
    // The length in front is no MessagePack.
    let body = |frame: Frame| frame.to_bytes().slice(4..);
    vec![
        (
            "frame-subscribe",
            body(Frame::Subscribe(subscribe)),
            &[
                "frame",
                "kind",
                "body",
                "protocol",
                "name",
                "incarnation",
                "position",
                "store id",
                "epoch",
                "version",
                "chain",
            ],
        ),
        (
            "frame-refused",
            body(Frame::Refused(differs)),
            &["frame", "kind", "body", "code", "head", "store id", "epoch", "version", "chain"],
        ),
        (
            "frame-heartbeat",
            body(Frame::Heartbeat(heartbeat)),
            &["frame", "kind", "body", "head", "time", "ack every", "unconfirmed"],
        ),
        (
            "frame-path",
            body(Frame::Path(path)),
            &["frame", "kind", "path", "node", "role", "name", "node", "role", "name"],
        ),
        (
            "frame-version",
            body(Frame::Version(Bytes::from_static(b"..."))),
            &["frame", "kind", "more follows", "piece"],
        ),
    ]
}

/// Of a snapshot that goes as table files.
fn tables() -> Vec<Example> {
    let body = |frame: Frame| frame.to_bytes().slice(4..);
    vec![
        (
            "frame-tables-want",
            body(Frame::TablesWant(TablesWant::of(4096, (0..9).map(|file| file > 0)))),
            &["frame", "kind", "body", "offset", "files"],
        ),
        (
            "frame-table-piece",
            body(Frame::TablePiece(TablePiece { file: 2, offset: 4096, bytes: Bytes::from_static(b"...") })),
            &["frame", "kind", "body", "file", "offset", "piece"],
        ),
        (
            "frame-tables-end",
            body(Frame::TablesEnd(position())),
            &["frame", "kind", "position", "store id", "epoch", "version", "chain"],
        ),
        (
            "frame-tables-ask",
            body(Frame::TablesAsk(Epoch::ZERO, Version::new(40))),
            &["frame", "kind", "body", "epoch", "version"],
        ),
        (
            "table-manifest",
            manifest(),
            &[
                "manifest",
                "format",
                "position",
                "store id",
                "epoch",
                "version",
                "chain",
                "entries",
                "files",
                "file",
                "hash",
                "length",
                "first key",
                "last key",
            ],
        ),
    ]
}

/// Of one file with two keys.
fn manifest() -> Bytes {
    let key = |last| Bytes::copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0, 0, 7, last]);
    let file = TableFile { hash: TableHash::new([0xbb; 32]), len: 1000, first: key(1), last: key(9) };
    let manifest = TableManifest { position: position(), entries: 2, files: vec![file] };
    manifest.to_bytes().expect("it has one file")
}

/// The page with its examples as they must be; the names of those it shows go to `shown`.
fn filled(page: &str, examples: &[(&str, String)], shown: &mut Vec<String>) -> String {
    let mut out = String::new();
    let mut lines = page.split_inclusive('\n');
    while let Some(line) = lines.next() {
        out.push_str(line);
        let Some(name) = line.strip_prefix(FENCE).map(str::trim) else { continue };
        let example = examples.iter().find(|(known, _)| *known == name);
        let (_, text) = example.unwrap_or_else(|| panic!("there is no example {name}"));
        out.push_str(text);
        shown.push(name.to_owned());
        lines.by_ref().take_while(|line| !line.starts_with("```")).for_each(drop);
        out.push_str("```\n");
    }
    out
}

#[test]
fn documented_bytes_are_those_the_code_writes() {
    let (examples, mut shown) = (examples(), Vec::new());
    for name in PAGES {
        let path = root().join(name);
        let page = std::fs::read_to_string(&path).unwrap();
        let right = filled(&page, &examples, &mut shown);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, right).unwrap();
        } else {
            assert_eq!(page, right, "run `UPDATE_DOCS=1 cargo test -p zonecast-tests --test tidy`");
        }
    }
    let hidden = examples.iter().filter(|(name, _)| !shown.iter().any(|shown| shown == name));
    assert_eq!(hidden.map(|(name, _)| *name).collect::<Vec<_>>(), Vec::<&str>::new(), "on no page");
}

#[test]
fn a_wrong_byte_is_noticed() {
    let examples = [("one", "01  a number\n".to_owned())];
    let page = |byte: &str| format!("before\n```hex one\n{byte}  a number\n```\nafter\n");
    let mut shown = Vec::new();
    assert_eq!(filled(&page("02"), &examples, &mut shown), page("01"));
    assert_eq!(filled(&page("01"), &examples, &mut shown), page("01"));
    assert_eq!(shown, ["one", "one"]);
}
