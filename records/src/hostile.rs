//! Every stored value cut, flipped, lengthened and followed by something; and how much the worst value makes us hold.

use serde_bytes::Bytes;
use zonecast_kv_proto::MAX_VALUE_LEN;

use crate::{
    AddressValue, AliasValue, AsideRecord, ChangeKind, CoreNode, CoreZone, Cut, Generation, Glue, Guards, Name,
    Nsec3Chain, OlderSerial, OwnTtls, Percent, RdataListBuilder, RetiredGeneration, Rrset, RrsetValue,
    TypeBitmapBuilder, ZoneChange, ZoneId, ZoneValue,
};

/// Reads a value and everything in it.
type Read = fn(&[u8]) -> bool;

/// One of each kind, with its last field set.
fn values() -> Vec<(&'static str, Vec<u8>, Read)> {
    let wire = |items: &[&[u8]]| RdataListBuilder::from_items(items).into_bytes();
    let (soa, ns) = (wire(&[&[&b"\x01m\x00\x01r\x00"[..], &[7; 20]].concat()]), wire(&[b"\x02ns\x00"]));
    let sigs = wire(&[&[1; 30]]);
    let rrset = |data| Rrset { ttl: 300, data: Bytes::new(data), sigs: Bytes::new(&sigs) };
    let apex: Name = "Example.com".parse().unwrap();
    let zone =
        ZoneValue { soa: rrset(&soa), ns: rrset(&ns), ..ZoneValue::new(&apex, ZoneId::new(1), Generation::new(2)) };
    let types = TypeBitmapBuilder::from_types([domain::base::iana::Rtype::NS, domain::base::iana::Rtype::A]);
    let glue = Cut::pack_glue([Glue { name: Bytes::new(b"\x02ns\x00"), a: Some(rrset(&[1, 2, 3, 4])), aaaa: None }]);
    let cut = Cut { ns: rrset(&ns), glue: glue.as_bytes(), ds: Some(rrset(&ns)) };
    let address = AddressValue { a: Some(rrset(&[1; 8])), cut: Some(cut), ..AddressValue::new(types.as_bytes()) };
    let ttls = vec![
        OwnTtls { rtype: 1, records: vec![60, 300], sigs: vec![] },
        OwnTtls { rtype: 257, records: vec![], sigs: vec![70_000, u32::MAX] },
    ];
    let chain = |parameters| Nsec3Chain { parameters: Bytes::new(parameters), count: 300 };
    let core_zone = CoreZone {
        records: 70_000,
        wildcards: vec![0, 2],
        cuts: vec![70_000],
        dnames: vec![0, 0, 1],
        chains: vec![chain(&[1, 0, 0, 0]), chain(&[1, 0, 5, 1, 9])],
        serial: 2,
        default_ttl: 3600,
        layered: 1,
        flatten: true,
        max_shrink: 11,
        older_serial: 2,
        ..CoreZone::new(b"digest")
    };
    let aside = vec![AsideRecord { rtype: 16, ttl: 60, rdata: Bytes::new(b"\x01a"), why: 1 }];
    let core_node = CoreNode { overridden: vec![1, 28], aside, ..CoreNode::new(b"\x03WwW", ttls) };
    let change = ZoneChange { serial: 7, undo: Bytes::new(b"batch"), ..ZoneChange::new(ChangeKind::Replaced, 9, "ci") };
    let guards = Guards { max_shrink: Some(Percent::ALL), older_serial: Some(OlderSerial::Warn) };
    vec![
        ("zone", zone.encode(), |bytes| ZoneValue::decode(bytes).is_ok()),
        ("RRset", RrsetValue::new(rrset(&ns)).encode(), |bytes| RrsetValue::decode(bytes).is_ok()),
        ("address", address.encode(), |bytes| {
            AddressValue::decode(bytes)
                .is_ok_and(|value| value.cut.is_none_or(|cut| cut.glue().all(|glue| glue.is_ok())))
        }),
        ("core node", core_node.encode(), |bytes| {
            CoreNode::decode(bytes).is_ok_and(|value| CoreNode::decode(&value.encode()).unwrap() == value)
        }),
        ("core zone", core_zone.encode(), |bytes| {
            CoreZone::decode(bytes).is_ok_and(|value| {
                let _ = value.summary();
                CoreZone::decode(&value.encode()).unwrap() == value
            })
        }),
        ("alias", AliasValue::new(&apex).encode(), |bytes| AliasValue::decode(bytes).is_ok()),
        ("change", change.encode(), |bytes| ZoneChange::decode(bytes).is_ok()),
        ("guards", guards.encode(), |bytes| {
            Guards::decode(bytes).is_ok_and(|value| Guards::decode(&value.encode()).unwrap() == value)
        }),
        ("retired generation", RetiredGeneration::new(&apex, Generation::new(3), 9).encode(), |bytes| {
            RetiredGeneration::decode(bytes).is_ok()
        }),
    ]
}

