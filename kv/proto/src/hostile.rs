//! What the worst input of its size makes a decoder hold, counted in lengths and capacities; and what must never be
//! taken for a value: one with something after it.

use bytes::Bytes;

use crate::batch::sections_len;
use crate::{
    Batch, Command, DecodeError, Edition, EncodeError, EncodedBatch, EncodedSection, FEATURE_LEVEL, Filter,
    FrameDecoder, FrameError, Head, KeptRequests, Key, KeyspaceId, MAX_BATCH_LEN, MAX_FRAGMENT_LEN, MAX_MESSAGE_LEN,
    MAX_REQUEST_LEN, MAX_SECTIONS, Op, OpError, Position, Precondition, Published, PublishedError, SECTION_OVERHEAD,
    Section, SectionId, SignedManifest, StoreId, TableFile, TableManifest, Value, decode_ops,
};

fn id(partition: u64) -> SectionId {
    SectionId { keyspace: KeyspaceId::DNS, partition }
}

fn key(bytes: &[u8]) -> Key {
    Key::new(bytes.to_vec()).unwrap()
}

fn put(partition: u64, value: usize) -> Section {
    Section { id: id(partition), ops: vec![Op::Put { key: key(&[0, 1]), value: Value::new(vec![7; value]).unwrap() }] }
}

fn version(sections: Vec<EncodedSection>) -> Published {
    Published::after(&Position::origin(StoreId::new(5)), 10, sections).unwrap()
}

/// Bytes that these sections take in memory.
fn held(sections: &Vec<EncodedSection>) -> usize {
    sections.capacity() * size_of::<EncodedSection>() + sections.iter().map(|section| section.ops.len()).sum::<usize>()
}

/// A batch or version whose sections are `count` empty arrays: one byte each.
fn empty_sections(before: &[u8], count: usize) -> Vec<u8> {
    let head = [before, &[0xdd], &u32::try_from(count).unwrap().to_be_bytes()].concat();
    [head, vec![0x90; count]].concat()
}

#[test]
fn millions_of_empty_sections_are_refused_before_they_are_kept() {
    let batch = |count| EncodedBatch::from_bytes(&empty_sections(&[0x93, 1, 0x90], count));
    assert!(matches!(batch(MAX_BATCH_LEN), Err(DecodeError::Batch(_))));
    assert!(matches!(batch(MAX_SECTIONS + 1), Err(DecodeError::Batch(_))));
    // As many as may be are read, to find that they are all the same one.
    assert!(matches!(batch(MAX_SECTIONS), Err(DecodeError::Limit(EncodeError::SectionTwice(_)))));

    let fields = [&[0x96, 1, 0, 1, 0, 0xc4, 32][..], &[0; 32]].concat();
    let published = |count| Published::from_bytes(&empty_sections(&fields, count));
    assert!(matches!(published(MAX_BATCH_LEN), Err(PublishedError::Syntax(_))));
    assert!(matches!(published(2), Err(PublishedError::Limit(EncodeError::SectionTwice(_)))));

    let mut command = vec![0x94, 1, 0, 0];
    command.extend(empty_sections(&[0x93, 1, 0x90], MAX_BATCH_LEN));
    assert!(Command::from_bytes(&command).is_err());
}

#[test]
fn millions_of_preconditions_are_refused_on_both_sides() {
    let required = Precondition { section: id(1), edition: Edition::ZERO };
    let batch = |count| Batch { preconditions: vec![required; count], sections: vec![put(1, 1)] };
    assert!(batch(MAX_SECTIONS).encode().is_ok());
    assert_eq!(batch(MAX_SECTIONS + 1).encode(), Err(EncodeError::Preconditions(MAX_SECTIONS + 1)));
    let encoded = EncodedBatch { preconditions: vec![required; 1_000_000], ..batch(1).encode().unwrap() };
    assert!(matches!(EncodedBatch::from_bytes(&encoded.to_bytes()), Err(DecodeError::Batch(_))));
}

