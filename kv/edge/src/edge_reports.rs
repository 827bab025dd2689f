//! What a relay tells its upstream about the edges below it, and when: together, and not more often than the upstream can
//! bear.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use zonecast_kv_proto::{
    ACK_EVERY, EdgeTold, FollowerState, Frame, LEAST_ACK_EVERY, LONGEST_EDGE_NEWS, MAX_FOLD_STEP_LEN, MAX_REQUEST_LEN,
};
use zonecast_kv_transport::EdgeNewsFeed;

use crate::relay::Relay;

/// Edges in one frame, beside what is said of all that are in step. MessagePack writes some bytes around each.
const EDGES_IN_FRAME: usize = (MAX_REQUEST_LEN - MAX_FOLD_STEP_LEN) / (LONGEST_EDGE_NEWS + 8);

/// Work that an edge makes at the upstream that has come, gone, or begins or ceases to be in step: 10,000 of them a second.
const PER_EDGE: Duration = Duration::from_micros(100);

/// The same of an edge that is not in step and says how far it is, as it may do so all the time: 1,000 a second.
const PER_EDGE_BEHIND: Duration = Duration::from_millis(1);

/// The news that go to the present upstream.
#[derive(Default)]
pub(crate) struct EdgeReports {
    feed: Option<EdgeNewsFeed>,
    next_at: Option<Instant>,
}

impl EdgeReports {
    /// Begins anew with every upstream: it is told of all edges.
    pub(crate) fn follow(&mut self, relay: Option<&Relay>, state: FollowerState) {
        match (state, relay) {
            (FollowerState::Away, _) | (_, None) => *self = Self::default(),
            (_, Some(relay)) if self.feed.is_none() => self.feed = relay.news(),
            _ => {}
        }
    }

    /// Waits until there is something to tell, and it may be told.
    pub(crate) async fn due(&mut self) {
        let Some(feed) = &mut self.feed else { return std::future::pending().await };
        feed.ready().await;
        if let Some(next_at) = self.next_at {
            tokio::time::sleep_until(next_at).await;
        }
    }

    /// The news that are due.
    pub(crate) fn take(&mut self) -> Option<Frame> {
        let told = self.feed.as_mut()?.take(EDGES_IN_FRAME);
        let pause: Duration = told.iter().map(pause_after).sum();
        self.next_at = Some(Instant::now() + pause.max(LEAST_ACK_EVERY));
        let reports: Vec<Bytes> = told.iter().map(EdgeTold::to_bytes).collect();
        (!reports.is_empty()).then_some(Frame::Reports(reports))
    }
}

/// How long nothing else is said after this.
fn pause_after(told: &EdgeTold) -> Duration {
    match told {
        EdgeTold::Step(_) => ACK_EVERY,
        EdgeTold::Edge(news) if news.is_in_step || news.is_gone || news.ack.is_none() => PER_EDGE,
        EdgeTold::Edge(_) => PER_EDGE_BEHIND,
    }
}