#[test]
fn every_truncation_is_an_error_and_no_flip_panics() {
    for (name, value, reads) in values() {
        assert!(reads(&value), "{name}");
        for cut in 0..value.len() {
            assert!(!reads(&value[..cut]), "{name} cut at {cut}");
        }
        for at in 0..value.len() * 8 {
            let mut flipped = value.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            let _ = reads(&flipped);
        }
    }
}

#[test]
fn a_field_after_the_last_is_skipped_and_a_byte_after_the_value_is_not() {
    for (name, value, reads) in values() {
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

#[test]
fn a_byte_after_a_glue_entry_is_noticed() {
    let entry = rmp_serde::to_vec(&Glue { name: Bytes::new(b"\x02ns\x00"), a: None, aaaa: None }).unwrap();
    for (rest, good) in [(&[][..], true), (&[0xc0], false)] {
        let list = RdataListBuilder::from_items([[&entry[..], rest].concat()]);
        let cut = Cut { glue: list.as_bytes(), ..Cut::default() };
        assert_eq!(cut.glue().all(|glue| glue.is_ok()), good, "{rest:x?}");
    }
}

/// A value whose field after `before` is as many one-byte elements as a value can hold.
fn full_of(before: &[u8], element: u8) -> Vec<u8> {
    let count = MAX_VALUE_LEN - before.len() - 5;
    let head = [before, &[0xdd], &u32::try_from(count).unwrap().to_be_bytes()].concat();
    [head, vec![element; count]].concat()
}

#[test]
fn no_value_makes_us_hold_many_times_its_size() {
    // TTLs of types that are all the same, and empty.
    assert!(CoreNode::decode(&full_of(&[0x93, 1, 0xc4, 0], 0x90)).is_err());
    // TTLs of one RRset: four bytes each, and there may be many.
    let one = full_of(&[0x93, 1, 0xc4, 0, 0x91, 0x92, 1], 5);
    let value = CoreNode::decode(&one).unwrap();
    let held = value.ttls[0].records.capacity() * size_of::<u32>();
    assert!(held <= 8 * one.len(), "{held} bytes");
    // Records that are set aside, and types that are overridden.
    assert!(CoreNode::decode(&full_of(&[0x95, 1, 0xc4, 0, 0x90, 0x90], 0x90)).is_err());
    assert!(CoreNode::decode(&full_of(&[0x94, 1, 0xc4, 0, 0x90], 1)).is_err());
    // As many types as there are.
    let all: Vec<OwnTtls> = (0..=u16::MAX).map(|rtype| OwnTtls { rtype, ..OwnTtls::default() }).collect();
    let wire = CoreNode::new(b"", all).encode();
    let value = CoreNode::decode(&wire).unwrap();
    assert!(value.ttls.capacity() * size_of::<OwnTtls>() <= 4 * MAX_VALUE_LEN);

    for field in 0..4 {
        let before = [&[0x94 + field, 1, 0xc4, 0, 9][..], &vec![0x90; usize::from(field)]].concat();
        let element = if field == 3 { 0x90 } else { 1 };
        assert!(CoreZone::decode(&full_of(&before, element)).is_err(), "field {field}");
    }
    let chains: Vec<_> = (0..crate::MAX_CHAINS).map(|_| Nsec3Chain::default()).collect();
    assert!(CoreZone::decode(&CoreZone { chains, ..CoreZone::new(b"") }.encode()).is_ok());
}
