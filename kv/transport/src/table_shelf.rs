//! The table files that a publisher keeps for edges: made once, and given to all who want them while the batch log goes on
//! from there.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Semaphore;
use zonecast_kv_proto::{BatchSource, Epoch, LogPin, SignedManifest, SourceError, TableSource, Version};

use crate::lock::lock;
use crate::table_fetcher::TableFetcher;

/// So long files are kept that nobody reads, for an edge whose connection was cut, and for the next one.
pub(crate) const KEEP_TABLES: Duration = Duration::from_mins(10);

/// See the module.
pub(crate) struct TableShelf {
    /// One at a time looks and makes; the others find what it has made.
    turn: Arc<Semaphore>,
    /// Whether downstreams will believe what others have signed.
    believes: Believes,
    /// Where others come from, if the source makes none.
    fetcher: Option<Arc<dyn TableFetcher>>,
    present: Mutex<Present>,
}

/// Whether a manifest is signed by somebody who may.
pub(crate) type Believes = Box<dyn Fn(&SignedManifest) -> bool + Send + Sync>;

#[derive(Default)]
struct Present {
    tables: Option<Arc<dyn TableSource>>,
    /// Since when nobody is known to read them.
    idle_since: Option<Duration>,
}

/// Table files that are read; what follows them in the batch log stays there.
pub(crate) struct Taken {
    pub(crate) tables: Arc<dyn TableSource>,
    pub(crate) pin: Box<dyn LogPin>,
}

impl TableShelf {
    pub(crate) fn new(believes: Believes, fetcher: Option<Arc<dyn TableFetcher>>) -> Self {
        Self { turn: Arc::new(Semaphore::new(1)), believes, fetcher, present: Mutex::default() }
    }

    /// Table files that stand at this epoch and version or later: those that are there, or new ones. `None` where there are
    /// none.
    pub(crate) async fn take(
        self: &Arc<Self>,
        source: Arc<dyn BatchSource>,
        from: (Epoch, Version),
    ) -> Result<Option<Taken>, SourceError> {
        let turn = Arc::clone(&self.turn).acquire_owned().await.expect("never closed");
        let shelf = Arc::clone(self);
        // To the end, also when nobody waits any more: the next one would begin anew beside it.
        let taken = tokio::spawn(async move {
            let _turn = turn;
            shelf.find_or_get(source, from).await
        });
        taken.await.expect("sources do not panic")
    }

    async fn find_or_get(
        self: Arc<Self>,
        source: Arc<dyn BatchSource>,
        from: (Epoch, Version),
    ) -> Result<Option<Taken>, SourceError> {
        let find = || {
            let (shelf, source) = (Arc::clone(&self), Arc::clone(&source));
            blocking(move || shelf.find(&*source, from))
        };
        if let Some(taken) = find().await? {
            return Ok(Some(taken));
        }
        let Some(fetcher) = &self.fetcher else {
            let (shelf, source) = (Arc::clone(&self), Arc::clone(&source));
            return blocking(move || shelf.make(&*source)).await;
        };
        let Some(_pin) = Arc::clone(fetcher).fetch(from).await else { return Ok(None) };
        find().await
    }

    /// Lets go of files that nobody has read for long.
    pub(crate) fn tidy(&self, now: Duration) {
        let mut present = lock(&self.present);
        let Present { tables: Some(tables), idle_since } = &mut *present else { return };
        if Arc::strong_count(tables) > 1 {
            *idle_since = None;
        } else if now >= idle_since.get_or_insert(now).saturating_add(KEEP_TABLES) {
            let idle = std::mem::take(&mut *present);
            drop(present);
            // Their files are removed with them.
            tokio::task::spawn_blocking(move || drop(idle));
        }
    }

    /// Those that are there, if they are of use.
    fn find(&self, source: &dyn BatchSource, from: (Epoch, Version)) -> Result<Option<Taken>, SourceError> {
        let present = lock(&self.present).tables.clone();
        if let Some(taken) = self.usable(source, from, present)? {
            lock(&self.present).idle_since = None;
            return Ok(Some(taken));
        }
        // Before there are others, so that the disk has room for them.
        drop(std::mem::take(&mut *lock(&self.present)));
        let kept = source.kept_tables()?.map(Arc::from);
        if let Some(taken) = self.usable(source, from, kept)? {
            *lock(&self.present) = Present { tables: Some(Arc::clone(&taken.tables)), idle_since: None };
            return Ok(Some(taken));
        }
        Ok(None)
    }

