//! Keys, values, batches and frames.

use zonecast_kv_proto::{
    Command, EncodedBatch, EncodedSection, Filter, FrameDecoder, Group, MAX_FRAME_LEN, Published, SignedManifest,
    SnapshotCheck, TableManifest, decode_entries, decode_ops,
};
use zonecast_records::{
    AddressValue, AliasValue, CoreNode, CoreZone, DnsKey, Guards, KeyBuffer, Name, RetiredGeneration, Rrset,
    RrsetValue, ZoneChange, ZoneValue,
};

pub(super) fn dns_key(bytes: &[u8]) {
    let Ok(key) = DnsKey::parse(bytes) else { return };
    assert_eq!(key.section.is_by_name(), key.node_path().is_ok());
    if let Ok(path) = key.node_path() {
        let mut buffer = KeyBuffer::new();
        assert_eq!(buffer.path(key.keyspace, key.generation, key.section, path, key.kind), bytes);
        if let Ok(name) = path.to_name(&Name::ROOT) {
            assert_eq!(name.label_count(), path.depth());
        }
    }
}

pub(super) fn address_value(bytes: &[u8]) {
    let Ok(value) = AddressValue::decode(bytes) else { return };
    let types = value.types();
    assert!(types.iter().all(|rtype| types.contains(rtype)));
    for (rrset, width) in [(value.a, 4), (value.aaaa, 16)] {
        rrset.iter().for_each(|rrset| assert!(rrset.fixed(width).all(|address| address.len() == width)));
    }
    if let Some(cut) = &value.cut {
        visit(&cut.ns);
        cut.ds.iter().for_each(visit);
        for glue in cut.glue().map_while(Result::ok) {
            assert!(glue.a.iter().flat_map(|a| a.fixed(4)).all(|address| address.len() == 4));
        }
    }
    let again = value.encode();
    assert_eq!(AddressValue::decode(&again).expect("what was encoded decodes"), value);
}

pub(super) fn rrset_value(bytes: &[u8]) {
    let Ok(value) = RrsetValue::decode(bytes) else { return };
    visit(&value.rrset);
    let again = value.encode();
    assert_eq!(RrsetValue::decode(&again).expect("what was encoded decodes"), value);
}

pub(super) fn zone_value(bytes: &[u8]) {
    let Ok(value) = ZoneValue::decode(bytes) else { return };
    value.apex().expect("checked by decode");
    if value.has_data() {
        value.serial().expect("checked by decode");
        assert!(value.negative_ttl().expect("checked by decode") <= value.soa.ttl);
        visit(&value.ns);
    }
    let again = value.encode();
    assert_eq!(ZoneValue::decode(&again).expect("what was encoded decodes"), value);
}

pub(super) fn core_values(bytes: &[u8]) {
    if let Ok(value) = CoreNode::decode(bytes) {
        assert_eq!(CoreNode::decode(&value.encode()).expect("what was encoded decodes"), value);
    }
    if let Ok(value) = CoreZone::decode(bytes) {
        let _ = value.summary();
        assert_eq!(CoreZone::decode(&value.encode()).expect("what was encoded decodes"), value);
    }
    if let Ok(value) = ZoneChange::decode(bytes) {
        assert_eq!(ZoneChange::decode(&value.encode()).expect("what was encoded decodes"), value);
    }
    if let Ok(value) = AliasValue::decode(bytes) {
        assert_eq!(AliasValue::decode(&value.encode()).expect("what was encoded decodes"), value);
    }
    if let Ok(value) = Guards::decode(bytes) {
        assert_eq!(Guards::decode(&value.encode()).expect("what was encoded decodes"), value);
    }
    if let Ok(value) = RetiredGeneration::decode(bytes) {
        value.apex().expect("checked by decode");
        assert_eq!(RetiredGeneration::decode(&value.encode()).expect("what was encoded decodes"), value);
    }
}