#[test]
fn a_batch_takes_about_its_bytes_however_it_is_cut_into_sections() {
    assert!(size_of::<EncodedSection>() <= SECTION_OVERHEAD);
    // As many sections as there can be with an operation each, of the longest header.
    let far = u64::MAX - u64::try_from(MAX_SECTIONS).unwrap();
    let sections = |count: usize| (0..count).map(|at| put(far + u64::try_from(at).unwrap(), 1)).collect();
    let batch = |count| Batch { preconditions: vec![], sections: sections(count) };
    let one = batch(1).encode().unwrap().len();
    let most = MAX_BATCH_LEN / one;
    assert!(matches!(batch(most + 1).encode(), Err(EncodeError::Long(_))));

    let encoded = batch(most).encode().unwrap();
    assert!(encoded.len() <= MAX_BATCH_LEN && encoded.len() + one > MAX_BATCH_LEN);
    let read = EncodedBatch::from_bytes(&encoded.to_bytes()).unwrap();
    assert!(held(&read.sections) <= 2 * MAX_BATCH_LEN, "{} bytes", held(&read.sections));

    let wire = version(encoded.sections).to_bytes();
    assert!(wire.len() <= MAX_BATCH_LEN);
    let read = Published::from_bytes(&wire).unwrap();
    assert!(held(&read.sections) <= 2 * MAX_BATCH_LEN, "{} bytes", held(&read.sections));
    assert_eq!(read.len(), sections_len(&read.sections));
}

#[test]
fn whatever_is_committed_fits_a_message_to_the_edges() {
    // The headers of many sections once took more than the room for them, and no edge could be sent such a version.
    for count in [1, 100, 10_000, 50_000] {
        // A put takes 11 bytes at most beside its value of a key of two bytes.
        let parts = (MAX_BATCH_LEN / count).div_ceil(crate::MAX_VALUE_LEN);
        let value = MAX_BATCH_LEN / count - SECTION_OVERHEAD - 11 * parts;
        let section = |partition| {
            let ops = (0..parts).flat_map(|_| put(partition, value / parts).ops).collect();
            Section { id: id(partition | 1 << 63), ops }
        };
        let batch =
            Batch { preconditions: vec![], sections: (0..u64::try_from(count).unwrap()).map(section).collect() };
        let encoded = batch.encode().unwrap();
        assert!(encoded.len() > MAX_BATCH_LEN - MAX_BATCH_LEN / 4, "{count} sections do not fill it");
        let wire = version(encoded.sections).to_bytes();
        assert!(wire.len() <= MAX_MESSAGE_LEN, "{count} sections take {} bytes", wire.len());
    }
}

#[test]
fn a_section_twice_is_refused_in_a_version_too() {
    let section = Batch { preconditions: vec![], sections: vec![put(1, 1)] }.encode().unwrap().sections.remove(0);
    let twice = version(vec![section.clone(), section]);
    let read = Published::from_bytes(&twice.to_bytes());
    assert!(matches!(read, Err(PublishedError::Limit(EncodeError::SectionTwice(_)))), "{read:?}");
}

#[test]
fn a_range_ends_in_its_keyspace_or_where_that_ends() {
    let range = |keyspace: u16, end: &[u8]| {
        let section = SectionId { keyspace: KeyspaceId::new(keyspace), partition: 1 };
        let op = Op::DeleteRange { start: key(&keyspace.to_be_bytes()), end: key(end) };
        Batch { preconditions: vec![], sections: vec![Section { id: section, ops: vec![op] }] }.encode()
    };
    for good in [&[0, 1, 9][..], &[0, 1], &[0, 2]] {
        let encoded = range(1, good).unwrap();
        assert!(decode_ops(&encoded.sections[0]).all(|op| op.is_ok()), "{good:?}");
    }
    for bad in [&[0, 2, 0][..], &[0, 3], &[0x80, 0], &[0xff; 9], &[0, 0, 1]] {
        let refused = range(1, bad).unwrap_err();
        assert!(matches!(&refused, EncodeError::RangeEnd { end, .. } if end.as_bytes() == bad), "{refused}");
        // The same from someone who does not check.
        let ops = rmp_serde::to_vec(&(2_u8, serde_bytes::Bytes::new(&[0, 1]), serde_bytes::Bytes::new(bad))).unwrap();
        let section = EncodedSection { id: id(1), count: 1, ops: ops.into() };
        let error = decode_ops(&section).next().unwrap().unwrap_err();
        assert!(matches!(&error, DecodeError::Op { problem: OpError::RangeEnd(end), number: 0, section }
            if end.as_bytes() == bad && *section == id(1)));
        assert!(error.to_string().contains("range ends at"), "{error}");
    }
    // Nothing is beyond the last keyspace.
    assert!(range(0xffff, &[0xff, 0xff, 1]).is_ok());
    assert!(range(0xffff, &[0, 0]).is_err());
}

