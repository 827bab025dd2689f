//! A run of the harness: collects figures, says what goes on, writes each result as it comes.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;

use crate::figure::Figure;
use crate::host::{self, NoiseWatch};

/// How much is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Size {
    /// Seconds for each scenario: shows that everything works; figures mean little.
    Smoke,
    /// About sixteen minutes for all of them.
    Standard,
    /// The sizes that the targets name; an hour or more.
    Full,
}

impl Size {
    /// One of three, by size.
    pub(crate) fn pick<T>(self, smoke: T, standard: T, full: T) -> T {
        match self {
            Self::Smoke => smoke,
            Self::Standard => standard,
            Self::Full => full,
        }
    }
}

/// Collects the figures of a run and writes each to the results file as soon as it is measured.
pub(crate) struct Bench {
    /// How much is done.
    pub(crate) size: Size,
    folder: PathBuf,
    lines: Option<File>,
    figures: Vec<Figure>,
    scenario: String,
    failures: usize,
    noise: NoiseWatch,
    started: Instant,
    commit: String,
    host: String,
    date: String,
}

impl Bench {
    /// Writes each result to `lines`; `folder` is for what scenarios need on disk.
    pub(crate) fn new(size: Size, folder: &Path, lines: Option<&Path>) -> anyhow::Result<Self> {
        let create = |path: &Path| File::create(path).with_context(|| format!("cannot write {}", path.display()));
        Ok(Self {
            size,
            folder: folder.to_owned(),
            lines: lines.map(create).transpose()?,
            figures: Vec::new(),
            scenario: String::new(),
            failures: 0,
            noise: NoiseWatch::start(),
            started: Instant::now(),
            commit: host::commit(),
            host: host::describe(),
            date: host::today(),
        })
    }

    /// What follows belongs to this scenario.
    pub(crate) fn begin(&mut self, scenario: &str) {
        scenario.clone_into(&mut self.scenario);
        self.noise = NoiseWatch::start();
        self.say(&format!("begins ({})", self.noise.describe()));
    }

    /// Tells people what goes on.
    #[allow(clippy::print_stderr, reason = "progress goes to standard error, results to standard output")]
    pub(crate) fn say(&self, what: &str) {
        eprintln!("{:6.1} s  {:12} {what}", self.started.elapsed().as_secs_f64(), self.scenario);
    }

    /// An empty folder of this name, for this run only.
    pub(crate) fn folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        let folder = self.folder.join(name);
        // It may not exist.
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(folder)
    }

    /// Keeps a result, writes it and shows it.
    pub(crate) fn record(&mut self, figure: Figure) -> anyhow::Result<()> {
        let figure = Figure {
            scenario: self.scenario.clone(),
            commit: self.commit.clone(),
            host: self.host.clone(),
            date: self.date.clone(),
            noisy: figure.noisy || self.noise.is_noisy(),
            ..figure
        };
        self.say(&crate::report::one_line(&figure));
        if let Some(lines) = &mut self.lines {
            serde_json::to_writer(&mut *lines, &figure)?;
            lines.write_all(b"\n").context("cannot write a result")?;
        }
        self.figures.push(figure);
        Ok(())
    }

    /// A peer that is not there is skipped, loudly: as a result, too.
    pub(crate) fn skipped(&mut self, work: &str, peer: &str, why: &str) -> anyhow::Result<()> {
        let skipped = Some(format!("skipped: {why}"));
        self.record(Figure { not_yet: skipped, ..Figure::new(work, peer, "").kind(crate::figure::Kind::Peer) })
    }

    /// A scenario that could not be carried out: a result, too, and the run fails at its end.
    pub(crate) fn failed(&mut self, error: &anyhow::Error) -> anyhow::Result<()> {
        self.failures += 1;
        let failed = Some(format!("failed: {error:#}"));
        self.record(Figure { not_yet: failed, ..Figure::new("all of it", "zonecast", "") })
    }

    /// How many scenarios failed.
    pub(crate) fn failures(&self) -> usize {
        self.failures
    }

    /// What was recorded so far.
    pub(crate) fn figures(&self) -> &[Figure] {
        &self.figures
    }
}
