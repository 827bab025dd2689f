//! How RocksDB is set up, and why.
//!
//! - Block tables with a HyperClock cache and whole-key Bloom filters: a hit costs about 3 us, a miss 0.5 us. 16 KiB
//!   blocks read as fast as 4 KiB ones and compress better; LZ4 costs nothing measurable.
//! - Filters and indexes live in the block cache, so the memory of a database is its cache plus its write buffers.
//! - RocksDB keeps its own log short; ours is the one to read.

use std::path::Path;

use rocksdb::checkpoint::Checkpoint;
use rocksdb::{BlockBasedOptions, Cache, DB, DBCompressionType, DBRecoveryMode, LogLevel, Options};

use crate::StoreError;

/// One table block before compression.
const BLOCK_SIZE: usize = 16 * 1024;
/// One false positive in about a hundred.
const BLOOM_BITS_PER_KEY: f64 = 10.0;
/// Format of the tables that are written for other nodes, fixed whatever a release of RocksDB writes by itself: every
/// RocksDB since 6.6 reads it. A release may raise it when the one before reads the new one.
const SENT_FORMAT: i32 = 5;
/// One flush and one compaction on a machine of two cores, and one more for the other database.
const BACKGROUND_JOBS: i32 = 3;
/// So much is written before the kernel is asked to start writing it out, so that a sync finds little left to do.
const BYTES_PER_SYNC: u64 = 1024 * 1024;
/// RocksDB's own log files that are kept.
const INFO_LOGS: usize = 2;
/// Open table files of one database.
const OPEN_FILES: i32 = 512;

/// Options of a whole database. A write-ahead log that ends in the middle of a record is opened or refused as
/// `recovery` says.
pub(crate) fn database(recovery: DBRecoveryMode, max_wal: u64) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_wal_recovery_mode(recovery);
    options.set_max_total_wal_size(max_wal);
    options.set_max_background_jobs(BACKGROUND_JOBS);
    options.set_bytes_per_sync(BYTES_PER_SYNC);
    options.set_keep_log_file_num(INFO_LOGS);
    options.set_log_level(LogLevel::Warn);
    options.set_max_open_files(OPEN_FILES);
    options.set_stats_dump_period_sec(0);
    options.set_skip_stats_update_on_db_open(true);
    options
}

/// Options of a column family that is read by key and in order.
pub(crate) fn table(cache: &Cache, write_buffer: usize) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_block_size(BLOCK_SIZE);
    blocks.set_bloom_filter(BLOOM_BITS_PER_KEY, false);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    let mut options = Options::default();
    options.set_block_based_table_factory(&blocks);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_level_compaction_dynamic_level_bytes(true);
    options.set_write_buffer_size(write_buffer);
    options
}

/// Options of table files that are written for other nodes, whose releases may be one step apart.
pub(crate) fn sent_table() -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_size(BLOCK_SIZE);
    blocks.set_bloom_filter(BLOOM_BITS_PER_KEY, false);
    blocks.set_format_version(SENT_FORMAT);
    let mut options = Options::default();
    options.set_block_based_table_factory(&blocks);
    options.set_compression_type(DBCompressionType::Lz4);
    options
}

/// Options of a column family that is appended to, read in order and trimmed at its beginning.
pub(crate) fn log(cache: &Cache, write_buffer: usize) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_block_size(BLOCK_SIZE);
    let mut options = Options::default();
    options.set_block_based_table_factory(&blocks);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_level_compaction_dynamic_level_bytes(true);
    options.set_write_buffer_size(write_buffer);
    options
}

/// Copies an open database into a folder that is not there yet.
///
/// What is only in memory is flushed to table files first, whose copies are links: the other way is to copy the
/// write-ahead logs, up to the largest that they may be, of which most is in tables already. Only what is written during
/// the copy comes as a log.
pub(crate) fn checkpoint(db: &DB, to: &Path) -> Result<(), StoreError> {
    let made = Checkpoint::new(db).and_then(|checkpoint| checkpoint.create_checkpoint(to));
    made.map_err(|error| StoreError::from_rocksdb(to, error))
}

/// Makes the folder of a database, for its owner only.
pub(crate) fn make_folder(path: &Path) -> Result<(), StoreError> {
    make(path, true)
}

/// The same for a folder that is not there yet.
pub(crate) fn make_new_folder(path: &Path) -> Result<(), StoreError> {
    make(path, false)
}

fn make(path: &Path, may_exist: bool) -> Result<(), StoreError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(may_exist);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|source| StoreError::Folder { path: path.to_path_buf(), source })
}
