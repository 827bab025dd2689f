//! Configuration of Knot DNS: its manual, "Configuration Reference" and "Operation".

use std::fmt::{Error, Write as _};

use super::wanted::{Place, Wanted};

pub(super) fn config(wanted: &Wanted<'_>) -> Result<String, Error> {
    let Wanted { setup, place, zones, folder, port } = wanted;
    let folder = folder.display();
    // One worker for the one processor that it has; a journal instead of writing the zone file at every change.
    let server = setup.tuned("    udp-workers: 1\n    tcp-workers: 1\n    background-workers: 1\n");
    let zonefile = setup.tuned("    zonefile-sync: -1\n    semantic-checks: off\n");
    let remote = match place {
        Place::Alone => String::new(),
        Place::Primary(other) | Place::Secondary(other) | Place::OfCatalog(other) => {
            format!("remote:\n  - id: other\n    address: 127.0.0.1@{other}\n")
        }
    };
    let members = match place {
        Place::OfCatalog(_) => {
            format!("  - id: member\n    storage: \"{folder}\"\n    acl: local\n    master: other\n")
        }
        Place::Alone | Place::Primary(_) | Place::Secondary(_) => String::new(),
    };
    let mut text = format!(
        "server:\n    rundir: \"{folder}\"\n    listen: 127.0.0.1@{port}\n{server}log:\n  - target: stderr\n    \
         any: warning\ncontrol:\n    listen: \"{folder}/knot.sock\"\ndatabase:\n    storage: \"{folder}\"\n{remote}\
         acl:\n  - id: local\n    address: 127.0.0.1\n    action: [transfer, notify, update]\n\
         template:\n  - id: default\n    storage: \"{folder}\"\n    acl: local\n{zonefile}{members}zone:\n"
    );
    for zone in *zones {
        writeln!(text, "  - domain: \"{}\"", zone.apex)?;
        match place {
            Place::Alone => writeln!(text, "    file: \"{}\"", zone.file.display())?,
            Place::Primary(_) => writeln!(text, "    file: \"{}\"\n    notify: other", zone.file.display())?,
            Place::Secondary(_) => writeln!(text, "    file: \"{}.secondary\"\n    master: other", zone.apex)?,
            Place::OfCatalog(_) => writeln!(
                text,
                "    file: \"{}.secondary\"\n    master: other\n    catalog-role: interpret\n    \
                 catalog-template: member",
                zone.apex
            )?,
        }
    }
    Ok(text)
}
