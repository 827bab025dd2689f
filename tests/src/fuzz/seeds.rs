//! Valid inputs to begin from.

use bytes::Bytes;
use domain::base::iana::{Class, Rtype};
use domain::base::{MessageBuilder, Name};
use zonecast_kv_proto::{
    Ack, Chain, Command, Commit, Epoch, Filter, Frame, Group, Heartbeat, Idempotency, KeyspaceId, Note, OmittedSection,
    Once, OperationsHash, PROTOCOL, Position, Published, RequestKey, RestoreId, SectionId, SignedManifest, SkippedRun,
    SkippedVersion, SnapshotEnd, StoreId, Subscribe, SubscribeRefusal, TableFile, TableHash, TableManifest, TablePiece,
    TablesWant, Version, encode_entries,
};

use super::world;

pub(super) fn keys() -> Vec<Vec<u8>> {
    world::store().entries().map(|(key, _)| key.to_vec()).collect()
}

pub(super) fn values() -> Vec<Vec<u8>> {
    world::store().entries().map(|(_, value)| value.to_vec()).collect()
}

pub(super) fn batches() -> Vec<Vec<u8>> {
    let encoded = world::batches().into_iter().map(|batch| batch.encode().expect("built to fit"));
    encoded.map(|batch| batch.to_bytes().to_vec()).collect()
}

pub(super) fn commands() -> Vec<Vec<u8>> {
    let batch = world::batches().first().map(|batch| batch.encode().expect("built to fit")).unwrap_or_default();
    let commands = [
        Command::Batch(Commit { time_us: 5, batch: batch.clone(), once: None }),
        Command::Allocate { count: 3 },
        Command::Found { store: StoreId::new(9) },
        Command::Fork { time_us: 6, restore: RestoreId::new(7), epoch: Epoch::new(2) },
    ];
    let mut group = Group::default();
    let key = RequestKey::made_at(1, 2);
    let idempotency = Idempotency { scope: [3; 16], key, request_hash: [4; 32] };
    let once = Once { idempotency, note: Note::new(&b"note"[..]).expect("short") };
    for once in [None, Some(once)] {
        group.push(Commit { time_us: 7, batch: batch.clone(), once }).expect("small");
    }
    commands.iter().map(Command::to_bytes).chain([group.to_bytes()]).map(|bytes| bytes.to_vec()).collect()
}

pub(super) fn published() -> Vec<Vec<u8>> {
    let batch = world::batches().first().map(|batch| batch.encode().expect("built to fit")).unwrap_or_default();
    let public = batch.sections.into_iter().filter(|section| section.id.keyspace.is_published()).collect();
    let origin = Position::origin(StoreId::new(9));
    let version = Published::after(&origin, 1_000, public).expect("the first version");
    let fork = Published::fork(&origin, Epoch::ZERO, 1_000, RestoreId::new(7)).expect("the first version");
    let filters = [Filter::new([]), Filter::new([KeyspaceId::DNS])].map(|filter| filter.expect("published keyspaces"));
    let partial = version.filtered(&filters[0]);
    let versions = [version, fork, partial].map(|version| version.to_bytes().to_vec());
    versions.into_iter().chain(filters.map(|filter| filter.to_bytes())).collect()
}

pub(super) fn snapshots() -> Vec<Vec<u8>> {
    let entries = world::store().entries();
    let entries: Vec<_> =
        entries.map(|(key, value)| (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value))).collect();
    entries.chunks(3).map(|chunk| encode_entries(chunk).to_vec()).collect()
}

