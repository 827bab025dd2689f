//! Configuration of BIND: ARM 9.18, "Configuration Reference".

use std::fmt::{Error, Write as _};

use super::wanted::{Place, Wanted};

pub(super) fn config(wanted: &Wanted<'_>) -> Result<String, Error> {
    let Wanted { setup, place, zones, folder, port } = wanted;
    let folder = folder.display();
    // Without these, what follows a change waits for 5 seconds, and for others.
    let tuned = setup.tuned(
        "    notify-delay 0;\n    notify-rate 1000;\n    startup-notify-rate 1000;\n    serial-query-rate 1000;\n",
    );
    let notify = match place {
        Place::Primary(secondary) => {
            format!("    notify explicit;\n    also-notify {{ 127.0.0.1 port {secondary}; }};\n")
        }
        Place::Alone | Place::Secondary(_) => "    notify no;\n".into(),
        Place::OfCatalog(primary) => {
            // It looks into a catalog that has changed at most so often: every 5 seconds by default.
            let tuned = setup.tuned(" min-update-interval 0");
            let catalogs = zones.iter().map(|zone| {
                let apex = &zone.apex;
                format!("zone \"{apex}\" default-primaries {{ 127.0.0.1 port {primary}; }}{tuned} in-memory yes; ")
            });
            format!("    notify no;\n    catalog-zones {{ {}}};\n", catalogs.collect::<String>())
        }
    };
    let mut text = format!(
        "options {{\n    directory \"{folder}\";\n    pid-file \"{folder}/named.pid\";\n    \
         session-keyfile \"{folder}/session.key\";\n    lock-file none;\n    \
         listen-on port {port} {{ 127.0.0.1; }};\n    listen-on-v6 {{ none; }};\n    recursion no;\n    \
         dnssec-validation no;\n    empty-zones-enable no;\n    allow-transfer {{ 127.0.0.1; }};\n{notify}{tuned}}};\n\
         controls {{ }};\n"
    );
    for zone in *zones {
        let (apex, file) = (&zone.apex, zone.file.display());
        match place {
            Place::Alone => writeln!(text, "zone \"{apex}\" {{ type primary; file \"{file}\"; }};")?,
            Place::Primary(_) => {
                writeln!(text, "zone \"{apex}\" {{ type primary; file \"{file}\"; allow-update {{ 127.0.0.1; }}; }};")?;
            }
            Place::Secondary(primary) | Place::OfCatalog(primary) => writeln!(
                text,
                "zone \"{apex}\" {{ type secondary; file \"{folder}/{apex}.secondary\"; \
                 primaries {{ 127.0.0.1 port {primary}; }}; allow-notify {{ 127.0.0.1; }}; }};"
            )?,
        }
    }
    Ok(text)
}
