//! Tries ways to keep an edge's copy in RocksDB: what reads cost with each, and what it takes on disk and in memory.
//!
//! ```text
//! cargo run --release -p zonecast-kv-store --example layouts -- 1000000 256
//! ```
//! The first argument is how many keys, the second how many MiB of block cache. Keys and values are like address keys; they
//! come as an edge gets them, from a snapshot into table files that are taken in whole. It prints the table of
//! docs/performance.md, nanoseconds for each read:
//!
//! - `hot`: 10,000 keys again and again; `any`: any key; `miss`: a key that is not there; `seek`: the last key before one
//!   that is not there, with one iterator
//! - `first`: any key, right after the copy was opened, from what the operating system keeps of the files

// What this program prints is its result.
#![allow(clippy::print_stdout, reason = "a table")]

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, DB, DBCompressionType, DataBlockIndexType,
    IngestExternalFileOptions, Options, ReadOptions, SstFileWriter,
};

/// Reads of each kind.
const READS: u64 = 300_000;

/// Keys that are asked for again and again.
const HOT: u64 = 10_000;

/// Keys of one table file.
const FILE: u64 = 2_000_000;

type Set = fn(&mut BlockBasedOptions, &mut Options);

/// What differs from the first, which is what src/options.rs sets up.
const LAYOUTS: [(&str, Set); 13] = [
    ("16 KiB blocks, LZ4, Bloom 10 bits", |_, _| {}),
    ("4 KiB blocks", |blocks, _| blocks.set_block_size(4 * 1024)),
    ("8 KiB blocks", |blocks, _| blocks.set_block_size(8 * 1024)),
    ("32 KiB blocks", |blocks, _| blocks.set_block_size(32 * 1024)),
    ("hash index in blocks", hash_index),
    ("hash index in blocks of 4 KiB", |blocks, options| {
        hash_index(blocks, options);
        blocks.set_block_size(4 * 1024);
    }),
    ("restart every 4 keys, not 16", |blocks, _| blocks.set_block_restart_interval(4)),
    ("not compressed", |_, options| options.set_compression_type(DBCompressionType::None)),
    ("Zstandard", |_, options| options.set_compression_type(DBCompressionType::Zstd)),
    ("Ribbon filter, 10 bits", |blocks, _| blocks.set_ribbon_filter(10.0)),
    ("no filter", |blocks, _| blocks.set_bloom_filter(0.0, false)),
    ("index and filter outside the cache", |blocks, _| blocks.set_cache_index_and_filter_blocks(false)),
    ("index and filter in parts", |blocks, _| {
        blocks.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
        blocks.set_partition_filters(true);
        blocks.set_pin_top_level_index_and_filter(true);
    }),
];

fn hash_index(blocks: &mut BlockBasedOptions, _: &mut Options) {
    blocks.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
    blocks.set_data_block_hash_ratio(0.75);
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter_map(|argument| argument.parse::<u64>().ok());
    let keys = arguments.next().unwrap_or(1_000_000).max(HOT);
    let cache_mib = usize::try_from(arguments.next().unwrap_or(256)).expect("a size in MiB");
    println!("{keys} keys, {cache_mib} MiB of block cache\n");
    println!("| layout | hot | any | miss | seek | first | MB on disk | MB in the cache | load, s |");
    println!("|---|---|---|---|---|---|---|---|---|");
    for (name, set) in LAYOUTS {
        println!("{}", measure(name, set, keys, cache_mib));
    }
}

fn options(cache: &Cache, set: Set) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_block_size(16 * 1024);
    blocks.set_bloom_filter(10.0, false);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_level_compaction_dynamic_level_bytes(true);
    set(&mut blocks, &mut options);
    options.set_block_based_table_factory(&blocks);
    options
}