pub(super) fn manifests() -> Vec<Vec<u8>> {
    let position = Position { version: Version::new(3), ..Position::origin(StoreId::new(9)) };
    let file = |number: u8| {
        let key = |last| Bytes::copy_from_slice(&[0, 1, number, last]);
        TableFile { hash: TableHash::new([number; 32]), len: 1 << number, first: key(0), last: key(9) }
    };
    let manifest = |files: Vec<TableFile>| TableManifest { position, entries: files.len() as u64 * 300, files };
    let manifests = [vec![], vec![file(1)], (2..9).map(file).collect()].map(manifest);
    let plain: Vec<Bytes> = manifests.iter().filter_map(|manifest| manifest.to_bytes().ok()).collect();
    let signed = plain.iter().map(|bytes| {
        SignedManifest::new(bytes.clone(), Bytes::from_static(b"certificate"), 0x403, Bytes::from_static(b"signature"))
    });
    signed.map(|signed| signed.to_bytes().to_vec()).chain(plain.iter().map(|bytes| bytes.to_vec())).collect()
}

/// Two versions of which all is left out.
fn skipped_run() -> SkippedRun {
    let id = SectionId { keyspace: KeyspaceId::DNS, partition: 1 };
    let omitted = OmittedSection { id, operations: OperationsHash::of(b"operations"), after: 0 };
    let versions = vec![SkippedVersion { time_us: 5, omitted: vec![omitted] }, SkippedVersion::default()];
    SkippedRun { epoch: Epoch::ZERO, first: Version::new(1), chain: Chain::default(), versions }
}

pub(super) fn frames() -> Vec<Vec<u8>> {
    let at = Position { version: Version::new(3), ..Position::origin(StoreId::new(9)) };
    let ack = Ack { incarnation: 1, epoch: Epoch::new(2), applied: Version::new(3), ..Ack::default() };
    let version = published().into_iter().next().map(Bytes::from).unwrap_or_default();
    let frames = [
        Frame::Goodbye,
        Frame::Ack(ack),
        Frame::Heartbeat(Heartbeat::default()),
        Frame::Version(version.slice(..version.len().min(200))),
        Frame::Subscribe(Subscribe {
            protocol: PROTOCOL,
            name: "edge-1".into(),
            position: Some(at),
            ..Subscribe::default()
        }),
        Frame::Stream(at),
        Frame::SnapshotFollows(at),
        Frame::SnapshotEntries(snapshots().into_iter().next().map(Bytes::from).unwrap_or_default()),
        Frame::SnapshotEnd(SnapshotEnd { position: Some(at), entries: 3, ..SnapshotEnd::default() }),
        Frame::TablesFollow(manifests().into_iter().next().map(Bytes::from).unwrap_or_default()),
        Frame::TablesWant(TablesWant::of(9, [false, true])),
        Frame::TablesAsk(Epoch::ZERO, Version::new(4)),
        Frame::TablePiece(TablePiece { file: 1, offset: 9, bytes: Bytes::from_static(b"piece") }),
        Frame::TablesEnd(at),
        Frame::Skipped(skipped_run()),
        Frame::Refused(SubscribeRefusal::Ahead(at)),
        Frame::Refused(SubscribeRefusal::OtherStore(at.store)),
        Frame::Refused(SubscribeRefusal::ForkedAt { epoch: Epoch::new(1), version: Version::new(4) }),
        Frame::Refused(SubscribeRefusal::ChainDiffers { version: at.version, chain: at.chain }),
    ];
    let streams = frames.iter().map(|frame| [&[5], frame.to_bytes().as_ref()].concat());
    let together: Vec<u8> = frames.iter().flat_map(|frame| frame.to_bytes().to_vec()).collect();
    streams.chain([[&[64], together.as_slice()].concat()]).collect()
}

