//! What a publisher keeps and gives of a snapshot that goes as table files.

use std::sync::Mutex;

use zonecast_kv_proto::{
    Epoch, LogPin, SignedManifest, TableFile, TableHash, TableManifest, TablePiece, TableSource, TablesWant,
};

use super::snapshots::{Pin, Pins};
use super::*;

const FILE: &[u8] = b"what is in a table file";

/// A store of one table file, and of two versions behind it once the test tells.
struct Filed {
    log: Mutex<std::sync::mpsc::Receiver<Vec<Bytes>>>,
    pins: Pins,
}

struct OneFile(TableManifest);

impl BatchSource for Filed {
    fn position(&self) -> Position {
        origin()
    }

    fn chain_at(&self, _: Version) -> Result<Option<Chain>, SourceError> {
        Ok(None)
    }

    fn began(&self) -> Version {
        Version::ZERO
    }

    fn read_after(&self, _: Version, _: usize) -> Result<Option<Vec<Bytes>>, SourceError> {
        Ok(Some(self.log.lock().unwrap().recv().expect("the test tells")))
    }

    fn pin(&self, after: Version) -> Box<dyn LogPin> {
        self.pins.lock().unwrap().push(after);
        Box::new(Pin(Arc::clone(&self.pins), after))
    }

    fn snapshot(&self, _: Option<&Filter>) -> Result<Box<dyn SnapshotSource>, SourceError> {
        Err(SourceError("nobody asks for entries".to_owned()))
    }

    fn make_tables(&self) -> Result<Option<Box<dyn TableSource>>, SourceError> {
        let key = Bytes::from_static(&[0, 1]);
        let file = TableFile { hash: TableHash::new([7; 32]), len: FILE.len() as u64, first: key.clone(), last: key };
        Ok(Some(Box::new(OneFile(TableManifest { position: origin(), entries: 1, files: vec![file] }))))
    }
}

impl TableSource for OneFile {
    fn manifest(&self) -> &TableManifest {
        &self.0
    }

    fn read(&self, _: &TableHash, offset: u64, max_bytes: usize) -> Result<Bytes, SourceError> {
        let from = usize::try_from(offset).unwrap();
        Ok(Bytes::from_static(&FILE[from..from + max_bytes]))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_after_table_files_is_kept_until_the_downstream_has_caught_up() {
    let folder = tempfile::tempdir().unwrap();
    let ca = Ca::open_or_create(folder.path()).unwrap();
    let identity = ca.issue(Role::Core, "core-1").unwrap();
    let (tell_log, log) = std::sync::mpsc::channel();
    let pins = Pins::default();
    let source = Filed { log: Mutex::new(log), pins: Arc::clone(&pins) };
    let world = World::over(Arc::new(source), folder, ca, &identity);
    let pinned = || pins.lock().unwrap().clone();
    let edge = world.ca.issue(Role::Edge, "edge-1").unwrap();
    let connection = world.connect(&edge).await;
    let (mut sender, mut receiver) = connection.open().await.unwrap();
    let tables_from = Some((Epoch::ZERO, Version::ZERO));
    let subscribe =
        Subscribe { protocol: PROTOCOL, name: "edge-1".into(), incarnation: 1, tables_from, ..Subscribe::default() };
    sender.send(&Frame::Subscribe(subscribe)).await.unwrap();
    let Some(Frame::TablesFollow(signed)) = receiver.next().await.unwrap() else { panic!("no table files") };
    let signed = SignedManifest::from_bytes(&signed).unwrap();
    edge.check_manifest(&signed).unwrap();
    assert_eq!(TableManifest::from_bytes(&signed.manifest).unwrap().position, origin());

    // The store goes on, further than memory has it; and it takes its time to say what it lacks.
    world.publisher.publish(&Bytes::from_static(b"two"), Position { version: Version::new(2), ..origin() });
    assert!(matches!(receiver.next().await.unwrap(), Some(Frame::Heartbeat(_))));
    assert_eq!(pinned(), [Version::ZERO]);
    sender.send(&Frame::TablesWant(TablesWant::of(5, [true]))).await.unwrap();
    let piece = TablePiece { file: 0, offset: 5, bytes: Bytes::from_static(&FILE[5..]) };
    assert_eq!(after_signs_of_life(&mut receiver).await, Some(Frame::TablePiece(piece)));
    assert_eq!(after_signs_of_life(&mut receiver).await, Some(Frame::TablesEnd(origin())));
    let deadline = Instant::now() + PATIENCE;
    while world.metrics.log_reads.get() == 0 {
        assert!(Instant::now() < deadline, "it does not go on with the log");
        tokio::task::yield_now().await;
    }
    assert_eq!(pinned(), [Version::ZERO], "what it reads of the log is not trimmed under it");
    let versions = [&b"one"[..], b"two"].map(Bytes::from_static);
    tell_log.send(versions.to_vec()).unwrap();
    for version in versions {
        assert_eq!(after_signs_of_life(&mut receiver).await, Some(Frame::Version(version)));
    }
    while !pinned().is_empty() {
        assert!(Instant::now() < deadline, "it is kept for ever");
        tokio::task::yield_now().await;
    }
}
