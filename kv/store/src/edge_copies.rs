//! The copies of an edge: the live one, and one beside it while a snapshot is loading.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use zonecast_kv_proto::Position;

use crate::StoreError;
use crate::edge_damage::Damage;
use crate::edge_live::{Contents, Live, Settings, lock};
use crate::edge_options::EdgeOptions;
use crate::generations::{Generation, Generations};
use crate::kept_tables::KeptTables;
use crate::range_checks::RangeChecks;

const PREFIX: &str = "copy-";

/// The folder of an edge: readers share the live copy until the copy that a snapshot filled takes its place.
pub(crate) struct Copies {
    pub(crate) settings: Settings,
    pub(crate) damage: Arc<Damage>,
    /// Of the live one.
    pub(crate) checks: RangeChecks,
    live: Mutex<Arc<Live>>,
    /// Table files for nodes that follow this one, if they may.
    pub(crate) kept: Option<KeptTables>,
    // Last, so that nobody else comes in before the database is closed.
    generations: Generations,
}

impl Copies {
    /// Opens the live copy in a folder, or makes a new one, also in place of one that is damaged. What an interrupted
    /// snapshot left is removed.
    pub(crate) fn open(folder: &Path, options: EdgeOptions) -> Result<Self, StoreError> {
        let generations = Generations::open(folder, PREFIX)?;
        let settings = Settings::new(options);
        let damage = Arc::new(Damage::default());
        let live = match open_live(&settings, &generations, &damage) {
            Ok(live) => live,
            Err(error) if error.is_damage() => {
                tracing::warn!("{error}; this copy is discarded and fetched again from the core");
                let live = make_live(&settings, &generations, &damage)?;
                damage.found(error.to_string());
                live
            }
            Err(error) => return Err(error),
        };
        generations.sweep(Some(&live.generation))?;
        let checks = RangeChecks::new();
        let kept = if options.batch_log_bytes > 0 {
            Some(KeptTables::open(folder)?)
        } else {
            KeptTables::remove(folder)?;
            None
        };
        Ok(Self { settings, damage, checks, live: Mutex::new(Arc::new(live)), kept, generations })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.generations.folder()
    }

    pub(crate) fn live(&self) -> Arc<Live> {
        lock(&self.live).clone()
    }

    /// A new copy, which stands nowhere yet, replaces the live one.
    pub(crate) fn start_anew(&self) -> Result<(), StoreError> {
        let live = make_live(&self.settings, &self.generations, &self.damage)?;
        self.replace(live);
        Ok(())
    }

    /// Begins a new copy beside the live one.
    pub(crate) fn begin(&self) -> Result<Generation, StoreError> {
        self.generations.begin()
    }

    /// Makes one that was begun the live one: with these sorted table files in it, all that there is of these contents.
    pub(crate) fn switch(
        &self,
        generation: Generation,
        files: Vec<PathBuf>,
        contents: &Contents,
    ) -> Result<(), StoreError> {
        self.fill(generation, files, contents, |_| Ok(()))
    }

    /// The same for a new one with everything at a position, if what it holds then passes a check.
    pub(crate) fn switch_to(
        &self,
        files: Vec<PathBuf>,
        position: &Position,
        check: impl FnOnce(&Live) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.fill(self.begin()?, files, &Contents { position: *position, filter: None }, check)
    }

    fn fill(
        &self,
        generation: Generation,
        files: Vec<PathBuf>,
        contents: &Contents,
        check: impl FnOnce(&Live) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut live = self.settings.open(generation, true, &self.damage)?;
        live.ingest(files, contents)?;
        check(&live)?;
        self.generations.switch(&live.generation)?;
        self.replace(live);
        self.damage.gone();
        Ok(())
    }

    fn replace(&self, live: Live) {
        let before = std::mem::replace(&mut *lock(&self.live), Arc::new(live));
        before.generation.retire();
        self.checks.forget();
    }
}

impl Drop for Copies {
    fn drop(&mut self) {
        self.checks.end();
    }
}

/// The copy that is live, or the first one.
fn open_live(settings: &Settings, generations: &Generations, damage: &Arc<Damage>) -> Result<Live, StoreError> {
    if let Some(generation) = generations.live()? {
        return settings.open(generation, false, damage);
    }
    generations.sweep(None)?;
    make_live(settings, generations, damage)
}

/// A new copy, which stands nowhere yet, in place of whatever is live.
fn make_live(settings: &Settings, generations: &Generations, damage: &Arc<Damage>) -> Result<Live, StoreError> {
    let live = settings.open(generations.begin()?, true, damage)?;
    generations.switch(&live.generation)?;
    Ok(live)
}
