//! Configuration of BIND.

use std::fmt::Write;

use super::software::Setup;

/// An authoritative server with minimal responses that loads what others load.
pub(super) fn config(setup: &Setup<'_>) -> String {
    let folder = setup.folder.display();
    let mut text = format!(
        r#"options {{
    directory "{folder}";
    pid-file "{folder}/named.pid";
    session-keyfile "{folder}/session.key";
    lock-file none;
    listen-on port {port} {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    recursion no;
    notify no;
    minimal-responses yes;
    minimal-any no;
    zero-no-soa-ttl no;
    max-udp-size 4096;
    edns-udp-size 4096;
    check-integrity no;
    check-names primary ignore;
    check-wildcard no;
    max-records-per-type 0;
    max-types-per-name 0;
    dnssec-validation no;
    masterfile-format text;
    allow-transfer {{ 127.0.0.1; }};
    empty-zones-enable no;
}};
controls {{ }};
"#,
        port = setup.port,
    );
    add_zones(&mut text, setup);
    text
}

/// With nothing said but where it is, and that it leaves others alone.
pub(super) fn stock(setup: &Setup<'_>) -> String {
    let (folder, port) = (setup.folder.display(), setup.port);
    let mut text = format!(
        r#"options {{
    directory "{folder}";
    pid-file "{folder}/named.pid";
    session-keyfile "{folder}/session.key";
    lock-file none;
    listen-on port {port} {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    recursion no;
    notify no;
    dnssec-validation no;
}};
controls {{ }};
"#
    );
    add_zones(&mut text, setup);
    text
}

fn add_zones(text: &mut String, setup: &Setup<'_>) {
    for zone in setup.zones {
        let (apex, file) = (zone.apex.fmt_with_dot(), zone.file.display());
        let _ = writeln!(text, "zone \"{apex}\" {{ type primary; file \"{file}\"; }};");
    }
}
