//! Configuration of the PowerDNS Authoritative Server with LMDB: its manual, "Performance and Tuning" and "LMDB backend".

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::wanted::{ServedZone, Wanted};

/// Whether its backend is there, a package of its own: in a folder named after the architecture.
pub(super) fn has_backend() -> bool {
    let folders = Path::new("/usr/lib").read_dir().into_iter().flatten().flatten();
    folders.map(|folder| folder.path().join("pdns/liblmdbbackend.so")).any(|file| file.exists())
}

/// Zones that one run of `pdnsutil` is given.
const AT_ONCE: usize = 500;

pub(super) fn config(wanted: &Wanted<'_>) -> String {
    let (folder, port) = (wanted.folder.display(), wanted.port);
    let tuned = wanted.setup.tuned("receiver-threads=1\ncache-ttl=60\nquery-cache-ttl=60\nnegquery-cache-ttl=60\n");
    format!(
        "launch=lmdb\nlmdb-filename={folder}/pdns.lmdb\nlocal-address=127.0.0.1\nlocal-port={port}\n\
         socket-dir={folder}\ndaemon=no\nguardian=no\nloglevel=3\nlog-dns-queries=no\n{tuned}"
    )
}

/// Fills the database of a folder that has its configuration.
pub(super) fn load(folder: &Path, zones: &[ServedZone]) -> anyhow::Result<()> {
    for zones in zones.chunks(AT_ONCE) {
        let mut command = Command::new("pdnsutil");
        command.arg("--config-dir").arg(folder).arg("load-zone");
        for zone in zones {
            command.arg(&zone.apex).arg(&zone.file);
        }
        let output = command.output().context("cannot run pdnsutil")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "pdnsutil load-zone: {}: {said}", output.status);
    }
    Ok(())
}
