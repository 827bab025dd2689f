//! Configuration of NSD: nsd.conf(5).

use std::fmt::{Error, Write as _};

use super::wanted::{Place, Wanted};

pub(super) fn config(wanted: &Wanted<'_>) -> Result<String, Error> {
    let Wanted { setup, place, zones, folder, port } = wanted;
    let folder = folder.display();
    // Otherwise a transfer is served up to a second after it has come.
    let tuned = setup.tuned("    xfrd-reload-timeout: 0\n    minimal-responses: yes\n");
    let mut text = format!(
        "server:\n    ip-address: 127.0.0.1@{port}\n    username: \"\"\n    chroot: \"\"\n    database: \"\"\n    \
         zonesdir: \"{folder}\"\n    pidfile: \"{folder}/nsd.pid\"\n    xfrdfile: \"{folder}/xfrd.state\"\n    \
         xfrdir: \"{folder}\"\n    zonelistfile: \"{folder}/zone.list\"\n    server-count: 1\n    \
         rrl-ratelimit: 0\n    rrl-whitelist-ratelimit: 0\n{tuned}remote-control:\n    control-enable: no\n"
    );
    for zone in *zones {
        writeln!(text, "zone:\n    name: \"{}\"", zone.apex)?;
        match place {
            Place::Alone | Place::Primary(_) => writeln!(text, "    zonefile: \"{}\"", zone.file.display())?,
            // Nobody starts it as one: Debian 12 has 4.6, and catalog zones came with 4.9.
            Place::Secondary(primary) | Place::OfCatalog(primary) => writeln!(
                text,
                "    zonefile: \"{}.secondary\"\n    allow-notify: 127.0.0.1 NOKEY\n    \
                 request-xfr: 127.0.0.1@{primary} NOKEY",
                zone.apex
            )?,
        }
    }
    Ok(text)
}
