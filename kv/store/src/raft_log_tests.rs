//! The raft log: against a model, under a reader, and after damage.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use bytes::Bytes;
use prometheus::Registry;
use proptest::prelude::*;

use crate::{Completion, RaftLog, StoreError, StoreMetrics};

fn open(path: &Path) -> Result<RaftLog, StoreError> {
    RaftLog::open(path, StoreMetrics::register(&Registry::new()).unwrap())
}

/// Does a write and waits until it is durable.
fn durable(write: impl FnOnce(Completion) -> Result<(), StoreError>) {
    let (done, is_done) = mpsc::channel();
    write(Box::new(move |result| done.send(result).unwrap())).unwrap();
    is_done.recv().unwrap().unwrap();
}

fn entries(range: Range<u64>, tag: u8, len: usize) -> Vec<(u64, Bytes)> {
    range.map(|index| (index, Bytes::from([&index.to_be_bytes()[..], &vec![tag; len]].concat()))).collect()
}

fn all(log: &RaftLog) -> Vec<(u64, Bytes)> {
    log.read(0..u64::MAX, usize::MAX).unwrap()
}

#[derive(Clone, Debug)]
enum Step {
    Append { count: u64, len: usize },
    Truncate { keep: u64 },
    Purge { count: u64 },
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (1_u64..20, prop::sample::select(vec![1_usize, 100, 30_000, 2_000_000]))
            .prop_map(|(count, len)| Step::Append { count: if len > 100_000 { 1 + count % 6 } else { count }, len }),
        2 => (0_u64..15).prop_map(|keep| Step::Truncate { keep }),
        2 => (0_u64..15).prop_map(|count| Step::Purge { count }),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever is appended, truncated, purged and reopened, reads are those of a plain list, at every moment.
    #[test]
    fn reads_like_a_list(first in 0_u64..3, steps in prop::collection::vec(step(), 1..25)) {
        let folder = tempfile::tempdir().unwrap();
        let mut log = open(folder.path()).unwrap();
        let mut model: Vec<(u64, Bytes)> = vec![];
        let (mut next, mut purged) = (first, None);
        for (tag, step) in (0_u8..).zip(steps) {
            match step {
                Step::Append { count, len } => {
                    let new = entries(next..next + count, tag, len);
                    model.extend(new.clone());
                    next += count;
                    // Not waited for: it must be readable at once.
                    log.append(new, Box::new(|result| result.unwrap())).unwrap();
                }
                Step::Truncate { keep } => {
                    let from = model.first().map_or(next, |(index, _)| (index + keep).min(next));
                    model.retain(|(index, _)| *index < from);
                    next = from;
                    log.truncate(from, Box::new(|result| result.unwrap())).unwrap();
                }
                Step::Purge { count } => {
                    let Some((start, _)) = model.first() else { continue };
                    let upto = (start + count).min(next - 1);
                    model.retain(|(index, _)| *index > upto);
                    purged = Some((upto, Bytes::from(vec![tag])));
                    log.purge(upto, Bytes::from(vec![tag])).unwrap();
                }
                Step::Reopen => {
                    drop(log);
                    log = open(folder.path()).unwrap();
                    if model.is_empty() && purged.is_none() {
                        next = first;
                    }
                }
            }
            prop_assert_eq!(log.purged(), purged.clone());
            prop_assert!(all(&log) == model, "after step {}: {:?} not {:?}", tag, log.range(), model.len());
            if !model.is_empty() {
                let middle = model[model.len() / 2].0;
                prop_assert!(log.read(middle..next, usize::MAX).unwrap() == model[model.len() / 2..]);
                prop_assert_eq!(log.read(middle..next, 1).unwrap().len(), 1);
                prop_assert!(log.last().unwrap().as_ref() == model.last().map(|(_, bytes)| bytes));
            }
        }
    }
}

#[test]
fn entries_that_leave_a_gap_are_refused_and_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path()).unwrap();
    durable(|done| log.append(entries(5..8, 0, 10), done));
    for range in [9..10, 7..8, 4..5] {
        assert!(log.append(entries(range, 0, 10), Box::new(|_| ())).is_err());
    }
    let mut gap = entries(8..9, 0, 10);
    gap.extend(entries(10..11, 0, 10));
    assert!(log.append(gap, Box::new(|_| ())).is_err());
    assert_eq!(log.range(), 5..8);
    durable(|done| log.append(entries(8..9, 0, 10), done));
}

#[test]
fn what_waits_while_the_disk_syncs_is_synced_together() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::new();
    let metrics = StoreMetrics::register(&registry).unwrap();
    let log = RaftLog::open(folder.path(), metrics.clone()).unwrap();
    let (done, is_done) = mpsc::channel();
    for index in 0..2000 {
        let done = done.clone();
        log.append(entries(index..index + 1, 0, 100), Box::new(move |result| done.send((index, result)).unwrap()))
            .unwrap();
    }
    for expected in 0..2000 {
        let (index, result) = is_done.recv().unwrap();
        result.unwrap();
        assert_eq!(index, expected, "completions come in order");
    }
    let syncs = metrics.fsync_seconds.get_sample_count();
    assert!((1..1000).contains(&syncs), "{syncs} syncs for 2000 writes");
}

