//! What an import commits, version by version: no name of a listed zone is answered from a zone above it at any of them.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use zonecast_ingest::Manifest;
use zonecast_kv_proto::{KeyspaceId, MemoryView, OpRef, Published, Version, View as _, decode_ops};
use zonecast_records::{KeyBuffer, Name, ZoneValue};

use super::{ImportChoices, ListedZones, import_folder};
use crate::test_service::TestService;
use crate::zone::zone_file::open_root;

/// Beside small zones, which travel in one group, some that fill one, and some of a generation of their own.
const SIZES: [u32; 4] = [0, 1_000, 4_000, 12_000];

/// Draws, the same for the same seed.
struct Draw(u64);

impl Draw {
    fn below(&mut self, count: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((bits ^ (bits >> 31)) % count as u64).unwrap()
    }

    fn apex(&mut self) -> Name {
        let labels = (0..=self.below(3)).map(|_| ["a", "b", "c"][self.below(3)]);
        labels.collect::<Vec<_>>().join(".").parse().unwrap()
    }
}

/// Writes a folder of zones, some of which break a rule.
fn write(folder: &Path, draw: &mut Draw) -> HashSet<Name> {
    let apexes: HashSet<Name> = (0..12).map(|_| draw.apex()).collect();
    // In an order that is the same each time.
    let mut sorted: Vec<Name> = apexes.iter().copied().collect();
    sorted.sort();
    for apex in &sorted {
        let mut text = "@ 60 SOA ns m 1 2 3 4 5\n@ 60 NS ns\nns 60 A 192.0.2.53\n".to_owned();
        let records = SIZES[draw.below(4)];
        (0..records).for_each(|number| text.push_str(&format!("t{number} 60 TXT {number:0>100}\n")));
        if draw.below(4) == 0 {
            text.push_str("www 60 A not-an-address\n");
        }
        let name = apex.to_string();
        std::fs::write(folder.join(format!("{}.zone", name.trim_end_matches('.'))), text).unwrap();
    }
    apexes
}

/// The zone that a name is answered from: the nearest that has a zone key. None where that is only a mark, which is
/// SERVFAIL.
fn answering(view: &MemoryView, name: &Name) -> Option<Name> {
    let mut value = Vec::new();
    let mut has_key = |apex: &Name| {
        let key = KeyBuffer::new().zone(KeyspaceId::DNS, apex).to_vec();
        view.get(&key, &mut value).unwrap()
    };
    let nearest = std::iter::successors(Some(*name), Name::parent).find(|apex| has_key(apex))?;
    ZoneValue::decode(&value).unwrap().has_data().then_some(nearest)
}

#[test]
fn no_name_of_a_listed_zone_is_ever_answered_from_a_zone_above_it() {
    let mut versions = 0;
    for seed in 1..=8 {
        let api = TestService::start();
        let folder = tempfile::tempdir().unwrap();
        let mut draw = Draw(seed);
        let apexes = write(folder.path(), &mut draw);
        let root = open_root(folder.path()).unwrap();
        let mut entries = Manifest::of_folder(root.folder()).unwrap().entries;
        assert_eq!(entries.len(), apexes.len());
        // One of them is listed and cannot even be begun to be read.
        let left_out = entries.remove(draw.below(entries.len()));
        let listed = ListedZones { entries, left_out: HashSet::from([left_out.apex]) };
        let import = import_folder(api.service(), root, listed, ImportChoices::default(), Arc::default());
        let report = api.runtime().block_on(import).unwrap();
        assert!(report.changed > 2, "seed {seed}: {report:?}");

        let source = api.service().core().source();
        let (mut view, mut at) = (MemoryView::new(), Version::ZERO);
        loop {
            let read = source.read_after(at, 1 << 20).unwrap().unwrap();
            for bytes in &read {
                let published = Published::from_bytes(bytes).unwrap();
                for op in published.sections.iter().flat_map(decode_ops).map(Result::unwrap) {
                    match op {
                        OpRef::Put { key, value } => view.insert(key, value),
                        other => panic!("an import into an empty store: {other:?}"),
                    }
                }
                (at, versions) = (published.version, versions + 1);
                for apex in &apexes {
                    let from = answering(&view, apex);
                    assert!(from.is_none_or(|from| from == *apex), "seed {seed}, {at}: {apex} from {from:?}");
                }
            }
            if read.is_empty() {
                break;
            }
        }
        api.stop();
    }
    assert!(versions > 50, "all of them in {versions} versions");
}
