//! Where an edge's copy stands, written so that a copy which lacks something says so.
//!
//! RocksDB keeps what was written last in a log, and the rest in table files that its manifest names. Where the manifest
//! has lost its last records, table files are gone with what they held, and the log goes on as if they were there. So
//! every write says what it follows, and RocksDB joins these steps to one: the way from the snapshot to now.
//!
//! # Format
//! A step is the MessagePack `[1, before, position]`; the first one of a copy comes before nothing, nil. Steps that do not
//! follow each other are joined to no bytes at all.

use rocksdb::{MergeOperands, Options};
use zonecast_kv_proto::{Position, read_whole};

const FORMAT: u8 = 1;

/// Steps in memory that are joined when they are read; the next one is joined with them as it is written. Every write is
/// followed by a read, so few.
const STEPS_IN_MEMORY: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    before: Option<Position>,
    position: Position,
}

/// Options of the family that holds the position.
pub(crate) fn family() -> Options {
    let mut options = Options::default();
    options.set_merge_operator_associative("zonecast steps", |_, first, steps| Some(joined(first, steps)));
    options.set_max_successive_merges(STEPS_IN_MEMORY);
    options
}

/// The first step of a copy.
pub(crate) fn first(position: &Position) -> Vec<u8> {
    Step { before: None, position: *position }.encode()
}

/// A step from one position to another.
pub(crate) fn step(before: &Position, position: &Position) -> Vec<u8> {
    Step { before: Some(*before), position: *position }.encode()
}

/// Where all steps together lead.
///
/// # Errors
/// Some of what was written is gone; or it is damaged, or the work of a later release.
pub(crate) fn read(bytes: &[u8]) -> Result<Position, String> {
    if bytes.is_empty() {
        return Err("versions in the middle of what was written are gone".into());
    }
    match Step::read(bytes)? {
        Step { before: None, position } => Ok(position),
        Step { before: Some(before), .. } => Err(format!("all that was written up to {before} is gone")),
    }
}

impl Step {
    fn encode(&self) -> Vec<u8> {
        rmp_serde::to_vec(&(FORMAT, self.before, self.position)).expect("plain data always encodes")
    }

    fn read(bytes: &[u8]) -> Result<Self, String> {
        match read_whole(bytes).map_err(|error| format!("position: {error}"))? {
            (FORMAT, before, position) => Ok(Self { before, position }),
            (format, ..) => Err(format!("position format {format} is not known to this release")),
        }
    }
}

fn joined(first: Option<&[u8]>, steps: &MergeOperands) -> Vec<u8> {
    let mut all = first.into_iter().chain(steps).map(|bytes| Step::read(bytes).ok());
    let join = |whole: Option<Step>, step: Option<Step>| {
        let (whole, step) = whole.zip(step)?;
        (step.before == Some(whole.position)).then_some(Step { position: step.position, ..whole })
    };
    let whole = all.next().flatten();
    all.fold(whole, join).map(|whole| whole.encode()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use rocksdb::{ColumnFamilyDescriptor, DB, WriteOptions};
    use zonecast_kv_proto::{StoreId, Version};

    use super::*;

    fn at(version: u64) -> Position {
        Position { version: Version::new(version), ..Position::origin(StoreId::new(9)) }
    }

    /// What RocksDB makes of these writes, in memory and after a flush.
    fn read_of(writes: &[(Option<u64>, u64)]) -> Result<Position, String> {
        let folder = tempfile::tempdir().unwrap();
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        let db =
            DB::open_cf_descriptors(&options, folder.path(), [ColumnFamilyDescriptor::new("p", family())]).unwrap();
        let cf = db.cf_handle("p").unwrap();
        for (before, position) in writes {
            match before {
                None => db.put_cf_opt(cf, b"p", first(&at(*position)), &WriteOptions::default()).unwrap(),
                Some(before) => db.merge_cf(cf, b"p", step(&at(*before), &at(*position))).unwrap(),
            }
        }
        let get = || read(&db.get_cf(cf, b"p").unwrap().unwrap());
        let in_memory = get();
        db.flush_cf(cf).unwrap();
        assert_eq!(get(), in_memory);
        in_memory
    }

    #[test]
    fn steps_are_joined_and_one_that_is_missing_shows() {
        assert_eq!(read_of(&[(None, 5)]), Ok(at(5)));
        let steps: Vec<(Option<u64>, u64)> = (5..40).map(|before| (Some(before), before + 1)).collect();
        let whole = [&[(None, 5)], &steps[..]].concat();
        assert_eq!(read_of(&whole), Ok(at(40)));
        for missing in 0..whole.len() - 1 {
            let mut writes = whole.clone();
            writes.remove(missing);
            let error = read_of(&writes).unwrap_err();
            assert!(error.contains("gone"), "{missing}: {error}");
        }
        // A snapshot in between is a new beginning.
        assert_eq!(read_of(&[(None, 5), (Some(7), 8), (None, 20), (Some(20), 21)]), Ok(at(21)));
    }

    #[test]
    fn what_is_no_position_is_none() {
        for bad in [&b""[..], b"\x93", b"junk", &rmp_serde::to_vec(&(9, None::<Position>, at(1))).unwrap()] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }
}