/// A line of the table.
fn measure(name: &str, set: Set, keys: u64, cache_mib: usize) -> String {
    let folder = tempfile::tempdir().expect("a folder for the copy");
    let cache = || Cache::new_hyper_clock_cache(cache_mib << 20, 0);
    let started = Instant::now();
    load(folder.path(), &options(&cache(), set), keys);
    let took = started.elapsed().as_secs_f64();
    let cache = cache();
    let db = DB::open(&options(&cache, set), folder.path()).expect("what was loaded opens");
    let any = |number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % keys;
    let first = gets(&db, HOT, any, true);
    // So that what the cache can hold is in it.
    gets(&db, 2 * READS, any, true);
    let times = [
        gets(&db, READS, |number| any(number % HOT), true),
        gets(&db, READS, any, true),
        gets(&db, READS, any, false),
        seeks(&db, READS / 3, any),
        first,
    ];
    let times: Vec<String> = times.iter().map(|time| format!("{time:.0}")).collect();
    let disk = db.live_files().map_or(0, |files| files.iter().map(|file| file.size).sum());
    let held = cache.get_usage();
    format!("| {name} | {} | {:.0} | {:.0} | {took:.1} |", times.join(" | "), megabytes(disk), megabytes(held))
}

#[allow(clippy::cast_precision_loss, reason = "megabytes for people")]
fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

fn load(folder: &Path, options: &Options, keys: u64) {
    let db = DB::open(options, folder).expect("a new copy opens");
    let (mut key, mut value) = (Vec::new(), Vec::new());
    let mut files = Vec::new();
    for start in (0..keys).step_by(usize::try_from(FILE).expect("it is small")) {
        let file = folder.join(format!("{start}.part"));
        let mut writer = SstFileWriter::create(options);
        writer.open(&file).expect("a table file can be written");
        for number in start..(start + FILE).min(keys) {
            write_key(number, true, &mut key);
            write_value(number, &mut value);
            writer.put(&key, &value).expect("keys come in order");
        }
        writer.finish().expect("a table file can be ended");
        files.push(file);
    }
    let mut how = IngestExternalFileOptions::default();
    how.set_move_files(true);
    db.ingest_external_file_opts(&how, files).expect("table files are taken in");
}

/// Nanoseconds of a get.
fn gets(db: &DB, reads: u64, number: impl Fn(u64) -> u64, there: bool) -> f64 {
    let (mut key, mut value) = (Vec::new(), Vec::new());
    let read = ReadOptions::default();
    let started = Instant::now();
    for at in 0..reads {
        write_key(number(at), there, &mut key);
        let found = db.get_pinned_opt(&key, &read).expect("it can be read");
        assert_eq!(found.is_some(), there, "the keys that were put are there, and no others");
        if let Some(found) = found {
            (*found).clone_into(&mut value);
        }
        black_box(&value);
    }
    nanoseconds(started, reads)
}

/// Nanoseconds of a seek.
fn seeks(db: &DB, reads: u64, number: impl Fn(u64) -> u64) -> f64 {
    let (mut key, mut value) = (Vec::new(), Vec::new());
    let mut iterator = db.raw_iterator();
    let started = Instant::now();
    for at in 0..reads {
        write_key(number(at), false, &mut key);
        iterator.seek_for_prev(&key);
        iterator.value().expect("there is a key before it").clone_into(&mut value);
        black_box(&value);
    }
    nanoseconds(started, reads)
}

#[allow(clippy::cast_precision_loss, reason = "an average")]
fn nanoseconds(started: Instant, reads: u64) -> f64 {
    started.elapsed().as_secs_f64() * 1e9 / reads as f64
}

/// Keyspace, generation, section, a name of ten letters or so in a zone of one label, kind. One that is not there stands
/// right after one that is.
fn write_key(number: u64, there: bool, key: &mut Vec<u8>) {
    key.clear();
    key.extend_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 1]);
    key.extend_from_slice(b"host-");
    let mut digits = [0_u8; 9];
    let mut rest = number;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
    }
    key.extend_from_slice(&digits);
    key.extend_from_slice(if there { &[0, 0, 0xff, 0xff] } else { &[b'x', 0, 0, 0xff, 0xff] });
}

/// What an address key holds: format, types, TTL, one address.
fn write_value(number: u64, value: &mut Vec<u8>) {
    value.clear();
    value.extend_from_slice(&[0x93, 1, 0xc4, 3, 0, 1, 0x40, 0x92, 0xcd, 0x0e, 0x10, 0xc4, 4]);
    let [.., a, b, c, d] = number.wrapping_mul(0x9e37_79b9).to_be_bytes();
    value.extend_from_slice(&[a, b, c, d]);
}
