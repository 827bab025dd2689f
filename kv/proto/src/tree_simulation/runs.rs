//! Runs of it.

use super::tree::Tree;

/// `ZONECAST_SOAK` asks for this many seeds.
const SEEDS_OF_SOAK: u64 = 5_000;

#[test]
fn whatever_happens_to_a_tree_it_ends_whole_and_says_so() {
    let seeds = if std::env::var_os("ZONECAST_SOAK").is_some() { SEEDS_OF_SOAK } else { 60 };
    let (mut snapshots, mut forks, mut steps) = (0, 0, 0);
    for seed in 0..seeds {
        let mut tree = Tree::new(seed, 3, 4);
        for _ in 0..600 {
            tree.fault();
            tree.step();
        }
        tree.heal();
        // A relay that has lost the way it came is told by the next version.
        tree.commit();
        let whole = (0..20_000).any(|_| {
            tree.step();
            tree.is_whole()
        });
        assert!(whole, "seed {seed}: {}", tree.describe());
        snapshots += tree.snapshots;
        forks += tree.forks;
        steps += tree.steps;
    }
    println!("{seeds} seeds: {snapshots} snapshots, {forks} restores, {steps} steps of many edges");
    assert!(
        u64::from(snapshots) > seeds && u64::from(forks) > seeds / 4 && steps > 20 * seeds,
        "the faults do not reach what they should"
    );
}
