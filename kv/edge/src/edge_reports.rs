//! What a relay tells its upstream about the edges below it, and when: together, and not more often than the upstream can
//! bear.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use zonecast_kv_proto::{FollowerState, Frame, LEAST_ACK_EVERY, MAX_REQUEST_LEN};
use zonecast_kv_transport::EdgeNewsFeed;

use crate::relay::Relay;

/// Edges in one frame: the news of one takes at most 280 bytes.
const EDGES_IN_FRAME: usize = MAX_REQUEST_LEN / 288;

/// Work that the news of one edge makes at the upstream, which takes 10,000 of them a second.
const PER_EDGE: Duration = Duration::from_micros(100);

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
        let reports: Vec<Bytes> = self.feed.as_mut()?.take(EDGES_IN_FRAME);
        let edges = u32::try_from(reports.len()).unwrap_or(u32::MAX);
        self.next_at = Some(Instant::now() + LEAST_ACK_EVERY.max(PER_EDGE * edges));
        (!reports.is_empty()).then_some(Frame::Reports(reports))
    }
}
