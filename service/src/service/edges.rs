//! Which edges are waited for: replicated, so that a restart of the core changes nothing about it.
//!
//! An edge is expected once it has caught up or was named, until it is forgotten. The publisher notices who has caught up;
//! what it knows is written down here, many at a time, and read back when the core starts. Until that is committed the edge
//! counts as missing: what a client is told of "all" edges must not become less by a restart of the core.
//!
//! An edge retires by itself when the certificate that it showed last is over: it could not connect with it any more. One
//! that never showed any is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use zonecast_kv_core::Editions;
use zonecast_kv_proto::{Batch, EdgeLink, Idempotency, KnownNode, KnownNodeError, Note, Op, Section, View};
use zonecast_kv_transport::{DownstreamStatus, Peer};

use super::Service;
use crate::answer::{Done, Wrote};
use crate::error::ServiceError;
use crate::import::landed;
use crate::zone::{Terms, blocking};
use zonecast_api::types::{EdgeInfo, EdgeList};

/// How often it is compared with what is written down.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The first edge that catches up is written down at once, those that do within this time after it together.
const GATHER: Duration = Duration::from_millis(200);

/// How soon it is tried again when nothing could be committed: somebody may be waiting for it.
const RETRY: Duration = Duration::from_millis(500);

/// How often it is written down that an edge is still there: what the age of one that is away may be wrong by after a
/// core that did not stop in order was started again.
const SEEN_EVERY: Duration = Duration::from_mins(10);

/// What is to be written, who is new in it, who is on record after it, and who retires with it.
#[derive(Debug, Default)]
struct Notes {
    seen_every: Duration,
    ops: Vec<Op>,
    new: Vec<Peer>,
    recorded: Vec<Peer>,
    retired: Vec<Peer>,
}

impl From<KnownNodeError> for ServiceError {
    fn from(error: KnownNodeError) -> Self {
        Self::internal(error)
    }
}