#[test]
fn vote_and_committed_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path()).unwrap();
    assert_eq!((log.vote(), log.committed()), (None, None));
    durable(|done| log.save_vote(Bytes::from_static(b"vote"), done));
    log.save_committed(Some(Bytes::from_static(b"committed")));
    assert_eq!(log.committed(), Some(Bytes::from_static(b"committed")));
    log.close().unwrap();
    assert!(matches!(log.save_vote(Bytes::new(), Box::new(|_| ())), Err(StoreError::Stopped { .. })));
    drop(log);
    let log = open(folder.path()).unwrap();
    assert_eq!(log.vote(), Some(Bytes::from_static(b"vote")));
    assert_eq!(log.committed(), Some(Bytes::from_static(b"committed")));
}

#[test]
fn an_open_log_is_locked() {
    let folder = tempfile::tempdir().unwrap();
    let _log = open(folder.path()).unwrap();
    assert!(matches!(open(folder.path()), Err(StoreError::Locked { .. })));
}

#[cfg(unix)]
#[test]
fn the_folder_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/raft");
    let _log = open(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
}

/// A log of 50 entries that were written one by one, and its write-ahead log.
fn written() -> (tempfile::TempDir, PathBuf, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path()).unwrap();
    for index in 0..50 {
        durable(|done| log.append(entries(index..index + 1, 7, 3000), done));
    }
    drop(log);
    let wal = fs::read_dir(folder.path())
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .max_by_key(|path| fs::metadata(path).unwrap().len())
        .unwrap();
    let bytes = fs::read(&wal).unwrap();
    assert!(bytes.len() > 50 * 3000, "the write-ahead log holds every entry");
    (folder, wal, bytes)
}

/// Puts a changed write-ahead log in the place of the one of a copy, and opens that.
fn open_changed(folder: &Path, wal: &Path, changed: &[u8]) -> Result<Vec<(u64, Bytes)>, StoreError> {
    let copy = tempfile::tempdir().unwrap();
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    fs::write(copy.path().join(wal.file_name().unwrap()), changed).unwrap();
    open(copy.path()).map(|log| all(&log))
}

#[test]
fn a_torn_last_write_is_dropped_and_everything_before_it_stays() {
    let (folder, wal, bytes) = written();
    let whole = entries(0..50, 7, 3000);
    for cut in [1, 7, 100, 1500, 2990, 3020] {
        let found = open_changed(folder.path(), &wal, &bytes[..bytes.len() - cut]).unwrap();
        assert!(whole.starts_with(&found), "cut {cut}");
        assert!((48..50).contains(&found.len()), "cut {cut}: {} entries", found.len());
    }
    let mut longer = bytes;
    longer.extend([0; 5000]);
    assert_eq!(open_changed(folder.path(), &wal, &longer).unwrap(), whole, "zeros that the file system left behind");
}

#[test]
fn a_flipped_bit_in_an_entry_stops_the_start() {
    let (folder, wal, bytes) = written();
    for part in 1..40 {
        // Somewhere inside the payload of an entry: a run of sevens.
        let at = bytes.len() * part / 41;
        let Some(at) = (at..at + 400).find(|at| bytes[at - 20..at + 20] == [7; 40]) else { continue };
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x10;
        let result = open_changed(folder.path(), &wal, &flipped);
        assert!(matches!(result, Err(StoreError::Damaged { .. })), "byte {at}: {:?}", result.map(|found| found.len()));
    }
}

#[test]
fn a_missing_entry_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path()).unwrap();
    durable(|done| log.append(entries(0..9, 0, 10), done));
    drop(log);
    let db = rocksdb::DB::open_default(folder.path()).unwrap();
    db.delete(crate::raft_keys::entry_key(4)).unwrap();
    drop(db);
    let error = open(folder.path()).unwrap_err();
    assert!(error.to_string().contains("entry 4 is missing"), "{error}");
}

/// Whoever waits for a write that the writer took with it would wait for ever.
#[test]
fn a_writer_that_panics_leaves_nobody_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path()).unwrap();
    log.append(vec![(1, Bytes::from_static(b"one"))], Box::new(|_| panic!("a bug in a completion"))).unwrap();
    let mut index = 2;
    loop {
        let (tell, told) = std::sync::mpsc::channel();
        let done: Completion = Box::new(move |result| tell.send(result.is_ok()).unwrap());
        let taken = log.append(vec![(index, Bytes::from_static(b"more"))], done);
        let durable = told.recv_timeout(std::time::Duration::from_secs(30)).expect("nobody is told");
        if !durable {
            break;
        }
        taken.unwrap();
        index += 1;
        assert!(index < 100_000, "the writer goes on");
    }
    assert!(log.close().is_err());
}