#[test]
fn a_publisher_holds_little_for_a_downstream_that_says_much() {
    let claim = |kind: u8, len: usize| {
        let mut wire = u32::try_from(len).unwrap().to_be_bytes().to_vec();
        wire.extend([0x93, kind, 0xc3]);
        wire
    };
    let mut decoder = FrameDecoder::for_publisher();
    decoder.push(&claim(8, MAX_REQUEST_LEN + 1));
    assert!(matches!(decoder.poll(), Err(FrameError::Long(_, MAX_REQUEST_LEN))));

    // Fragments of a version, short enough each.
    let piece = crate::Frame::Version(Bytes::from(vec![0; 1000])).to_bytes();
    let mut decoder = FrameDecoder::for_publisher();
    decoder.push(&piece);
    assert!(matches!(decoder.poll(), Err(FrameError::NotForPublishers(_))));
    let mut decoder = FrameDecoder::new();
    decoder.push(&piece);
    assert!(decoder.poll().unwrap().is_some(), "a downstream takes it");
}

#[test]
fn a_short_message_does_not_keep_what_came_with_it_alive() {
    let entries = Bytes::from_static(b"\x00\x02\x00\x01\x00\x00\x00\x00");
    let mut wire = bytes::BytesMut::new();
    crate::Frame::SnapshotEntries(entries.clone()).encode(&mut wire);
    crate::Frame::Version(Bytes::from(vec![0; MAX_FRAGMENT_LEN])).encode(&mut wire);
    let mut decoder = FrameDecoder::new();
    decoder.push(&wire);
    let Some(crate::Frame::SnapshotEntries(kept)) = decoder.poll().unwrap() else { panic!("no entries") };
    assert!(decoder.poll().unwrap().is_some());
    assert_eq!(kept, entries);
    // The last owner of a buffer can have it back whole; this one holds its own bytes and no more.
    let owned = kept.try_into_mut().expect("nobody else owns it");
    assert!(owned.capacity() <= 64, "{} bytes are held for {}", owned.capacity(), owned.len());
}

/// Whether bytes are read without an error.
type Reads = fn(&[u8]) -> bool;

/// Decoders of whole values, each with an array whose last field is set.
fn values() -> Vec<(&'static str, Vec<u8>, Reads)> {
    let batch = Batch {
        preconditions: vec![Precondition { section: id(1), edition: Edition::new(3) }],
        sections: vec![put(1, 3)],
    };
    let encoded = batch.encode().unwrap();
    let partial = version(encoded.sections.clone()).filtered(&Filter::new([]).unwrap());
    let limits = Command::LimitRequests { records: 1, bytes: 2 };
    let requests = KeptRequests { records: 1, ..KeptRequests::default() };
    let head = Head { requests, level: FEATURE_LEVEL, ..Head::default() };
    let file = TableFile { len: 9, first: vec![0, 1].into(), last: vec![0, 1, 2].into(), ..TableFile::default() };
    let manifest = TableManifest { position: Position::origin(StoreId::new(5)), entries: 2, files: vec![file] };
    let manifest = manifest.to_bytes().unwrap();
    let signed = SignedManifest::new(manifest.clone(), vec![1].into(), 0x403, vec![2].into());
    vec![
        ("manifest", manifest.to_vec(), |bytes| TableManifest::from_bytes(bytes).is_ok()),
        ("signed manifest", signed.to_bytes().to_vec(), |bytes| SignedManifest::from_bytes(bytes).is_ok()),
        ("batch", encoded.to_bytes().to_vec(), |bytes| EncodedBatch::from_bytes(bytes).is_ok()),
        ("version", partial.to_bytes().to_vec(), |bytes| Published::from_bytes(bytes).is_ok()),
        ("command", limits.to_bytes().to_vec(), |bytes| Command::read_entry(bytes).is_ok()),
        ("head", head.to_bytes().to_vec(), |bytes| Head::from_bytes(bytes).is_ok()),
    ]
}

#[test]
fn a_field_after_the_last_is_skipped_and_a_byte_after_the_value_is_not() {
    for (name, value, reads) in values() {
        assert!(reads(&value), "{name}");
        for cut in 0..value.len() {
            assert!(!reads(&value[..cut]), "{name} cut at {cut}");
        }
        for rest in [&[0][..], &[0xc0], &[0x90], &[0xc1], &[0x91], &value] {
            assert!(!reads(&[&value[..], rest].concat()), "{name} with {rest:x?} after it");
        }
        let mut longer = value.clone();
        assert_eq!(longer[0] & 0xf0, 0x90, "{name} is a short array");
        longer[0] += 1;
        assert!(reads(&[&longer[..], &rmp_serde::to_vec(&("new", [1, 2])).unwrap()].concat()), "{name}");
        assert!(!reads(&longer), "{name}");
    }
}
