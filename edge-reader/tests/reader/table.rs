//! The zone table: longest match, following batches, clones, memory.

use std::collections::BTreeMap;

use proptest::prelude::*;
use zonecast_edge_reader::{Zone, ZoneTable};
use zonecast_kv_proto::{KeyspaceId, MemoryView, OpRef};
use zonecast_records::{Generation, KeyBuffer, KeySection, Name, NameInZone, Path, ZoneId, ZoneValue};

fn value(apex: &Name, generation: u64) -> Vec<u8> {
    let mut rdata = vec![0, 22, 0, 0];
    rdata.extend([0; 20]);
    let soa = zonecast_records::Rrset { ttl: 1, data: serde_bytes::Bytes::new(&rdata), ..Default::default() };
    ZoneValue { soa, ..ZoneValue::new(apex, ZoneId::new(generation), Generation::new(generation)) }.encode()
}

fn key(apex: &Name) -> Vec<u8> {
    KeyBuffer::new().zone(KeyspaceId::DNS, apex).to_vec()
}

fn find(table: &ZoneTable, name: &Name) -> Option<Zone> {
    table.find(Path::of(name, 0, &mut Vec::new()))
}

fn name() -> impl Strategy<Value = Name> {
    let label = prop::sample::select(vec![&b"a"[..], b"B", b"\0", b"\x01"]);
    prop::collection::vec(label, 0..5).prop_map(|labels| Name::below(&Name::ROOT, labels.into_iter()).unwrap())
}

#[derive(Clone, Debug)]
enum Change {
    Put(Name, u64),
    Delete(Name),
    Range(Box<(Name, Name)>),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (name(), 1..9_u64).prop_map(|(apex, generation)| Change::Put(apex, generation)),
        2 => name().prop_map(Change::Delete),
        1 => (name(), name()).prop_map(|range| Change::Range(Box::new(range))),
    ]
}

proptest! {
    #[test]
    fn follows_a_plain_map(changes in prop::collection::vec(change(), 0..40), probes in prop::collection::vec(name(), 20)) {
        let mut model: BTreeMap<Name, u64> = BTreeMap::new();
        let mut view = MemoryView::new();
        let mut table = ZoneTable::new();
        for change in changes {
            let before = (table.clone(), model.clone());
            match change {
                Change::Put(apex, generation) => {
                    model.insert(apex, generation);
                    view.insert(&key(&apex), &value(&apex, generation));
                    table.apply(OpRef::Put { key: &key(&apex), value: &value(&apex, generation) });
                }
                Change::Delete(apex) => {
                    model.remove(&apex);
                    table.apply(OpRef::Delete { key: &key(&apex) });
                }
                Change::Range(range) => {
                    let (start, end) = *range;
                    model.retain(|apex, _| !(start <= *apex && *apex < end));
                    table.apply(OpRef::DeleteRange { start: &key(&start), end: &key(&end) });
                }
            }
            for (table, model) in [&before, &(table.clone(), model.clone())] {
                prop_assert_eq!(table.len(), model.len());
                for probe in &probes {
                    let longest = (0..=probe.label_count()).rev().map(|count| probe.suffix(count)).find_map(|apex| model.get(&apex).map(|generation| (apex, *generation)));
                    let found = find(table, probe).map(|zone| (probe.suffix(zone.apex_labels), zone.generation.get()));
                    prop_assert_eq!(found, longest);
                }
            }
        }
        let mut fresh = MemoryView::new();
        for (apex, generation) in &model {
            fresh.insert(&key(apex), &value(apex, *generation));
        }
        let loaded = ZoneTable::load(&fresh).unwrap();
        prop_assert_eq!(loaded.iter().count(), model.len());
        for (path, zone) in loaded.iter() {
            prop_assert_eq!(find(&table, &path.to_name(&Name::ROOT).unwrap()), Some(zone));
        }
    }
}

#[test]
fn other_keys_change_nothing() {
    let apex: Name = "example.".parse().unwrap();
    let mut table = ZoneTable::new();
    table.apply(OpRef::Put { key: &key(&apex), value: &value(&apex, 7) });
    let mut buffer = KeyBuffer::new();
    let node = buffer
        .node(KeyspaceId::DNS, Generation::new(7), KeySection::Name, NameInZone { name: &apex, apex_labels: 1 }, 1)
        .to_vec();
    table.apply(OpRef::Delete { key: &node });
    let start = buffer.prefix(KeyspaceId::DNS, Generation::new(7), KeySection::Zone).to_vec();
    let end = buffer.prefix(KeyspaceId::DNS, Generation::new(8), KeySection::Zone).to_vec();
    table.apply(OpRef::DeleteRange { start: &start, end: &end });
    table.apply(OpRef::Put { key: buffer.zone(KeyspaceId::CORE, &Name::ROOT), value: b"" });
    assert_eq!(table.len(), 1);
    assert_eq!(table.get(&apex).unwrap().generation, Generation::new(7));
    // A zone that was never loaded is known, and counts once it is.
    let other: Name = "other.".parse().unwrap();
    let mark = ZoneValue::without_data(&other, ZoneId::new(9)).encode();
    for (value, has_data, len) in [(mark.clone(), false, 1), (value(&other, 9), true, 2), (mark, false, 1)] {
        table.apply(OpRef::Put { key: &key(&other), value: &value });
        assert_eq!((table.get(&other).unwrap().has_data(), table.len()), (has_data, len));
    }
    table.apply(OpRef::Delete { key: &key(&other) });
    assert_eq!((table.get(&other), table.len()), (None, 1));
    table.apply(OpRef::DeleteRange { start: &[0, 1], end: &[0, 2] });
    assert!(table.is_empty());
}

#[test]
fn a_zone_takes_at_most_64_bytes_above_its_name() {
    let mut view = MemoryView::new();
    let mut names = 0;
    for number in 0..200_000_u64 {
        let apex: Name = format!("zone{number}.example.").parse().unwrap();
        names += apex.as_wire().len();
        view.insert(&key(&apex), &value(&apex, number + 1));
    }
    let mut table = ZoneTable::load(&view).unwrap();
    let each = |table: &ZoneTable, names: usize| (table.memory_bytes() - names) / table.len();
    assert!(each(&table, names) <= 64, "{} bytes loaded", each(&table, names));
    for number in 0..200_000_u64 {
        let apex: Name = format!("more{number}.example.").parse().unwrap();
        names += apex.as_wire().len();
        table.apply(OpRef::Put { key: &key(&apex), value: &value(&apex, number + 1) });
    }
    assert!(each(&table, names) <= 64, "{} bytes after changes", each(&table, names));
}
