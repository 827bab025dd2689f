//! A core's side of an object store: it puts a set of table files there, and removes those that nobody needs any more.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::StreamExt as _;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt as _, PutPayload, WriteMultipart};
use zonecast_kv_proto::{MirrorError, OfferedTables, SignedManifest, TableFile, TableSource};

use crate::SnapshotStore;
use crate::store::{RETIRED, TABLES, failed, manifest_path, path_of};

/// Files stay for so long after the last manifest that named them was replaced: an edge that has read it is still fetching
/// them.
pub(crate) const GRACE: Duration = Duration::from_hours(1);

/// So much of a file is read and sent at once: the least but one that S3 takes as a part.
const PART: usize = 8 * 1024 * 1024;

/// Objects that are looked at when others are removed; the rest has its turn the next time.
const MAX_LISTED: usize = 100_000;

/// Parts of one file that are on their way.
const PARTS_AT_ONCE: usize = 2;

/// What was done to an object store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishedSet {
    /// Files that were not there.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that were removed.
    pub removed: u64,
}

impl SnapshotStore {
    /// Puts these there, the manifest last, and then removes files that no manifest has named for a while. One core at a
    /// time does so.
    ///
    /// # Errors
    /// The store or the disk failed. Whoever reads the store finds the set before, or this one; never a part.
    pub async fn publish(
        &self,
        tables: &Arc<dyn TableSource>,
        signed: &SignedManifest,
    ) -> Result<PublishedSet, MirrorError> {
        let mut done = PublishedSet::default();
        for file in &tables.manifest().files {
            if self.has(file).await? {
                continue;
            }
            self.put(tables, file).await?;
            done.files += 1;
            done.bytes += file.len;
        }
        let manifest = signed.to_bytes();
        self.retire(&manifest).await?;
        self.objects.put(&manifest_path(), PutPayload::from(manifest)).await.map_err(failed)?;
        done.removed = self.sweep(tables, SystemTime::now()).await?;
        Ok(done)
    }

    async fn has(&self, file: &TableFile) -> Result<bool, MirrorError> {
        match self.objects.head(&path_of(&file.hash)).await {
            Ok(found) => Ok(found.size == file.len),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }

    async fn put(&self, tables: &Arc<dyn TableSource>, file: &TableFile) -> Result<(), MirrorError> {
        let upload = self.objects.put_multipart(&path_of(&file.hash)).await.map_err(failed)?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PART);
        let mut offset = 0;
        while offset < file.len {
            let (tables, hash) = (Arc::clone(tables), file.hash);
            let most = usize::try_from(file.len - offset).map_or(PART, |left| left.min(PART));
            let read = tokio::task::spawn_blocking(move || tables.read(&hash, offset, most));
            let read = read
                .await
                .map_err(|error| MirrorError(error.to_string()))
                .and_then(|read| read.map_err(|error| MirrorError(error.to_string())));
            let bytes = match read {
                Ok(bytes) if !bytes.is_empty() => bytes,
                Ok(_) => return self.give_up(upload, MirrorError("a table file is shorter than it was".into())).await,
                Err(error) => return self.give_up(upload, error).await,
            };
            offset += bytes.len() as u64;
            upload.wait_for_capacity(PARTS_AT_ONCE).await.map_err(failed)?;
            upload.put(bytes);
        }
        upload.finish().await.map_err(failed)?;
        Ok(())
    }

    async fn give_up(&self, upload: WriteMultipart, error: MirrorError) -> Result<(), MirrorError> {
        // Parts that stay are removed by the rules of the bucket.
        let _ = upload.abort().await;
        Err(error)
    }

    /// Remembers the manifest that is about to be replaced: edges that have read it fetch its files still.
    async fn retire(&self, next: &[u8]) -> Result<(), MirrorError> {
        // What is too long to be one has no files.
        let Ok(Some(present)) = self.manifest_bytes().await else { return Ok(()) };
        if present == next {
            return Ok(());
        }
        let path = Path::from(format!("{RETIRED}/{}", blake3::hash(&present)));
        self.objects.put(&path, PutPayload::from(present)).await.map_err(failed)?;
        Ok(())
    }

    /// Removes files that neither these nor manifests that were there within [`GRACE`] name; says how many.
    pub(crate) async fn sweep(&self, tables: &Arc<dyn TableSource>, now: SystemTime) -> Result<u64, MirrorError> {
        let mut named: HashSet<Path> = tables.manifest().files.iter().map(|file| path_of(&file.hash)).collect();
        for retired in self.list(RETIRED).await? {
            if is_old(&retired, now) {
                self.objects.delete(&retired.location).await.map_err(failed)?;
            } else if let Ok(Some(bytes)) = self.bytes_of(&retired.location).await
                && let Ok(offered) = OfferedTables::read(&bytes)
            {
                named.extend(offered.manifest.files.iter().map(|file| path_of(&file.hash)));
            }
        }
        let mut removed = 0;
        for table in self.list(TABLES).await? {
            // A young one may be of a core that has just lost the lead, and has not written its manifest.
            if is_old(&table, now) && !named.contains(&table.location) {
                self.objects.delete(&table.location).await.map_err(failed)?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, MirrorError> {
        let found = self.objects.list(Some(&Path::from(prefix)));
        found.take(MAX_LISTED).map(|object| object.map_err(failed)).collect::<Vec<_>>().await.into_iter().collect()
    }
}

fn is_old(object: &ObjectMeta, now: SystemTime) -> bool {
    now.duration_since(object.last_modified.into()).unwrap_or_default() >= GRACE
}
