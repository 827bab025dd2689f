//! Copies that are other than what voters agree on: found, and said upstream.

use zonecast_kv_proto::{
    Agreement, BatchSource as _, CopyCheck, CopyCheckState, Marker, RangeHasher, RangeSums, VERIFICATION,
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
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Waits until this holds.
pub(super) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
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
    assert_eq!(edge.seen.lock().unwrap().torn, 0);
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
