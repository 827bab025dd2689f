//! The zones that every server under comparison loads.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::Name;

/// A zone and its file.
#[derive(Clone, Debug)]
pub struct HostedZone {
    /// Where it begins.
    pub apex: Name,
    /// Absolute path.
    pub file: PathBuf,
}

/// Zones that one server hosts together.
#[derive(Clone, Debug)]
pub struct Corpus {
    /// Folder of the zone files.
    pub folder: PathBuf,
    /// Lines `apex<TAB>file`, as `zonecast dev --manifest` takes them.
    pub manifest: PathBuf,
    /// What the manifest lists.
    pub zones: Vec<HostedZone>,
}

impl Corpus {
    /// Reads `tests/zones/<name>.manifest`.
    ///
    /// # Errors
    /// The manifest is unreadable or a line of it is not `apex<TAB>file`.
    pub fn load(name: &str) -> anyhow::Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("zones");
        let manifest = folder.join(format!("{name}.manifest"));
        let text = std::fs::read_to_string(&manifest).with_context(|| format!("cannot read {}", manifest.display()))?;
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let zones = lines.map(|line| {
            let (apex, file) = line.split_once('\t').with_context(|| format!("no tab in {line:?}"))?;
            let mut apex: Name = apex.parse().with_context(|| format!("bad apex in {line:?}"))?;
            apex.make_canonical();
            Ok(HostedZone { apex, file: folder.join(file) })
        });
        Ok(Self { zones: zones.collect::<anyhow::Result<_>>()?, folder, manifest })
    }
}
