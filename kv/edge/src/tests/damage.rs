//! Copies that are damaged: answers go on where they can, and the core sends the copy anew, once.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use zonecast_kv_proto::BatchSource as _;

use super::way::commit;
use super::*;

/// Every file of the live copy whose path contains this.
fn files(copy: &Path, part: &str) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(copy).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    let files: Vec<PathBuf> = files.filter(|path| path.display().to_string().contains(part)).collect();
    assert!(!files.is_empty(), "no {part} in {}", copy.display());
    files
}

/// Puts zeros over all of a file but its ends, which RocksDB looks at when it opens it.
fn zero(file: &Path) {
    let length = std::fs::metadata(file).unwrap().len();
    let zeros = vec![0; usize::try_from(length - length / 4).unwrap()];
    OpenOptions::new().write(true).open(file).unwrap().write_all_at(&zeros, length / 8).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_was_damaged_while_the_edge_was_down_is_fetched_again() {
    let world = World::new();
    let source = MemorySource::new(5);
    let (publisher, served) = world.publisher(&source);
    let config = world.config("edge-1", &publisher);
    let first = start(config.clone());
    first.until_following().await;
    commit(&source, &publisher, 1, &[1; 5_000]);
    first.until_at(source.position()).await;
    first.edge.shutdown().await.unwrap();
    for (round, part) in (1..).zip(["CURRENT", "MANIFEST", ".sst", ".log"]) {
        files(&config.folder, part).iter().for_each(|file| std::fs::write(file, b"").unwrap());
        commit(&source, &publisher, 2, part.as_bytes());
        let edge = start(config.clone());
        edge.until(part, |status| status.position == Some(source.position()) && status.damage.is_none()).await;
        assert_eq!(edge.content(), source.content(), "{part}");
        assert_eq!(edge.metrics.damaged.with_label_values(&["edge-1"]).get(), 0);
        assert!(served.snapshots.get() <= 1 + round, "{part}: one snapshot is enough");
        edge.edge.shutdown().await.unwrap();
    }
    assert!(served.snapshots.get() >= 4, "nothing was damaged");
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_that_a_read_runs_into_is_repaired_while_the_edge_runs() {
    let world = World::new();
    let source = MemorySource::new(5);
    // More than the cache of the copy holds, so that reads go to the disk.
    let value = |byte: u8| (0..200_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8 ^ byte).collect();
    for byte in 0..150 {
        let value: Vec<u8> = value(byte);
        source.commit(vec![put(&[byte], &value)]);
    }
    let (publisher, served) = world.publisher(&source);
    let edge = world.edge("edge-1", &publisher);
    edge.until_at(source.position()).await;
    edge.until_following().await;
    files(&world.folder_of("edge-1"), ".sst").iter().for_each(|file| zero(file));

    let mut found = Vec::new();
    let before = edge.edge.snapshot().unwrap();
    let failed = (0..150).filter(|byte| before.view().get(&[0, 1, *byte], &mut found).is_err()).count();
    assert!(failed > 10, "only {failed} reads failed");
    edge.until("repaired", |status| status.damage.is_none() && served.snapshots.get() == 2).await;
    let last = commit(&source, &publisher, 1, b"after");
    edge.until_at(last).await;
    assert_eq!(edge.content(), source.content());
    let counted = edge.metrics.read_errors.with_label_values(&["edge-1"]).get();
    assert_eq!(counted, u64::try_from(failed).unwrap());
    // Readers that still hold the damaged copy need no further one.
    assert!(before.view().get(&[0, 1, 70], &mut found).is_err());
    let last = commit(&source, &publisher, 1, b"more");
    edge.until_at(last).await;
    assert_eq!((served.snapshots.get(), edge.edge.status().damage), (2, None));
}

/// It would go back while it serves: what it has of its own is better than that, damaged or not.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_copy_does_not_go_back_to_what_a_restored_core_holds_and_says_what_to_do() {
    let world = World::new();
    let [known, restored] = [MemorySource::new(5), MemorySource::new(5)];
    let (publisher, _) = world.publisher(&known);
    let address = publisher.local_addr().unwrap().to_string();
    let edge = world.edge("edge-1", &publisher);
    for value in 0..5 {
        edge.until_at(commit(&known, &publisher, 1, &[value])).await;
    }
    publisher.shutdown().await;
    edge.edge.snapshot().unwrap().report_damage("a value that makes no sense");
    restored.commit(vec![put(&[1], &[0])]);
    let (_publisher, served) = world.publisher_at(&address, &restored, PublisherOptions::default());
    let told = |status: &EdgeStatus| status.trouble.as_ref().is_some_and(|trouble| trouble.contains("cluster recover"));
    edge.until("told", told).await;
    assert!(served.snapshots.get() > 0, "it was refused otherwise");
    assert_eq!((edge.edge.position(), edge.content()), (Some(known.position()), known.content()));
}
