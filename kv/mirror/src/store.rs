//! An object store, opened, and reading from it.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt as _};
use zonecast_kv_proto::{MAX_MESSAGE_LEN, MirrorError, MirrorFuture, OfferedTables, TableHash, TableMirror};

use crate::StorePlace;

const MANIFEST: &str = "manifest";
pub(crate) const TABLES: &str = "tables";
pub(crate) const RETIRED: &str = "retired";

/// See the crate. Cloning shares it.
#[derive(Clone, Debug)]
pub struct SnapshotStore {
    pub(crate) objects: Arc<dyn ObjectStore>,
}

pub(crate) fn failed(error: object_store::Error) -> MirrorError {
    MirrorError(error.to_string())
}

pub(crate) fn path_of(file: &TableHash) -> Path {
    Path::from(format!("{TABLES}/{file}.sst"))
}

pub(crate) fn manifest_path() -> Path {
    Path::from(MANIFEST)
}

impl SnapshotStore {
    /// Opens it; nothing is asked of it yet: a node starts whether or not it is there. A folder that is missing is empty, and
    /// is made by who writes. A bucket needs a TLS provider that the process has installed.
    ///
    /// # Errors
    /// The folder has no name that can be used, or the environment says nonsense about the bucket.
    pub fn open(place: &StorePlace) -> Result<Self, MirrorError> {
        let objects: Arc<dyn ObjectStore> = match place {
            StorePlace::Folder(folder) => {
                let prefix = Path::from_absolute_path(folder).map_err(|error| MirrorError(error.to_string()))?;
                // As whoever reads the manifest believes that the files are there.
                Arc::new(PrefixStore::new(LocalFileSystem::new().with_fsync(true), prefix))
            }
            StorePlace::S3 { bucket, prefix } => {
                let bucket = AmazonS3Builder::from_env().with_bucket_name(bucket).build().map_err(failed)?;
                Arc::new(PrefixStore::new(bucket, prefix.as_str()))
            }
        };
        Ok(Self { objects })
    }

    /// The manifest as it is there, whatever it holds.
    pub(crate) async fn manifest_bytes(&self) -> Result<Option<Bytes>, MirrorError> {
        self.bytes_of(&manifest_path()).await
    }

    /// A manifest, present or retired, if it is there.
    pub(crate) async fn bytes_of(&self, path: &Path) -> Result<Option<Bytes>, MirrorError> {
        let found = match self.objects.get(path).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let (mut bytes, mut pieces) = (BytesMut::new(), found.into_stream());
        while let Some(piece) = pieces.next().await {
            bytes.extend_from_slice(&piece.map_err(failed)?);
            if bytes.len() > MAX_MESSAGE_LEN {
                return Err(MirrorError(format!("the manifest is over {MAX_MESSAGE_LEN} bytes")));
            }
        }
        Ok(Some(bytes.freeze()))
    }

    async fn read_manifest(&self) -> Result<Option<OfferedTables>, MirrorError> {
        let Some(bytes) = self.manifest_bytes().await? else { return Ok(None) };
        OfferedTables::read(&bytes).map(Some).map_err(|error| MirrorError(error.to_string()))
    }
}

impl TableMirror for SnapshotStore {
    fn manifest(&self) -> MirrorFuture<'_, Option<OfferedTables>> {
        Box::pin(self.read_manifest())
    }

    fn read<'a>(&'a self, file: &'a TableHash, offset: u64, len: usize) -> MirrorFuture<'a, Bytes> {
        Box::pin(async move {
            let end = offset.saturating_add(len as u64);
            self.objects.get_range(&path_of(file), offset..end).await.map_err(failed)
        })
    }
}
