//! Append and fdatasync(2): what a durable write costs whoever does it.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use crate::samples::Samples;

/// What is appended: a page.
const BYTES: usize = 4_096;

/// Milliseconds of so many appends, each made durable.
pub(crate) fn append(folder: &Path, count: usize) -> anyhow::Result<Samples> {
    let mut file = OpenOptions::new().create(true).append(true).open(folder.join("appended"))?;
    let page = [7; BYTES];
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let started = Instant::now();
        file.write_all(&page)?;
        file.sync_data()?;
        times.push(started.elapsed());
    }
    Ok(Samples::new(&times))
}
