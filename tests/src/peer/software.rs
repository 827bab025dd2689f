//! The servers that we compare with: where they are, and how they are told what to do.

use std::path::{Path, PathBuf};

use super::{PeerError, bind, knot, nsd, powerdns};
use crate::HostedZone;

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Software {
    /// NLnet Labs NSD.
    Nsd,
    /// CZ.NIC Knot DNS.
    Knot,
    /// ISC BIND, told to answer as others do.
    Bind,
    /// The same with what it does by default.
    StockBind,
    /// The PowerDNS Authoritative Server, with its BIND backend.
    PowerDns,
}

/// What a configuration depends on.
pub(super) struct Setup<'a> {
    /// Where the server may write.
    pub(super) folder: &'a Path,
    /// On 127.0.0.1.
    pub(super) port: u16,
    /// What it serves.
    pub(super) zones: &'a [HostedZone],
}

impl Software {
    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nsd => "NSD",
            Self::Knot => "Knot",
            Self::Bind => "BIND",
            Self::StockBind => "stock BIND",
            Self::PowerDns => "PowerDNS",
        }
    }

    pub(super) fn program(self) -> Result<PathBuf, PeerError> {
        let (program, package) = match self {
            Self::Nsd => ("nsd", "nsd"),
            Self::Knot => ("knotd", "knot"),
            Self::Bind | Self::StockBind => ("named", "bind9"),
            Self::PowerDns => ("pdns_server", "pdns-server pdns-backend-bind"),
        };
        // Servers live in sbin folders, which are not in everybody's PATH.
        let path = std::env::var_os("PATH").unwrap_or_default();
        let sbin = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
        let found = std::env::split_paths(&path).chain(sbin).map(|folder| folder.join(program));
        found.into_iter().find(|path| path.is_file()).ok_or(PeerError::Missing { program, package })
    }

    pub(super) fn config(self, setup: &Setup<'_>) -> String {
        match self {
            Self::Nsd => nsd::config(setup),
            Self::Knot => knot::config(setup),
            Self::Bind => bind::config(setup),
            Self::StockBind => bind::stock(setup),
            Self::PowerDns => powerdns::zones(setup),
        }
    }

    pub(super) fn arguments(self, config: &Path, port: u16) -> Vec<PathBuf> {
        if self == Self::PowerDns {
            return powerdns::arguments(config, port);
        }
        let flags: &[&str] = match self {
            Self::Nsd => &["-d", "-c"],
            Self::Knot => &["-c"],
            Self::Bind | Self::StockBind => &["-g", "-n", "1", "-c"],
            Self::PowerDns => &[],
        };
        flags.iter().map(PathBuf::from).chain([config.to_owned()]).collect()
    }
}
