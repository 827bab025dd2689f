//! A primary and its one secondary, joined by NOTIFY (RFC 1996) and IXFR (RFC 1995).

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::Context as _;
use zonecast_tests::free_port;

use super::server::Server;
use super::software::{Place, ServedZone, Setup, Software};
use super::update::Updater;

/// See the module.
pub(crate) struct Pair {
    secondary: Server,
    _primary: Server,
    updater: Updater,
    configuration: String,
}

impl Pair {
    /// Starts both and waits until the secondary serves all zones. The primary works on copies of the files.
    pub(crate) fn start(
        primary: Software,
        secondary: Software,
        setup: Setup,
        zones: &[ServedZone],
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
        let place = Place::Secondary(port);
        let mut second = Server::launch(secondary, setup, place, zones, &second_home, second_port, None)?;
        second.wait_served(zones).with_context(|| format!("{} as a secondary", secondary.name()))?;
        let configuration = format!(
            "# primary\n{}\n# secondary\n{}",
            first.configuration().trim_end(),
            second.configuration().trim_end()
        );
        let updater = Updater::new(first.address())?;
        Ok(Self { secondary: second, _primary: first, updater, configuration })
    }

    /// Where the secondary answers.
    pub(crate) fn secondary_address(&self) -> SocketAddr {
        self.secondary.address()
    }

    /// What both were told, for the report.
    pub(crate) fn configuration(&self) -> &str {
        &self.configuration
    }

    /// Replaces the addresses of a name by this one; returns when the primary has done so.
    pub(crate) fn set_address(&self, apex: &str, name: &str, address: Ipv4Addr) -> anyhow::Result<()> {
        self.updater.set_address(apex, name, address)
    }
}
