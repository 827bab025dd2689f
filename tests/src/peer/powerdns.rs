//! Configuration of the PowerDNS Authoritative Server.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::software::Setup;

/// The zones, as its BIND backend reads them.
pub(super) fn zones(setup: &Setup<'_>) -> String {
    let mut text = String::new();
    for zone in setup.zones {
        // Its parser wants no dot at the end.
        let (apex, file) = (&zone.apex, zone.file.display());
        let _ = writeln!(text, "zone \"{apex}\" {{ type master; file \"{file}\"; }};");
    }
    text
}

/// Everything else. The file of zones lies in its folder.
pub(super) fn arguments(zones: &Path, port: u16) -> Vec<PathBuf> {
    let folder = zones.parent().unwrap_or(zones).display();
    let arguments = [
        "--no-config".to_owned(),
        "--launch=bind".to_owned(),
        format!("--bind-config={}", zones.display()),
        "--local-address=127.0.0.1".to_owned(),
        format!("--local-port={port}"),
        format!("--socket-dir={folder}"),
        "--daemon=no".to_owned(),
        "--guardian=no".to_owned(),
        "--disable-syslog".to_owned(),
    ];
    arguments.into_iter().map(PathBuf::from).collect()
}
