//! What a downstream that takes a snapshot needs of the store meanwhile.

use std::sync::{Mutex, mpsc};

use zonecast_kv_proto::{LogPin, PACE_OVER, SnapshotCheck, SnapshotEnd};

use super::*;

/// Versions after which a store is asked to keep everything.
pub(super) type Pins = Arc<Mutex<Vec<Version>>>;

/// A store that gives what it is told to, when it is told to.
struct Told {
    snapshot: Mutex<Option<mpsc::Receiver<Bytes>>>,
    log: Mutex<mpsc::Receiver<Vec<Bytes>>>,
    pins: Pins,
}

struct ToldSnapshot(mpsc::Receiver<Bytes>);

pub(super) struct Pin(pub(super) Pins, pub(super) Version);

impl LogPin for Pin {}

impl Drop for Pin {
    fn drop(&mut self) {
        self.0.lock().unwrap().retain(|version| *version != self.1);
    }
}

impl BatchSource for Told {
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
        let told = self.snapshot.lock().unwrap().take().expect("one snapshot");
        Ok(Box::new(ToldSnapshot(told)))
    }
}

impl SnapshotSource for ToldSnapshot {
    fn position(&self) -> Position {
        origin()
    }

    fn next_message(&mut self, _: usize) -> Result<Bytes, SourceError> {
        Ok(self.0.recv().expect("the test tells"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_after_a_snapshot_is_kept_until_the_downstream_has_caught_up() {
    let folder = tempfile::tempdir().unwrap();
    let ca = Ca::open_or_create(folder.path()).unwrap();
    let identity = ca.issue(Role::Core, "core-1").unwrap();
    let (tell_snapshot, snapshot) = mpsc::channel();
    let (tell_log, log) = mpsc::channel();
    let pins = Pins::default();
    let source = Told { snapshot: Mutex::new(Some(snapshot)), log: Mutex::new(log), pins: Arc::clone(&pins) };
    let world = World::over(Arc::new(source), folder, ca, &identity);
    let pinned = || pins.lock().unwrap().clone();
    let connection = world.connect(&world.ca.issue(Role::Edge, "edge-1").unwrap()).await;
    let (mut sender, mut receiver) = connection.open().await.unwrap();
    assert_eq!(pinned(), []);
    sender.send(&subscribe("edge-1", None)).await.unwrap();
    assert_eq!(receiver.next().await.unwrap(), Some(Frame::SnapshotFollows(origin())));
    assert_eq!(pinned(), [Version::ZERO]);

    // The store goes on, further than memory has it.
    world.publisher.publish(&Bytes::from_static(b"two"), Position { version: Version::new(2), ..origin() });
    let entries = zonecast_kv_proto::encode_entries(&[(Bytes::from_static(&[0, 1, 2]), Bytes::from_static(b"value"))]);
    let mut check = SnapshotCheck::new();
    check.add(&entries, None).unwrap();
    tell_snapshot.send(entries.clone()).unwrap();
    assert_eq!(receiver.next().await.unwrap(), Some(Frame::SnapshotEntries(entries)));
    tell_snapshot.send(Bytes::new()).unwrap();
    let end = SnapshotEnd { position: Some(origin()), entries: 1, digest: check.digest().to_vec().into() };
    assert_eq!(receiver.next().await.unwrap(), Some(Frame::SnapshotEnd(end)));
    let deadline = Instant::now() + PATIENCE;
    while world.metrics.log_reads.get() == 0 {
        assert!(Instant::now() < deadline, "it does not go on with the log");
        tokio::task::yield_now().await;
    }
    assert_eq!(pinned(), [Version::ZERO], "what it reads of the log is not trimmed under it");
    let versions = [&b"one"[..], b"two"].map(Bytes::from_static);
    tell_log.send(versions.to_vec()).unwrap();
    for version in versions {
        assert_eq!(receiver.next().await.unwrap(), Some(Frame::Version(version)));
    }
    while !pinned().is_empty() {
        assert!(Instant::now() < deadline, "it is kept for ever");
        tokio::task::yield_now().await;
    }
}

/// A rate is looked at over a minute, which is two seconds here.
#[tokio::test(flavor = "multi_thread")]
async fn who_reads_nothing_of_a_snapshot_is_closed_and_keeps_nothing_of_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let ca = Ca::open_or_create(folder.path()).unwrap();
    let identity = ca.issue(Role::Core, "core-1").unwrap();
    let (tell_snapshot, snapshot) = mpsc::channel();
    let (_tell_log, log) = mpsc::channel();
    let pins = Pins::default();
    let source = Told { snapshot: Mutex::new(Some(snapshot)), log: Mutex::new(log), pins: Arc::clone(&pins) };
    // More than both ends keep for each other.
    for number in 0..64 {
        let entry = (Bytes::from(vec![0, 1, number]), Bytes::from(vec![number; 256 * 1024]));
        tell_snapshot.send(zonecast_kv_proto::encode_entries(&[entry])).unwrap();
    }
    let world = World::at_speed(30, Arc::new(source), folder, ca, &identity);
    let connection = world.connect(&world.ca.issue(Role::Edge, "edge-1").unwrap()).await;
    let (mut sender, _receiver) = connection.open().await.unwrap();
    sender.send(&subscribe("edge-1", None)).await.unwrap();
    let closed = tokio::time::timeout(PACE_OVER + PATIENCE, connection.closed()).await;
    closed.expect("it is waited for without end");
    world.until_refused("stalled").await;
    assert!(pins.lock().unwrap().is_empty(), "the log is kept for nobody");
    assert!(tell_snapshot.send(Bytes::new()).is_err(), "the snapshot is still open");
}
