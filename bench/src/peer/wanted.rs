//! What a name server is set up for: its zones, and its part among others.

use std::path::{Path, PathBuf};

/// How it is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setup {
    /// As its manual advises for the work.
    Tuned,
    /// With its defaults, but for what it takes to run here.
    AsShipped,
}

/// A zone and its file.
#[derive(Clone, Debug)]
pub(crate) struct ServedZone {
    /// Its name, without the last dot.
    pub(crate) apex: String,
    /// Its text.
    pub(crate) file: PathBuf,
}

/// What a configuration is made for.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    /// Answers from its files.
    Alone,
    /// Takes updates, and tells the secondary at this port.
    Primary(u16),
    /// Follows the primary at this port.
    Secondary(u16),
    /// Serves what the catalog zones of the primary at this port name (RFC 9432).
    OfCatalog(u16),
}

/// Everything that a configuration depends on.
pub(super) struct Wanted<'a> {
    pub(super) setup: Setup,
    pub(super) place: Place,
    pub(super) zones: &'a [ServedZone],
    /// Where it may write.
    pub(super) folder: &'a Path,
    /// On 127.0.0.1.
    pub(super) port: u16,
}

impl Setup {
    /// In reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tuned => "tuned",
            Self::AsShipped => "as shipped",
        }
    }

    /// One line of configuration, or none.
    pub(super) fn tuned(self, line: &'static str) -> &'static str {
        if self == Self::Tuned { line } else { "" }
    }
}
