//! The name servers that are compared with: where they are and how they are told what to do.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::wanted::Wanted;
use super::{bind, knot, nsd, powerdns};

/// Which name server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Software {
    /// ISC BIND.
    Bind,
    /// CZ.NIC Knot DNS.
    Knot,
    /// NLnet Labs NSD.
    Nsd,
    /// PowerDNS Authoritative Server with its LMDB backend.
    PowerDns,
}

impl Software {
    /// In reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bind => "BIND",
            Self::Knot => "Knot",
            Self::Nsd => "NSD",
            Self::PowerDns => "PowerDNS",
        }
    }

    /// Debian's name for it.
    pub(crate) fn package(self) -> &'static str {
        match self {
            Self::Bind => "bind9",
            Self::Knot => "knot",
            Self::Nsd => "nsd",
            Self::PowerDns => "pdns-server and pdns-backend-lmdb",
        }
    }

    /// What it says of itself; nothing if it is not installed.
    pub(crate) fn version(self) -> Option<String> {
        let flag = match self {
            Self::Bind | Self::Nsd => "-v",
            Self::Knot | Self::PowerDns => "--version",
        };
        if self == Self::PowerDns && !powerdns::has_backend() {
            return None;
        }
        let output = Command::new(self.program()?).arg(flag).output().ok()?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        // A number with dots, wherever it stands.
        let number = |word: &&str| word.contains('.') && word.starts_with(|first: char| first.is_ascii_digit());
        let word = text.split_whitespace().map(|word| word.trim_end_matches(['.', ','])).find(number);
        Some(word.unwrap_or("of unknown version").to_owned())
    }

    pub(super) fn program(self) -> Option<PathBuf> {
        let name = match self {
            Self::Bind => "named",
            Self::Knot => "knotd",
            Self::Nsd => "nsd",
            Self::PowerDns => "pdns_server",
        };
        ["/usr/sbin", "/usr/bin", "/usr/local/sbin"]
            .map(|folder| Path::new(folder).join(name))
            .into_iter()
            .find(|path| path.is_file())
    }

    pub(super) fn config(self, wanted: &Wanted<'_>) -> Result<String, fmt::Error> {
        match self {
            Self::Bind => bind::config(wanted),
            Self::Knot => knot::config(wanted),
            Self::Nsd => nsd::config(wanted),
            Self::PowerDns => Ok(powerdns::config(wanted)),
        }
    }

    pub(super) fn arguments(self, folder: &Path, config: &Path) -> Vec<String> {
        let (folder, config) = (format!("--config-dir={}", folder.display()), config.display().to_string());
        let arguments: &[&str] = match self {
            Self::Bind => &["-g", "-n", "1", "-c", &config],
            Self::Knot => &["-c", &config],
            Self::Nsd => &["-d", "-c", &config],
            Self::PowerDns => &[&folder],
        };
        arguments.iter().map(ToString::to_string).collect()
    }
}
