//! Configuration of Knot DNS.

use std::fmt::Write;

use super::software::Setup;

/// Zones from files only, nothing written back, one worker of each kind.
pub(super) fn config(setup: &Setup<'_>) -> String {
    let folder = setup.folder.display();
    let mut text = format!(
        r#"server:
    rundir: "{folder}"
    listen: 127.0.0.1@{port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
    udp-max-payload: 4096
log:
  - target: stderr
    any: notice
control:
    listen: "{folder}/knot.sock"
database:
    storage: "{folder}"
acl:
  - id: local
    address: 127.0.0.1
    action: transfer
template:
  - id: default
    storage: "{folder}"
    journal-content: none
    zonefile-load: whole
    zonefile-sync: -1
    semantic-checks: off
    acl: local
zone:
"#,
        port = setup.port,
    );
    for zone in setup.zones {
        let (apex, file) = (zone.apex.fmt_with_dot(), zone.file.display());
        let _ = writeln!(text, "  - domain: \"{apex}\"\n    file: \"{file}\"");
    }
    text
}
