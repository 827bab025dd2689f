//! The list of targets, and a bounded run of one.

use super::{answer, changes, decoders, keyspaces, seeds, text};
use crate::Random;

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
    Target { name: "table_manifest", run: decoders::table_manifest, seeds: seeds::manifests },
    Target { name: "frames", run: decoders::frames, seeds: seeds::frames },
    Target { name: "zone_file", run: text::zone_file, seeds: seeds::zone_files },
    Target { name: "record_text", run: text::record_text, seeds: seeds::record_texts },
    Target { name: "answer", run: answer::answer, seeds: seeds::queries },
    Target { name: "record_build", run: changes::changes, seeds: seeds::changes },
    Target { name: "damaged_store", run: answer::damaged_store, seeds: seeds::damages },
    Target { name: "keyspace_values", run: keyspaces::keyspace_values, seeds: keyspaces::value_seeds },
    Target { name: "keyspace_names", run: keyspaces::keyspace_names, seeds: keyspaces::name_seeds },
    Target { name: "keyspace_store", run: keyspaces::keyspace_store, seeds: keyspaces::store_seeds },
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
    let mut random = Random::new(seed);
    for _ in 0..rounds {
        let mut bytes = seeds.get(random.below(seeds.len())).cloned().unwrap_or_default();
        for _ in 0..=random.below(4) {
            random.change(&mut bytes);
        }
        (target.run)(&bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::{corpus, read_kept, write_kept};

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

    /// What libFuzzer has found to reach something new.
    #[test]
    fn inputs_that_are_kept_do_no_harm() {
        for target in TARGETS {
            read_kept(target.name).unwrap().iter().for_each(|input| (target.run)(input));
        }
    }

    /// Seeds of a target that its file begins with, and their longest.
    const KEPT_SEEDS: usize = 32;
    const LONGEST_KEPT: usize = 4096;

    /// `UPDATE_DOCS` makes what is missing, of the seeds.
    #[test]
    fn every_target_has_inputs_that_are_kept() {
        for target in TARGETS {
            if read_kept(target.name).unwrap().is_empty() && std::env::var_os("UPDATE_DOCS").is_some() {
                let seeds = (target.seeds)().into_iter().filter(|seed| seed.len() <= LONGEST_KEPT).take(KEPT_SEEDS);
                write_kept(target.name, &seeds.collect::<Vec<_>>()).unwrap();
            }
            let kept = read_kept(target.name).unwrap();
            assert!(!kept.is_empty(), "{}: nothing is kept; UPDATE_DOCS=1 makes a beginning", target.name);
        }
        let files = corpus().read_dir().unwrap().filter(|entry| entry.as_ref().unwrap().path().is_file());
        assert_eq!(files.count(), TARGETS.len(), "a file for each target");
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