pub(super) fn zone_files() -> Vec<Vec<u8>> {
    let with = |text: &str| format!("@ 60 SOA a b 1 2 3 4 5\n@ 60 NS a\n{text}").into_bytes();
    vec![
        world::ZONE.as_bytes().to_vec(),
        with("$GENERATE 1-9/2 h${0,3,x} 60 A 192.0.2.$\n"),
        with("$ORIGIN x\n$TTL 1w2d\ny IN 5m TXT ( \"a\n\" b ) ; c\n"),
        with("a 1 TYPE1 \\# 4 c0000201\n$INCLUDE other.zone sub\n"),
        with("a 1 LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m\na 1 NAPTR 1 1 \"S\" \"\" \"\" b\n"),
        with("a 1 SVCB 1 . mandatory=alpn alpn=\"h2,h3\" port=1 key667=\"x\\,\"\na 1 CAA 0 issue \"x\"\n"),
        with("a 1 NSEC b A NS TYPE1234\na 1 RRSIG A 8 1 1 20201101190000 20201019180000 1 b AA==\n"),
        with("a 1 NSEC3 1 0 5 aabb 2t7b4g4vsa5smi47k61mv5bv1a22bojr A RRSIG\na 1 NSEC3PARAM 1 0 5 -\n"),
    ]
}

pub(super) fn record_texts() -> Vec<Vec<u8>> {
    let texts = [
        "www\nA\n60\n192.0.2.1",
        "@\nMX\n1h\n10\nmail",
        "a.example.\nTXT\n\nplain\n\"quoted \\\" text\"",
        "x\nTYPE65280\n5\n\\#\n2\n0102",
        "*\nSRV\n1\n0\n0\n80\nhost",
        "a\nHTTPS\n\n1\n.\nalpn=h2",
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

pub(super) fn queries() -> Vec<Vec<u8>> {
    let asked = [
        ("example.", Rtype::SOA),
        ("example.", Rtype::ANY),
        ("mail.example.", Rtype::A),
        ("ALIAS.example.", Rtype::AAAA),
        ("x.wild.example.", Rtype::TXT),
        ("b.ent.example.", Rtype::A),
        ("www.sub.example.", Rtype::A),
        ("sub.example.", Rtype::DS),
        ("x.dn.example.", Rtype::TXT),
        ("loop.example.", Rtype::A),
        ("nope.example.", Rtype::A),
        ("elsewhere.", Rtype::A),
    ];
    asked.into_iter().map(|(name, rtype)| [&[0], query(name, rtype).as_slice()].concat()).collect()
}

fn query(name: &str, rtype: Rtype) -> Vec<u8> {
    let name: Name<Vec<u8>> = name.parse().expect("a name");
    let mut builder = MessageBuilder::new_vec().question();
    builder.push((name, rtype, Class::IN)).expect("fits");
    let mut builder = builder.additional();
    let opt = builder.opt(|opt| {
        opt.set_udp_payload_size(1232);
        opt.set_dnssec_ok(true);
        Ok(())
    });
    opt.expect("fits");
    builder.finish()
}

/// One change of each kind and type at names that matter, on a sound store and on a damaged one.
pub(super) fn changes() -> Vec<Vec<u8>> {
    let one = |kind: u8, at: u8| vec![kind, 2, at, at.wrapping_mul(5), at, 60, 1, at, 1, at, at];
    let kinds = (0..96_u8).map(|number| one(number % 6, number / 6));
    let together: Vec<u8> = kinds.clone().step_by(7).flatten().collect();
    let sound = kinds.chain([together]).map(|change| [&[0; 5][..], &change].concat());
    let damaged = damages().into_iter().zip(sound.clone());
    let damaged: Vec<_> =
        damaged.map(|(damage, change)| [damage.get(..4).unwrap_or_default(), &change].concat()).collect();
    sound.chain(damaged).collect()
}

/// Each stored value flipped in one place, with a query that reads it or does not.
pub(super) fn damages() -> Vec<Vec<u8>> {
    let queries = queries();
    let edits = (0_u8..40).map(|which| [which, 0, which.wrapping_mul(7), 1]);
    let with_queries = edits.zip(queries.iter().cycle());
    with_queries.map(|(edit, query)| [&edit, &[0; 4][..], query.get(1..).unwrap_or_default()].concat()).collect()
}
