//! Copies that are other than what voters agree on: found, and said upstream.

use zonecast_kv_proto::{
    Agreement, BatchSource as _, CopyCheck, CopyCheckState, Key, Marker, RangeHasher, RangeSums, VERIFICATION,
};

use super::*;

/// Faster than any disk.
const AT_ONCE: u64 = 1 << 40;

/// A store whose voters agree, and those who follow it.
pub(super) struct Verified {
    pub(super) source: Arc<MemorySource>,
    pub(super) publisher: Publisher,
}

impl Verified {
    pub(super) fn publish(&self, ops: Vec<Op>) -> Position {
        let (bytes, position) = self.source.commit_in(VERIFICATION, ops);
        self.publisher.publish(&bytes, position);
        position
    }

    pub(super) fn marker(&self, number: u64) -> RangeSums {
        self.publish(vec![Marker::new(number, 1, AT_ONCE).put()]);
        self.source.keep(number);
        let mut hasher = RangeHasher::default();
        self.source.content().entries().for_each(|(key, value)| hasher.add(key, value));
        hasher.finish()
    }

    pub(super) fn agree(&self, number: u64, sums: &RangeSums, agreeing: u32) {
        let (root, ranges) = (sums.root(), sums.ranges().len() as u64);
        let agreement = Agreement { number, root, ranges, agreeing, voters: 3, ..Agreement::default() };
        self.publish(vec![agreement.written().put()]);
    }

    /// What a node has said, once it has said this.
    pub(super) async fn until_said(&self, name: &str, number: u64, state: CopyCheckState) -> CopyCheck {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let edges = self.publisher.edges();
            let check =
                edges.iter().find(|edge| edge.report.peer.name == name).and_then(|edge| edge.report.check.clone());
            if let Some(check) = check.clone().filter(|check| (check.number, check.state()) == (number, Some(state))) {
                return check;
            }
            assert!(Instant::now() < deadline, "{name} never said {state:?} of {number}: {check:?}");
            tokio::task::yield_now().await;
        }
    }
}

/// Waits until this holds.
pub(super) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::task::yield_now().await;
    }
}