    /// New ones.
    fn make(&self, source: &dyn BatchSource) -> Result<Option<Taken>, SourceError> {
        let pin = source.pin(source.position().version);
        let Some(made) = source.make_tables()? else { return Ok(None) };
        let tables: Arc<dyn TableSource> = Arc::from(made);
        lock(&self.present).tables = Some(Arc::clone(&tables));
        let manifest = tables.manifest();
        let (files, bytes) = (manifest.files.len(), manifest.total_len());
        tracing::info!(position = %manifest.position, files, bytes, "table files are made for edges that need a snapshot");
        Ok(Some(Taken { tables, pin }))
    }

    /// These, if a downstream that stands before `from` can begin with them now.
    fn usable(
        &self,
        source: &dyn BatchSource,
        from: (Epoch, Version),
        tables: Option<Arc<dyn TableSource>>,
    ) -> Result<Option<Taken>, SourceError> {
        let Some(tables) = tables else { return Ok(None) };
        let position = tables.manifest().position;
        // Before it is looked at, so that nothing is trimmed in between.
        let pin = source.pin(position.version);
        let is_believed = tables.signed().is_none_or(|signed| (self.believes)(signed));
        let is_usable = is_believed && position.order() >= from && source.is_recent(tables.manifest())?;
        Ok(is_usable.then_some(Taken { tables, pin }))
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("sources do not panic")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

    use bytes::Bytes;
    use zonecast_kv_proto::{Chain, Filter, Position, SnapshotSource, StoreId, TableHash, TableManifest};

    use super::*;

    /// A store that stands at a version, and whose files are counted.
    #[derive(Default)]
    struct Counted {
        version: AtomicU64,
        made: AtomicUsize,
        is_trimmed: AtomicBool,
        makes_none: bool,
        /// It has kept some at version 0, which somebody else has signed.
        has_kept: bool,
        alive: Arc<()>,
    }

    struct Files {
        manifest: TableManifest,
        signed: Option<SignedManifest>,
        _alive: Arc<()>,
    }

    impl BatchSource for Counted {
        fn position(&self) -> Position {
            let version = Version::new(self.version.load(Ordering::Relaxed));
            Position { version, ..Position::origin(StoreId::new(5)) }
        }

        fn chain_at(&self, _: Version) -> Result<Option<Chain>, SourceError> {
            Ok(None)
        }

        fn began(&self) -> Version {
            Version::ZERO
        }

        fn read_after(&self, _: Version, _: usize) -> Result<Option<Vec<Bytes>>, SourceError> {
            Ok(None)
        }

        fn snapshot(&self, _: Option<&Filter>) -> Result<Box<dyn SnapshotSource>, SourceError> {
            Err(SourceError("none".to_owned()))
        }

        fn make_tables(&self) -> Result<Option<Box<dyn TableSource>>, SourceError> {
            self.made.fetch_add(1, Ordering::Relaxed);
            let manifest = TableManifest { position: self.position(), entries: 0, files: vec![] };
            let files = || Files { manifest, signed: None, _alive: Arc::clone(&self.alive) };
            Ok((!self.makes_none).then(|| Box::new(files()) as Box<dyn TableSource>))
        }

        fn kept_tables(&self) -> Result<Option<Box<dyn TableSource>>, SourceError> {
            let position = Position::origin(StoreId::new(5));
            let manifest = TableManifest { position, entries: 0, files: vec![] };
            let signed = Some(SignedManifest::default());
            let files = || Files { manifest, signed, _alive: Arc::clone(&self.alive) };
            Ok(self.has_kept.then(|| Box::new(files()) as Box<dyn TableSource>))
        }

        fn is_recent(&self, _: &TableManifest) -> Result<bool, SourceError> {
            Ok(!self.is_trimmed.load(Ordering::Relaxed))
        }
    }

    impl TableSource for Files {
        fn manifest(&self) -> &TableManifest {
            &self.manifest
        }

        fn signed(&self) -> Option<&SignedManifest> {
            self.signed.as_ref()
        }

        fn read(&self, _: &TableHash, _: u64, _: usize) -> Result<Bytes, SourceError> {
            Ok(Bytes::new())
        }
    }

    impl Counted {
        /// Sets of files that are somewhere.
        fn alive(&self) -> usize {
            Arc::strong_count(&self.alive) - 1
        }
    }

    fn shelf() -> Arc<TableShelf> {
        TableShelf::new(Box::new(|_| true), None).into()
    }

    async fn take(shelf: &Arc<TableShelf>, source: &Arc<Counted>, from: u64) -> Option<Taken> {
        let from = (Epoch::ZERO, Version::new(from));
        shelf.take(Arc::clone(source) as Arc<dyn BatchSource>, from).await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn files_are_made_once_for_all_and_anew_when_they_are_of_no_use() {
        let (shelf, source) = (shelf(), Arc::<Counted>::default());
        let (first, second, third) = tokio::join!(take(&shelf, &source, 0), take(&shelf, &source, 0), async {
            // One that has gone away takes nothing from the others.
            drop(tokio::time::timeout(Duration::ZERO, take(&shelf, &source, 0)).await);
            take(&shelf, &source, 0).await
        });
        assert!([&first, &second, &third].iter().all(|taken| taken.is_some()));
        assert_eq!(source.made.load(Ordering::Relaxed), 1);
        source.version.store(7, Ordering::Relaxed);
        assert_eq!(take(&shelf, &source, 0).await.unwrap().tables.manifest().position.version, Version::ZERO);
        assert_eq!(take(&shelf, &source, 5).await.unwrap().tables.manifest().position.version, Version::new(7));
        assert_eq!((source.made.load(Ordering::Relaxed), source.alive()), (2, 2), "the first are still read");
        drop((first, second, third));
        assert_eq!(source.alive(), 1);
        source.is_trimmed.store(true, Ordering::Relaxed);
        drop(take(&shelf, &source, 0).await);
        assert_eq!((source.made.load(Ordering::Relaxed), source.alive()), (3, 1));
    }

    /// Gets none, and says so.
    struct Fetcher(AtomicUsize);

    impl TableFetcher for Fetcher {
        fn fetch(self: Arc<Self>, _: (Epoch, Version)) -> crate::Fetched {
            self.0.fetch_add(1, Ordering::Relaxed);
            Box::pin(async { None })
        }
    }

    #[tokio::test]
    async fn kept_files_are_given_while_they_are_of_use_and_their_signature_is_believed() {
        let source = Arc::new(Counted { has_kept: true, makes_none: true, ..Default::default() });
        for is_believed in [true, false] {
            let fetcher = Arc::new(Fetcher(AtomicUsize::new(0)));
            let others = Some(Arc::clone(&fetcher) as Arc<dyn TableFetcher>);
            let shelf: Arc<TableShelf> = TableShelf::new(Box::new(move |_| is_believed), others).into();
            assert_eq!(take(&shelf, &source, 0).await.is_some(), is_believed);
            assert_eq!(fetcher.0.load(Ordering::Relaxed), usize::from(!is_believed));
            // A copy that is damaged needs newer ones.
            assert!(take(&shelf, &source, 1).await.is_none());
            assert_eq!(
                (fetcher.0.load(Ordering::Relaxed), source.made.load(Ordering::Relaxed)),
                (2 - usize::from(is_believed), 0)
            );
        }
    }

    #[tokio::test]
    async fn a_source_that_makes_none_is_no_fault() {
        let (shelf, source) = (shelf(), Arc::new(Counted { makes_none: true, ..Default::default() }));
        assert!(take(&shelf, &source, 0).await.is_none());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn files_that_nobody_reads_are_kept_for_a_while_and_then_let_go() {
        let (shelf, source) = (shelf(), Arc::<Counted>::default());
        let now = Duration::from_secs(9);
        shelf.tidy(now);
        let taken = take(&shelf, &source, 0).await;
        shelf.tidy(now);
        shelf.tidy(now + 2 * KEEP_TABLES);
        drop(taken);
        let idle = now + 2 * KEEP_TABLES;
        shelf.tidy(idle);
        shelf.tidy(idle + KEEP_TABLES - Duration::from_nanos(1));
        assert_eq!(source.alive(), 1);
        // Whoever takes them begins the time anew.
        drop(take(&shelf, &source, 0).await);
        shelf.tidy(idle + KEEP_TABLES);
        shelf.tidy(idle + 2 * KEEP_TABLES - Duration::from_nanos(1));
        assert_eq!((source.alive(), source.made.load(Ordering::Relaxed)), (1, 1));
        shelf.tidy(idle + 2 * KEEP_TABLES);
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while source.alive() > 0 {
            assert!(std::time::Instant::now() < deadline, "they stay");
            tokio::task::yield_now().await;
        }
        shelf.tidy(idle + 3 * KEEP_TABLES);
    }
}
