//! The `zonecast` program; everything is in the library.

use std::process::ExitCode;

/// RocksDB fragments the memory of the C library's allocator.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    zonecast::cli::run()
}
