//! A primary and its one secondary, joined by NOTIFY (RFC 1996) and IXFR (RFC 1995).

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context as _;
use zonecast_tests::free_port;

use super::server::Server;
use super::software::Software;
use super::update::Updater;
use super::wanted::{Place, ServedZone, Setup};

/// Name of the catalog zone, which the secondary of [`Pair::start_with_catalog`] follows.
pub(crate) const CATALOG: &str = "catalog.example";

/// How a catalog begins (RFC 9432 section 4).
const CATALOG_HEAD: &str = "@ 0 SOA invalid. invalid. 1 3600 600 2147483646 0\n@ 0 NS invalid.\nversion 0 TXT \"2\"\n";

/// A primary and its secondary, both running: a change at the primary reaches the secondary by NOTIFY and IXFR.
pub(crate) struct Pair {
    secondary: Server,
    primary: Server,
    configuration: String,
}

impl Pair {
    /// Starts both and waits until the secondary serves all zones. The primary works on copies of the files.
    pub(crate) fn start(
        softwares: [Software; 2],
        setup: Setup,
        zones: &[ServedZone],
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let mut pair = Self::join(softwares, setup, [zones, zones], Place::Secondary, folder)?;
        pair.secondary.wait_served(zones).context("the secondary")?;
        Ok(pair)
    }

    /// The same, and the secondary has a catalog instead: that names the first zone, and it learns of each other one by
    /// [`Updater::add_member`].
    pub(crate) fn start_with_catalog(
        softwares: [Software; 2],
        setup: Setup,
        members: &[ServedZone],
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let file = folder.join("catalog.zone");
        let first = members.first().context("a catalog needs a zone to begin with")?;
        std::fs::write(&file, format!("{CATALOG_HEAD}first.zones 0 PTR {}.\n", first.apex))?;
        let catalog = ServedZone { apex: CATALOG.to_owned(), file };
        let at_primary = [members, std::slice::from_ref(&catalog)].concat();
        let catalogs = [catalog];
        let mut pair = Self::join(softwares, setup, [&at_primary, &catalogs], Place::OfCatalog, folder)?;
        pair.secondary.wait_served(std::slice::from_ref(first)).context("the secondary and its catalog")?;
        Ok(pair)
    }

    fn join(
        [primary, secondary]: [Software; 2],
        setup: Setup,
        [zones, second_zones]: [&[ServedZone]; 2],
        place: impl Fn(u16) -> Place,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let (home, second_home) = (folder.join("primary"), folder.join("secondary"));
        std::fs::create_dir_all(&home)?;
        std::fs::create_dir_all(&second_home)?;
        let copies: Vec<ServedZone> = zones
            .iter()
            .map(|zone| {
                let file = home.join(format!("{}.zone", zone.apex));
                std::fs::copy(&zone.file, &file)?;
                Ok(ServedZone { apex: zone.apex.clone(), file })
            })
            .collect::<std::io::Result<_>>()?;
        let (port, second_port) = (free_port(), free_port());
        let mut first = Server::launch(primary, setup, Place::Primary(second_port), &copies, &home, port, None)?;
        first.wait_served(zones).with_context(|| format!("{} as a primary", primary.name()))?;
        let second = Server::launch(secondary, setup, place(port), second_zones, &second_home, second_port, None)?;
        let configuration = format!(
            "# primary\n{}\n# secondary\n{}",
            first.configuration().trim_end(),
            second.configuration().trim_end()
        );
        Ok(Self { secondary: second, primary: first, configuration })
    }

    /// Where the secondary answers.
    pub(crate) fn secondary_address(&self) -> SocketAddr {
        self.secondary.address()
    }

    /// What both were told, for the report.
    pub(crate) fn configuration(&self) -> &str {
        &self.configuration
    }

    /// A client of the primary, with a socket of its own.
    pub(crate) fn updater(&self) -> anyhow::Result<Updater> {
        Updater::new(self.primary.address())
    }
}
