//! Configuration of NSD.

use std::fmt::Write;

use super::software::Setup;

/// Minimal responses, as zonecast's are; nothing from outside the zone; no limits on rate.
pub(super) fn config(setup: &Setup<'_>) -> String {
    let folder = setup.folder.display();
    let mut text = format!(
        r#"server:
    ip-address: 127.0.0.1@{port}
    username: ""
    chroot: ""
    database: ""
    zonesdir: "{zones}"
    pidfile: "{folder}/nsd.pid"
    xfrdfile: "{folder}/xfrd.state"
    xfrdir: "{folder}"
    zonelistfile: "{folder}/zone.list"
    server-count: 1
    minimal-responses: yes
    confine-to-zone: yes
    refuse-any: no
    round-robin: no
    rrl-ratelimit: 0
    rrl-whitelist-ratelimit: 0
    ipv4-edns-size: 4096
    tcp-timeout: 120
    tcp-query-count: 0
remote-control:
    control-enable: no
"#,
        port = setup.port,
        // Where $INCLUDE looks.
        zones = setup.zones.first().and_then(|zone| zone.file.parent()).unwrap_or(setup.folder).display(),
    );
    for zone in setup.zones {
        let (apex, file) = (zone.apex.fmt_with_dot(), zone.file.display());
        let _ = write!(text, "zone:\n    name: \"{apex}\"\n    zonefile: \"{file}\"\n");
    }
    text
}