fn visit(rrset: &Rrset<'_>) {
    let total: usize = rrset.rdata().iter().chain(rrset.signatures().iter()).map(|item| item.len() + 2).sum();
    assert_eq!(total, rrset.data.len() + rrset.sigs.len());
}

pub(super) fn batch(bytes: &[u8]) {
    let Ok(batch) = EncodedBatch::from_bytes(bytes) else { return };
    for section in &batch.sections {
        visit_ops(section);
    }
    let again = batch.to_bytes();
    assert_eq!(EncodedBatch::from_bytes(&again).expect("what was encoded decodes"), batch);
}

fn visit_ops(section: &EncodedSection) {
    let ops: Vec<_> = decode_ops(section).collect();
    if ops.iter().all(Result::is_ok) {
        assert_eq!(u32::try_from(ops.len()), Ok(section.count));
    }
}

pub(super) fn command(bytes: &[u8]) {
    let Ok(commands) = Command::read_entry(bytes) else { return };
    let again = match &commands[..] {
        [command] => command.to_bytes(),
        several => group(several).to_bytes(),
    };
    assert_eq!(Command::read_entry(&again).expect("what was encoded decodes"), commands);
}

fn group(commands: &[Command]) -> Group {
    let mut group = Group::default();
    for command in commands {
        let Command::Batch(commit) = command else { panic!("a group has batches only") };
        group.push(commit.clone()).expect("it was in one");
    }
    group
}

/// Versions, with sections left out or not; and filters.
pub(super) fn published(bytes: &[u8]) {
    if let Ok(filter) = Filter::from_bytes(bytes) {
        assert_eq!(Filter::from_bytes(&filter.to_bytes()).expect("what was encoded decodes"), filter);
    }
    let Ok(published) = Published::from_bytes(bytes) else { return };
    for section in &published.sections {
        visit_ops(section);
    }
    assert_eq!(Published::from_bytes(&published.to_bytes()).expect("what was encoded decodes"), published);
    let partial = published.filtered(&Filter::new([]).expect("the least one"));
    assert_eq!(Published::from_bytes(&partial.to_bytes()).expect("what was left out is as good"), partial);
}

pub(super) fn snapshot_entries(bytes: &[u8]) {
    let mut read = 0;
    for (key, value) in decode_entries(bytes).map_while(Result::ok) {
        read += key.len() + value.len() + 6;
        assert!(read <= bytes.len());
    }
    let mut check = SnapshotCheck::new();
    if check.add(bytes, None).is_ok() {
        assert_eq!(read, bytes.len());
    }
}

/// Signed or not.
pub(super) fn table_manifest(bytes: &[u8]) {
    let signed = SignedManifest::from_bytes(bytes).ok();
    if let Some(signed) = &signed {
        assert_eq!(SignedManifest::from_bytes(&signed.to_bytes()).expect("what was encoded decodes"), *signed);
    }
    let plain = signed.as_ref().map_or(bytes, |signed| &signed.manifest);
    let Ok(manifest) = TableManifest::from_bytes(plain) else { return };
    assert!(manifest.files.iter().all(|file| file.len > 0 && file.first <= file.last));
    assert!(manifest.files.iter().zip(manifest.files.iter().skip(1)).all(|(one, next)| one.last < next.first));
    let again = manifest.to_bytes().expect("what fits a message is encoded");
    assert_eq!(TableManifest::from_bytes(&again).expect("what was encoded decodes"), manifest);
}

/// The first byte says in pieces of which size the rest arrives.
pub(super) fn frames(bytes: &[u8]) {
    let Some((size, stream)) = bytes.split_first() else { return };
    let mut decoder = FrameDecoder::new();
    for piece in stream.chunks(usize::from(*size).max(1)) {
        decoder.push(piece);
        loop {
            match decoder.poll() {
                Ok(Some(frame)) => assert!(frame.to_bytes().len() <= stream.len() + MAX_FRAME_LEN),
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
}