/// A source with some keys.
pub(super) fn filled() -> Arc<MemorySource> {
    let source = MemorySource::new(5);
    let puts = (0..5_000_u32).map(|number| put(&number.to_be_bytes(), b"value")).collect();
    source.commit(puts);
    source
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_says_what_its_copy_comes_to_and_knows_whether_voters_agree() {
    let world = World::new();
    let source = filled();
    let (publisher, _) = world.publisher(&source);
    let verified = Verified { source: Arc::clone(&source), publisher };
    let edge = world.edge("edge-1", &verified.publisher);
    edge.until_following().await;
    let differs = || edge.metrics.differs.with_label_values(&["edge-1"]).get();

    let sums = verified.marker(1);
    let said = verified.until_said("edge-1", 1, CopyCheckState::Hashed).await;
    assert_eq!(said.root, sums.root());
    verified.agree(1, &sums, 2);
    edge.until_at(source.position()).await;
    assert_eq!(differs(), 0);

    // Voters hold another byte than the edge.
    source.tamper(&77_u32.to_be_bytes(), b"velue");
    let sums = verified.marker(2);
    let said = verified.until_said("edge-1", 2, CopyCheckState::Hashed).await;
    assert_ne!(said.root, sums.root());
    assert_eq!(differs(), 0, "nobody has agreed on anything");
    verified.agree(2, &sums, 1);
    until("it knows", || differs() == 1).await;
    // Nobody can say which of the two is right.
    assert_ne!(edge.content(), source.content());
    assert_eq!(edge.metrics.repaired_keys.get(), 0);
    assert_eq!(edge.seen.lock().unwrap().torn, 0);
}

/// An edge that follows a source, which then holds other keys than it.
async fn apart(world: &World) -> (Verified, Running) {
    let source = filled();
    let (publisher, _) = world.publisher(&source);
    let verified = Verified { source, publisher };
    let edge = world.edge("edge-1", &verified.publisher);
    edge.until_at(verified.source.position()).await;
    edge.until_following().await;
    // A flipped byte, a key that the edge lacks, and one that it has too many.
    verified.source.tamper(&77_u32.to_be_bytes(), b"velue");
    verified.source.tamper(b"missing", b"value");
    verified.source.tamper_away(&4_000_u32.to_be_bytes());
    (verified, edge)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_put_right_at_an_unchanged_version_with_all_that_has_changed_since() {
    let world = World::new();
    let (verified, edge) = apart(&world).await;
    let (source, publisher) = (&verified.source, &verified.publisher);
    let sums = verified.marker(1);
    verified.until_said("edge-1", 1, CopyCheckState::Hashed).await;
    // What follows the marker is of the ranges that differ, too: a key that was wrong, one that was missing, a whole range.
    let change = |ops| {
        let (bytes, position) = source.commit(ops);
        publisher.publish(&bytes, position);
    };
    change(vec![put(&78_u32.to_be_bytes(), b"later")]);
    change(vec![put(b"missing", b"later"), put(b"missing too", b"new")]);
    let [start, end] =
        [3_900_u32, 4_100].map(|number| Key::new([&[0, 1][..], &number.to_be_bytes()].concat()).unwrap());
    change(vec![Op::DeleteRange { start, end }]);
    change(vec![put(&3_950_u32.to_be_bytes(), b"again")]);
    edge.until_at(source.position()).await;
    assert_ne!(edge.content(), source.content());

    let resets = edge.seen.lock().unwrap().resets;
    verified.agree(1, &sums, 2);
    let said = verified.until_said("edge-1", 1, CopyCheckState::Repaired).await;
    assert!(said.differing >= 1, "{said:?}");
    assert_eq!(&**said.first, &[&[0, 1][..], &77_u32.to_be_bytes()].concat(), "the first key that differed");
    assert_eq!(edge.content(), source.content());
    assert_eq!(edge.edge.position(), Some(source.position()), "at the same version");
    assert_eq!(edge.metrics.snapshots.get(), 1, "it was not fetched as a whole");
    // The flipped byte; all else was changed since.
    assert_eq!(edge.metrics.repaired_keys.get(), 1);
    {
        let seen = edge.seen.lock().unwrap();
        assert_eq!((seen.torn, seen.resets), (0, resets + 1), "readers see all of it at once");
    }
    let position = super::way::commit(source, publisher, 1, b"on");
    edge.until_at(position).await;
    let sums = verified.marker(2);
    let said = verified.until_said("edge-1", 2, CopyCheckState::Hashed).await;
    assert_eq!(said.root, sums.root());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_is_wrong_itself_is_not_followed_into_it() {
    let world = World::new();
    let (verified, edge) = apart(&world).await;
    let before = edge.content();
    let sums = verified.marker(1);
    verified.source.lie(&100_u32.to_be_bytes(), b"a lie");
    verified.agree(1, &sums, 2);
    let differs = || edge.metrics.differs.with_label_values(&["edge-1"]).get();
    until("it knows", || differs() == 1).await;
    edge.until_at(verified.source.position()).await;
    // At the next marker it has what voters agree on.
    let sums = verified.marker(2);
    verified.until_said("edge-1", 2, CopyCheckState::Hashed).await;
    assert_eq!(edge.metrics.repaired_keys.get(), 0, "it took nothing of what it was told");
    let wrong = |number: u32| [&[0, 1][..], &number.to_be_bytes()].concat();
    for key in [wrong(77), wrong(100)] {
        let value =
            |content: &MemoryView| content.entries().find(|(at, _)| **at == *key).map(|(_, value)| value.to_vec());
        assert_eq!(value(&edge.content()), value(&before));
    }
    verified.agree(2, &sums, 3);
    verified.until_said("edge-1", 2, CopyCheckState::Repaired).await;
    assert_eq!(edge.content(), verified.source.content());
    assert_eq!(edge.metrics.repaired_keys.get(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_which_too_much_differs_is_fetched_again_as_a_whole() {
    let world = World::new();
    let source = MemorySource::new(5);
    // Each is a range of its own, with the one before.
    (0..140_u8).for_each(|key| drop(source.commit(vec![put(&[key], &[key; 700_000])])));
    let (publisher, _) = world.publisher(&source);
    let verified = Verified { source, publisher };
    let edge = world.edge("edge-1", &verified.publisher);
    edge.until_at(verified.source.position()).await;
    edge.until_following().await;
    (0..140_u8).for_each(|key| verified.source.tamper(&[key], &[!key; 700_000]));
    let sums = verified.marker(1);
    verified.until_said("edge-1", 1, CopyCheckState::Hashed).await;
    verified.agree(1, &sums, 2);
    verified.until_said("edge-1", 1, CopyCheckState::Repaired).await;
    assert_eq!(edge.content(), verified.source.content());
    assert_eq!((edge.metrics.snapshots.get(), edge.metrics.repaired_keys.get()), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_is_said_again_to_the_next_upstream() {
    let world = World::new();
    let source = filled();
    let (publisher, _) = world.publisher(&source);
    let address = publisher.local_addr().unwrap().to_string();
    let verified = Verified { source: Arc::clone(&source), publisher };
    let _edge = world.edge("edge-1", &verified.publisher);
    verified.until_said_after(1).await;
    verified.publisher.shutdown().await;
    let (publisher, _) = world.publisher_at(&address, &source, PublisherOptions::default());
    let verified = Verified { source, publisher };
    verified.until_said("edge-1", 1, CopyCheckState::Hashed).await;
}

impl Verified {
    /// Has everybody sum up, and waits for it.
    async fn until_said_after(&self, number: u64) {
        until("followed", || !self.publisher.edges().is_empty()).await;
        self.marker(number);
        self.until_said("edge-1", number, CopyCheckState::Hashed).await;
    }
}
