//! The snapshot of an edge that comes from an object store: its upstream says that it goes on from there, and gives nothing
//! else. The writer takes the files as those of an upstream. Whatever is wrong with them, the upstream's own come next.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use zonecast_kv_proto::{
    MAX_OUTSTANDING, MirrorError, OfferedTables, TableCourse, TableHash, TableLoad, TableManifest, TableMirror,
    TablePiece, TablePlace, TablesWant,
};

use crate::link::{Operation, OperationEnd};
use crate::table_work::TableWork;
use crate::writer::Work;

/// For the manifest, before the upstream is asked without one.
const MANIFEST_WITHIN: Duration = Duration::from_secs(5);

/// For one read of a file.
const READ_WITHIN: Duration = Duration::from_mins(1);

/// So much of a file is read at once: each read is a request that is paid for.
const READ: u64 = 4 * 1024 * 1024;

/// After one that could not be taken, the upstream is asked for so long: it has other files.
const REST: Duration = Duration::from_mins(10);

/// Why a snapshot does not come from there.
#[derive(Debug, Error)]
pub(crate) enum ElsewhereError {
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    #[error("it gave nothing for {} s", READ_WITHIN.as_secs())]
    Late,
    #[error("file {0} is not as long as it should be")]
    Length(TableHash),
    #[error("the edge is ending")]
    Ending,
}

/// A piece that the writer has not taken yet: it counts until it is dropped.
pub(crate) struct Given {
    pub(crate) piece: TablePiece,
    _room: OwnedSemaphorePermit,
}

/// See the module.
pub(crate) struct Elsewhere {
    mirror: Option<Arc<dyn TableMirror>>,
    rests_until: Duration,
    present: Option<Present>,
}

/// One that is loading.
struct Present {
    load: TableLoad,
    manifest: TableManifest,
    /// Fetches what is lacking, once that is known.
    task: Option<Fetch>,
}

struct Fetch(JoinHandle<Result<(), ElsewhereError>>);

impl Drop for Fetch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Elsewhere {
    pub(crate) fn new(mirror: Option<Arc<dyn TableMirror>>) -> Self {
        Self { mirror, rests_until: Duration::ZERO, present: None }
    }

    /// Reads what there is while a connection is made, if that is of use.
    pub(crate) fn read_beside(&self, now: Duration, dial: Operation, is_of_use: bool) -> Operation {
        let Some(mirror) = self.mirror.clone().filter(|_| is_of_use && now >= self.rests_until) else { return dial };
        Box::pin(async move {
            let (dialled, found) = tokio::join!(dial, manifest(&*mirror));
            OperationEnd::Beside(Box::new(dialled), found.map(|found| found.map(Box::new)))
        })
    }

    /// The upstream goes on from these.
    pub(crate) fn begin(&mut self, load: TableLoad, offered: &OfferedTables) {
        self.present = Some(Present { load, manifest: offered.manifest.clone(), task: None });
    }

    /// This is lacking of them: says whether they are fetched from there.
    pub(crate) fn fetch(&mut self, load: TableLoad, want: &TablesWant, work: &Sender<Work>) -> bool {
        let Some(present) = self.present.as_mut().filter(|present| present.load == load) else { return false };
        let Some(mirror) = self.mirror.clone() else { return false };
        let (manifest, want, work) = (present.manifest.clone(), want.clone(), work.clone());
        present.task = Some(Fetch(tokio::spawn(fetch(mirror, manifest, want, work))));
        true
    }

    /// Whether this load comes from there.
    pub(crate) fn is_of(&self, load: TableLoad) -> bool {
        self.present.as_ref().is_some_and(|present| present.load == load)
    }

    /// Waits until all that was lacking is handed on, or cannot be had.
    pub(crate) async fn fetched(&mut self) -> (TableLoad, Result<(), ElsewhereError>) {
        let Some(Present { load, task: Some(task), .. }) = &mut self.present else {
            return std::future::pending().await;
        };
        let (load, ended) = (*load, (&mut task.0).await);
        if let Some(present) = &mut self.present {
            present.task = None;
        }
        (load, ended.unwrap_or(Err(ElsewhereError::Ending)))
    }

    /// It will not be completed now, or it is complete.
    pub(crate) fn end(&mut self) {
        self.present = None;
    }

    /// It could not be taken.
    pub(crate) fn failed(&mut self, now: Duration) {
        self.present = None;
        self.rests_until = now + REST;
    }
}

/// Table files of an object store, read piece by piece.
pub(crate) struct MirrorRead {
    mirror: Arc<dyn TableMirror>,
    manifest: TableManifest,
    course: TableCourse,
}

impl MirrorRead {
    /// What is lacking of these files; `None` if nobody can lack that.
    pub(crate) fn new(mirror: Arc<dyn TableMirror>, manifest: TableManifest, want: TablesWant) -> Option<Self> {
        let course = TableCourse::new(manifest.lens(), want)?;
        Some(Self { mirror, manifest, course })
    }

    /// The next piece; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<TablePiece>, ElsewhereError> {
        let Some(TablePlace { file, offset }) = self.course.place() else { return Ok(None) };
        let found = usize::try_from(file).ok().and_then(|file| self.manifest.files.get(file));
        let hash = found.ok_or(ElsewhereError::Ending)?.hash;
        let most = usize::try_from(self.course.left().min(READ)).unwrap_or_default();
        let read = tokio::time::timeout(READ_WITHIN, self.mirror.read(&hash, offset, most));
        let bytes: Bytes = read.await.map_err(|_| ElsewhereError::Late)??;
        if bytes.len() > most || !self.course.advance(bytes.len()) {
            return Err(ElsewhereError::Length(hash));
        }
        Ok(Some(TablePiece { file, offset, bytes }))
    }
}

/// What there is, if it answers in time.
pub(crate) async fn manifest(mirror: &dyn TableMirror) -> Result<Option<OfferedTables>, MirrorError> {
    let late = || Err(MirrorError(format!("no manifest came within {} s", MANIFEST_WITHIN.as_secs())));
    tokio::time::timeout(MANIFEST_WITHIN, mirror.manifest()).await.unwrap_or_else(|_| late())
}

/// Hands on everything that is lacking, as fast as the writer takes it.
async fn fetch(
    mirror: Arc<dyn TableMirror>,
    manifest: TableManifest,
    want: TablesWant,
    work: Sender<Work>,
) -> Result<(), ElsewhereError> {
    let room = Arc::new(Semaphore::new(MAX_OUTSTANDING));
    let mut read = MirrorRead::new(mirror, manifest, want).ok_or(ElsewhereError::Ending)?;
    while let Some(piece) = read.next().await? {
        let permits = u32::try_from(piece.bytes.len()).map_err(|_| ElsewhereError::Ending)?;
        let taken = Arc::clone(&room).acquire_many_owned(permits).await.map_err(|_| ElsewhereError::Ending)?;
        let given = Given { piece, _room: taken };
        work.send(Work::Tables(TableWork::Given(given))).map_err(|_| ElsewhereError::Ending)?;
    }
    Ok(())
}
