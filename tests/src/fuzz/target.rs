//! The list of targets, and a bounded run of one.

use super::{answer, decoders, seeds, text};

/// Something that takes bytes from outside.
pub struct Target {
    /// Of the file in `fuzz/fuzz_targets`, too.
    pub name: &'static str,
    /// Panics where something is wrong.
    pub run: fn(&[u8]),
    /// Valid inputs to begin from.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "dns_key", run: decoders::dns_key, seeds: seeds::keys },
    Target { name: "address_value", run: decoders::address_value, seeds: seeds::values },
    Target { name: "rrset_value", run: decoders::rrset_value, seeds: seeds::values },
    Target { name: "zone_value", run: decoders::zone_value, seeds: seeds::values },
    Target { name: "core_values", run: decoders::core_values, seeds: seeds::values },
    Target { name: "batch", run: decoders::batch, seeds: seeds::batches },
    Target { name: "command", run: decoders::command, seeds: seeds::commands },
    Target { name: "published", run: decoders::published, seeds: seeds::published },
    Target { name: "snapshot_entries", run: decoders::snapshot_entries, seeds: seeds::snapshots },
    Target { name: "frames", run: decoders::frames, seeds: seeds::frames },
    Target { name: "zone_file", run: text::zone_file, seeds: seeds::zone_files },
    Target { name: "record_text", run: text::record_text, seeds: seeds::record_texts },
    Target { name: "answer", run: answer::answer, seeds: seeds::queries },
    Target { name: "damaged_store", run: answer::damaged_store, seeds: seeds::damages },
];

/// Runs a target on its seeds, on each of them cut at every byte and with every bit flipped, and on `rounds` that are
/// changed at random from `seed` on.
pub fn shake(target: &Target, seed: u64, rounds: u32) {
    const LONGEST_EXHAUSTIVE: usize = 400;
    let seeds = (target.seeds)();
    for bytes in &seeds {
        (target.run)(bytes);
        let places = if bytes.len() <= LONGEST_EXHAUSTIVE { 0..bytes.len() } else { 0..0 };
        for at in places {
            (target.run)(bytes.get(..at).unwrap_or_default());
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << bit);
                (target.run)(&flipped);
            }
        }
    }
    let mut random = Random(seed);
    for _ in 0..rounds {
        let mut bytes = seeds.get(random.below(seeds.len())).cloned().unwrap_or_default();
        for _ in 0..=random.below(4) {
            random.change(&mut bytes);
        }
        (target.run)(&bytes);
    }
}

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.next() % bound).unwrap_or_default()
    }

    fn byte(&mut self) -> u8 {
        const TELLING: [u8; 8] = [0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xff];
        let [any, which, choice, ..] = self.next().to_be_bytes();
        if choice < 128 { any } else { TELLING.get(usize::from(which % 8)).copied().unwrap_or_default() }
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len());
        match self.below(5) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, self.byte()),
            2 => {
                let end = (at + 1 + self.below(8)).min(bytes.len());
                bytes.drain(at.min(end)..end);
            }
            3 => {
                let end = (at + 1 + self.below(16)).min(bytes.len());
                let piece = bytes.get(at..end).unwrap_or_default().to_vec();
                let to = self.below(bytes.len());
                bytes.splice(to..to, piece);
            }
            _ => {
                let byte = self.byte();
                bytes.iter_mut().skip(at).take(1).for_each(|place| *place = byte);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Enough to notice a decoder that panics on common damage, in a few seconds all told; `ZONECAST_SOAK` does more.
    const ROUNDS: u32 = 4_000;

    #[test]
    fn no_target_panics() {
        let soak = std::env::var_os("ZONECAST_SOAK").is_some();
        let seed = if soak { u64::from(std::process::id()) } else { 1 };
        for target in TARGETS {
            println!("{} from seed {seed}", target.name);
            assert!(!(target.seeds)().is_empty());
            shake(target, seed, if soak { ROUNDS * 500 } else { ROUNDS });
        }
    }

    #[test]
    fn every_target_has_its_file() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        for Target { name, .. } in TARGETS {
            let file = std::fs::read_to_string(folder.join(format!("fuzz_targets/{name}.rs"))).unwrap();
            assert!(file.contains(&format!("\"{name}\"")), "{name}");
            assert!(manifest.contains(&format!("fuzz_targets/{name}.rs")), "{name}");
        }
        assert_eq!(folder.join("fuzz_targets").read_dir().unwrap().count(), TARGETS.len());
    }

    #[test]
    fn shaking_finds_what_is_rare() {
        let panics = |bytes: &[u8]| assert!(!bytes.starts_with(b"abc\xff"));
        let target = Target { name: "", run: panics, seeds: || vec![b"abcdefgh".repeat(60)] };
        assert!(std::panic::catch_unwind(|| shake(&target, 1, 200_000)).is_err());
    }
}