impl Service {
    /// Waits from now on for whom the store and the configuration name.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn load_edges(&self) -> Result<(), ServiceError> {
        let (known, now) = (self.known_nodes().await?, self.parts.publisher.now());
        for (peer, node) in known.iter().filter(|(_, node)| !node.is_forgotten) {
            self.parts.publisher.expect(peer, Duration::from_secs(node.seen));
        }
        for peer in self.parts.configured.iter().filter(|peer| !known.contains_key(peer)) {
            self.parts.publisher.expect(peer, now);
        }
        Ok(())
    }

    /// Keeps what is written down in step for as long as this core leads.
    pub async fn keep_edges(&self) {
        // Another core may have written down more since this one has read it.
        if let Err(error) = self.load_edges().await {
            tracing::warn!(%error, "the list of expected edges may be out of date");
        }
        let mut caught_up = self.parts.publisher.caught_up();
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        let mut fails = false;
        loop {
            tokio::select! {
                Ok(()) = caught_up.changed() => {}
                _ = ticks.tick() => caught_up.mark_unchanged(),
                () = tokio::time::sleep(RETRY), if fails => {}
            }
            let noted = self.note_edges(SEEN_EVERY).await;
            if let Err(error) = &noted
                && !fails
            {
                tracing::warn!(%error, "the list of expected edges cannot be stored now; trying again");
            }
            fails = noted.is_err();
            tokio::time::sleep(GATHER).await;
        }
    }

    /// Every edge that is expected or has connected.
    pub fn edges(&self) -> EdgeList {
        let edges = self.parts.publisher.edges();
        EdgeList {
            away_after_s: self.parts.away_after.as_secs(),
            edges: edges.iter().map(|edge| self.edge_status(edge)).collect(),
        }
    }

    /// Waits for an edge from now on, connected or not.
    ///
    /// # Errors
    /// The core cannot commit, or no more edges can be known.
    pub async fn expect_edge(self: &Arc<Self>, peer: Peer, terms: Terms) -> Result<Done<EdgeInfo>, ServiceError> {
        let (service, asked, once) = (Arc::clone(self), peer.clone(), terms.once);
        let wrote = self.do_once(&terms, async move { service.expect_now(&asked, once).await }).await?;
        Ok(self.edge_after(&peer, wrote))
    }

    async fn expect_now(&self, peer: &Peer, once: Option<Idempotency>) -> Result<Wrote<EdgeInfo>, ServiceError> {
        let _turn = self.edges.lock().await;
        let now = self.parts.publisher.now();
        let known = self.known_nodes().await?;
        let is_new = known.get(peer).is_none_or(|node| node.is_forgotten);
        let ops = if is_new { vec![KnownNode::new(now.as_secs(), now.as_secs(), &[]).put(peer)] } else { vec![] };
        if let Wrote::Before(earlier) = self.write_nodes_once(ops, once).await? {
            return Ok(Wrote::Before(earlier));
        }
        if is_new {
            tracing::info!(%peer, "the edge is expected from now on");
        }
        if !self.parts.publisher.expect(peer, now) {
            return Err(ServiceError::refused(
                "the list of known edges is full; forget some with `zonecast edges forget`",
                vec![],
            ));
        }
        let edges = self.parts.publisher.edges();
        let edge = edges.iter().find(|edge| edge.report.peer == *peer);
        let edge = edge.map(|edge| self.edge_status(edge));
        edge.map(Wrote::Now).ok_or_else(|| ServiceError::NotExpected(peer.label()))
    }

    /// Waits for an edge no more.
    ///
    /// # Errors
    /// Nobody waits for it, it is connected, or the core cannot commit.
    pub async fn forget_edge(self: &Arc<Self>, peer: Peer, terms: Terms) -> Result<Done<EdgeInfo>, ServiceError> {
        let (service, asked, once) = (Arc::clone(self), peer.clone(), terms.once);
        let wrote = self.do_once(&terms, async move { service.forget_now(&asked, once).await }).await?;
        Ok(self.edge_after(&peer, wrote))
    }

    /// The answer to a write about an edge. It is as the edge is now, also when it was done before: where an edge stands
    /// changes by itself.
    fn edge_after(&self, peer: &Peer, wrote: Wrote<EdgeInfo>) -> Done<EdgeInfo> {
        match wrote {
            Wrote::Now(value) => Done { value, repeated: false },
            Wrote::Before(_) => {
                let edges = self.parts.publisher.edges();
                let edge = edges.iter().find(|edge| edge.report.peer == *peer).map(|edge| self.edge_status(edge));
                let unknown =
                    || EdgeInfo { edge: peer.name.clone(), role: peer.role.to_string(), ..EdgeInfo::default() };
                Done { value: edge.unwrap_or_else(unknown), repeated: true }
            }
        }
    }

    async fn forget_now(&self, peer: &Peer, once: Option<Idempotency>) -> Result<Wrote<EdgeInfo>, ServiceError> {
        let _turn = self.edges.lock().await;
        let edges = self.parts.publisher.edges();
        let edge = edges.iter().find(|edge| edge.report.peer == *peer && edge.report.is_expected);
        let edge = edge.ok_or_else(|| ServiceError::NotExpected(peer.label()))?;
        if edge.report.link == EdgeLink::Connected {
            let message =
                format!("{} is connected, so it would be expected again at once: stop it first", peer.label());
            return Err(ServiceError::refused(message, vec![]));
        }
        if let Wrote::Before(earlier) = self.write_nodes_once(vec![self.removal(peer)], once).await? {
            return Ok(Wrote::Before(earlier));
        }
        self.parts.publisher.forget(peer);
        tracing::info!(%peer, "the edge is forgotten");
        Ok(Wrote::Now(EdgeInfo { expected: false, trouble: None, ..self.edge_status(edge) }))
    }

    /// Forgets everybody whom the configuration does not name: of a process that has all its edges in itself.
    ///
    /// # Errors
    /// The store could not be read, or the core cannot commit.
    pub async fn forget_other_edges(&self) -> Result<(), ServiceError> {
        let _turn = self.edges.lock().await;
        let configured: BTreeSet<&Peer> = self.parts.configured.iter().collect();
        let others: Vec<Peer> =
            self.known_nodes().await?.into_keys().filter(|peer| !configured.contains(peer)).collect();
        self.write_nodes(others.iter().map(KnownNode::delete).collect()).await?;
        others.iter().for_each(|peer| _ = self.parts.publisher.forget(peer));
        Ok(())
    }

    async fn known_nodes(&self) -> Result<BTreeMap<Peer, KnownNode>, ServiceError> {
        let core = self.core().clone();
        blocking(move || Ok(KnownNode::read_all(&core.view())?.into_iter().collect())).await
    }

    /// Writes down who has caught up since it was done last, and who is connected, for a core that is about to stop.
    pub async fn note_edges_at_stop(&self) {
        if let Err(error) = self.note_edges(Duration::ZERO).await {
            tracing::warn!(%error, "the edges that caught up last could not be stored");
        }
    }

    /// Writes down what has changed, and lets those retire whose certificate is over. That an edge is still there is
    /// written down when it was seen longer than `seen_every` after what is on record.
    async fn note_edges(&self, seen_every: Duration) -> Result<(), ServiceError> {
        let _turn = self.edges.lock().await;
        let known = self.known_nodes().await?;
        let now = self.parts.publisher.now().as_secs();
        let mut notes = Notes { seen_every, ..Notes::default() };
        for edge in self.parts.publisher.edges().iter().filter(|edge| edge.report.is_expected) {
            self.note_edge(now, edge, known.get(&edge.report.peer), &mut notes);
        }
        self.write_nodes(notes.ops).await?;
        self.parts.publisher.recorded(&notes.recorded);
        notes.new.iter().for_each(|peer| tracing::info!(%peer, "the edge is expected from now on"));
        for peer in &notes.retired {
            self.parts.publisher.forget(peer);
            tracing::info!(%peer, "the edge is away and its certificate is no longer valid: it is not expected any more");
        }
        Ok(())
    }

    fn note_edge(&self, now: u64, edge: &DownstreamStatus, known: Option<&KnownNode>, notes: &mut Notes) {
        let peer = &edge.report.peer;
        let known = known.filter(|known| !known.is_forgotten);
        let certificate = edge.certificate.as_deref().or(known.map(|known| &**known.certificate)).unwrap_or_default();
        let away_since = edge.report.link.away_since();
        if away_since.is_some() && !certificate.is_empty() && self.parts.identity.is_over(certificate) {
            notes.ops.push(self.removal(peer));
            notes.retired.push(peer.clone());
            return;
        }
        notes.recorded.extend((!edge.report.is_on_record).then(|| peer.clone()));
        let seen = away_since.map_or(now, |since| since.as_secs());
        let is_news = known.is_none_or(|known| {
            let later = seen.saturating_sub(known.seen);
            known.certificate != certificate
                || later > notes.seen_every.as_secs()
                || (away_since.is_some() && later > 0)
        });
        if is_news {
            let since = known.map_or(now, |known| known.since);
            notes.new.extend(known.is_none().then(|| peer.clone()));
            notes.ops.push(KnownNode::new(since, seen, certificate).put(peer));
        }
    }

    /// What takes an edge out. One that the configuration names is kept in mind, so that the next start does not name it
    /// anew.
    fn removal(&self, peer: &Peer) -> Op {
        match self.parts.configured.contains(peer) {
            true => KnownNode::forgotten(self.parts.publisher.now().as_secs()).put(peer),
            false => KnownNode::delete(peer),
        }
    }

    async fn write_nodes(&self, ops: Vec<Op>) -> Result<(), ServiceError> {
        self.write_nodes_once(ops, None).await.map(drop)
    }

    /// The same, once if it is asked for under a key: that nothing had to change is kept then, too.
    async fn write_nodes_once(&self, ops: Vec<Op>, once: Option<Idempotency>) -> Result<Wrote<()>, ServiceError> {
        if ops.is_empty() && once.is_none() {
            return Ok(Wrote::Now(()));
        }
        let section = (!ops.is_empty()).then_some(Section { id: KnownNode::SECTION, ops });
        let batch = Batch { preconditions: vec![], sections: section.into_iter().collect() };
        let build = move |_: &dyn View, _: &Editions<'_>| Ok::<_, ServiceError>((batch, Note::default(), ()));
        let (_, pending) = self.propose(once, build).await?;
        landed(pending.await).map(|landed| landed.map(drop))
    }
}
