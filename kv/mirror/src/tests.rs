//! A folder as the object store.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use zonecast_kv_proto::{
    Position, SignedManifest, SourceError, StoreId, TableFile, TableHash, TableManifest, TableMirror as _, TableSource,
};

use crate::publish::GRACE;
use crate::{PublishedSet, SnapshotStore, StorePlace};

struct InMemory {
    manifest: TableManifest,
    files: Vec<Bytes>,
}

impl InMemory {
    fn made(files: &[&[u8]]) -> Arc<dyn TableSource> {
        let file = |(number, bytes): (usize, &&[u8])| {
            let key = |last| Bytes::copy_from_slice(&[0, 1, u8::try_from(number).unwrap(), last]);
            let hash = TableHash::new(blake3::hash(bytes).into());
            TableFile { hash, len: bytes.len() as u64, first: key(0), last: key(1) }
        };
        let named: Vec<TableFile> = files.iter().enumerate().map(file).collect();
        let manifest = TableManifest {
            position: Position::origin(StoreId::new(5)),
            entries: 2 * named.len() as u64,
            files: named,
        };
        Arc::new(Self { manifest, files: files.iter().map(|bytes| Bytes::copy_from_slice(bytes)).collect() })
    }
}

impl TableSource for InMemory {
    fn manifest(&self) -> &TableManifest {
        &self.manifest
    }

    fn read(&self, file: &TableHash, offset: u64, max_bytes: usize) -> Result<Bytes, SourceError> {
        let at = self.manifest.files.iter().position(|one| one.hash == *file).unwrap();
        let rest = self.files[at].slice(usize::try_from(offset).unwrap()..);
        // Fewer than asked for are all right.
        Ok(rest.slice(..rest.len().min(max_bytes).min(3)))
    }
}

fn signed(tables: &Arc<dyn TableSource>) -> SignedManifest {
    SignedManifest::new(tables.manifest().to_bytes().unwrap(), Bytes::from_static(b"c"), 1, Bytes::from_static(b"s"))
}

fn open(folder: &tempfile::TempDir) -> SnapshotStore {
    SnapshotStore::open(&StorePlace::Folder(folder.path().join("a/b"))).unwrap()
}

fn done(files: u64, bytes: u64, removed: u64) -> PublishedSet {
    PublishedSet { files, bytes, removed }
}

#[tokio::test]
async fn what_is_published_is_read_and_only_what_is_missing_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    assert!(store.manifest().await.unwrap().is_none());
    let first = InMemory::made(&[b"first file", b"second file"]);
    assert_eq!(store.publish(&first, &signed(&first)).await.unwrap(), done(2, 21, 0));
    let offered = store.manifest().await.unwrap().unwrap();
    assert_eq!((&offered.manifest, &offered.signed), (first.manifest(), &signed(&first)));
    let hash = &offered.manifest.files[1].hash;
    assert_eq!(store.read(hash, 7, 4).await.unwrap(), "file");
    // However old they are, they stay for who has read the manifest that names them.
    let old = SystemTime::now() - GRACE * 2;
    for file in std::fs::read_dir(folder.path().join("a/b/tables")).unwrap() {
        std::fs::File::open(file.unwrap().path()).unwrap().set_modified(old).unwrap();
    }
    let second = InMemory::made(&[b"first file", b"another file"]);
    assert_eq!(store.publish(&second, &signed(&second)).await.unwrap(), done(1, 12, 0));
    assert_eq!(store.manifest().await.unwrap().unwrap().manifest, *second.manifest());
    assert_eq!(store.read(hash, 0, 11).await.unwrap(), "second file");
    assert_eq!(store.sweep(&second, SystemTime::now() + GRACE / 2).await.unwrap(), 0);
    assert_eq!(store.sweep(&second, SystemTime::now() + GRACE * 2).await.unwrap(), 1);
    assert_eq!(std::fs::read_dir(folder.path().join("a/b/retired")).unwrap().count(), 0);
    assert!(store.read(hash, 0, 11).await.is_err());
    assert!(store.read(&second.manifest().files[0].hash, 0, 5).await.is_ok());
}

#[tokio::test]
async fn what_is_no_manifest_or_too_long_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    std::fs::create_dir_all(folder.path().join("a/b")).unwrap();
    let path = folder.path().join("a/b/manifest");
    std::fs::write(&path, "nonsense").unwrap();
    assert!(store.manifest().await.is_err());
    std::fs::write(&path, vec![0; zonecast_kv_proto::MAX_MESSAGE_LEN + 1]).unwrap();
    let told = store.manifest().await.unwrap_err().to_string();
    assert!(told.contains("is over"), "{told}");
}
