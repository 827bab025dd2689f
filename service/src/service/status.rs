//! Where changes are, and how the system stands.

use std::time::Duration;

use zonecast_kv_proto::{
    EdgeLink, EdgeReceipt as ReceiptOfEdge, MAX_BACKOFF, Receipt as EdgeReceipts, SILENT_AFTER, Took, TookSummary,
    Version,
};
use zonecast_kv_transport::{DownstreamStatus, Peer, Twins};

use super::{LocalEdge, Service};
use crate::day::age;
use crate::error::ServiceError;
use zonecast_api::Patience;
use zonecast_api::types::{ChainInfo, EdgeInfo, EdgeList, EdgeReceipt, Receipt, ReceiptTook, Status, Written};

/// Edges that lost their core, or were refused, have connected again after this time: the longest pause between two
/// attempts, and as much again for the network.
const REDIALED_WITHIN: Duration = MAX_BACKOFF.saturating_mul(2);

impl Service {
    /// Adds the receipt to a write, if one was asked for.
    pub async fn wait(&self, mut written: Written, patience: Patience) -> Written {
        if patience.wait.is_some() {
            written.receipt = Some(self.receipt_of(Version::new(written.version), patience).await);
        }
        written
    }

    /// Where a version is live; waits for as many edges as `patience` says.
    ///
    /// # Errors
    /// There is no such version yet.
    pub async fn receipt(&self, version: Version, patience: Patience) -> Result<Receipt, ServiceError> {
        let head = self.core().position().version;
        if version > head {
            return Err(ServiceError::bad(format_args!("version {version} does not exist yet; the last is {head}")));
        }
        Ok(self.receipt_of(version, patience).await)
    }

    pub(super) async fn receipt_of(&self, version: Version, Patience { wait, timeout }: Patience) -> Receipt {
        let publisher = &self.parts.publisher;
        match wait {
            None => receipt(&publisher.receipt(version), publisher.now(), true),
            Some(wait) => tokio::select! {
                waited = publisher.wait(version, wait, timeout) => match waited {
                    Ok(reached) => receipt(&reached, publisher.now(), true),
                    Err(missed) => receipt(&missed.0, publisher.now(), false),
                },
                () = self.ends() => Receipt {
                    interrupted: true,
                    ..receipt(&publisher.receipt(version), publisher.now(), false)
                },
            },
        }
    }

    /// How the core and each edge it knows stand. Reads the disk.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn status(&self) -> Result<Status, ServiceError> {
        // First what edges have, so that none seems to be beyond the core.
        let EdgeList { away_after_s, edges } = self.edges();
        let position = self.core().position();
        Ok(Status {
            role: "core".into(),
            release: env!("CARGO_PKG_VERSION").into(),
            ready: self.is_ready(),
            store: position.store.to_string(),
            epoch: position.epoch.get(),
            version: position.version.get(),
            chain: position.chain.to_string(),
            zones: self.count_zones()?,
            fault: self.fault_message(),
            uptime_s: self.parts.started.elapsed().as_secs(),
            data: self.parts.data.display().to_string(),
            moved_from: self.parts.moved_from.clone(),
            vitals: Some(self.parts.vitals.read()),
            imported_elsewhere: self.imported_elsewhere.get().cloned(),
            forks: self.forks()?,
            away_after_s,
            edges,
        })
    }

    /// How one edge stands.
    pub fn edge_status(&self, status: &DownstreamStatus) -> EdgeInfo {
        let is_local = |edge: &&LocalEdge| status.report.peer == Peer::edge(&edge.name);
        let local = self.parts.edges.iter().find(is_local);
        EdgeInfo {
            dns: local.map(|edge| edge.dns.iter().map(ToString::to_string).collect()).unwrap_or_default(),
            ..edge_info(status, self.parts.away_after, self.has_just_started())
        }
    }

    /// All edges had lost the core, and may be on their way here.
    fn has_just_started(&self) -> bool {
        self.parts.started.elapsed() < REDIALED_WITHIN
    }

    /// The chain at a version, if the core remembers it.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn chain_at(&self, version: Version) -> Result<ChainInfo, ServiceError> {
        let (source, position) = (self.core().source(), self.core().position());
        // A version that is not there yet is not read: its key might hold anything a later release put there.
        let known = version <= position.version;
        let chain = if known { source.chain_at(version).map_err(ServiceError::internal)? } else { None };
        Ok(ChainInfo {
            store: position.store.to_string(),
            epoch: position.epoch.get(),
            head: position.version.get(),
            version: version.get(),
            chain: chain.map(|chain| chain.to_string()),
        })
    }

    /// Brings those metrics up to date that are measured only when somebody looks. Reads the disk.
    pub fn refresh_metrics(&self) {
        let _ = self.parts.vitals.read();
        self.metrics().set_committed(self.core().position().version.get());
        self.metrics().set_zones(self.count_zones().unwrap_or_default());
    }

    /// Zones hosted. Edges know it without reading anything; without an edge the keys are counted.
    fn count_zones(&self) -> Result<u64, ServiceError> {
        let known =
            self.parts.edges.iter().filter_map(|edge| edge.states.load()).max_by_key(|state| state.position.order());
        let zones = match known {
            Some(state) => state.zones.len(),
            None => return self.zone_count.get(self.core()),
        };
        Ok(u64::try_from(zones).unwrap_or(u64::MAX))
    }
}

/// How one edge stands, as the node knows it that it follows, or that hears of it from a relay.
#[must_use]
pub fn edge_info(status: &DownstreamStatus, away_after: Duration, has_just_started: bool) -> EdgeInfo {
    let report = &status.report;
    let number = |version: Option<Version>| version.unwrap_or_default().get();
    EdgeInfo {
        edge: report.peer.name.clone(),
        role: report.peer.role.to_string(),
        expected: report.is_expected,
        dns: vec![],
        connected: report.link == EdgeLink::Connected,
        away_s: status.away_for.map(|away| away.as_secs_f64()),
        applied: number(report.applied),
        durable: number(report.durable),
        lag: status.lag,
        via: report.via.clone(),
        address: status.address.map(|address| address.to_string()),
        silent_s: status.silent_for.map(|silent| silent.as_secs_f64()),
        trouble: trouble(status, away_after, has_just_started),
    }
}

/// What is wrong with an edge as the core sees it; and after `; ` what to do. Edges connect again when the core has started,
/// so that one that is away is nothing to act on yet.
fn trouble(edge: &DownstreamStatus, away_after: Duration, has_just_started: bool) -> Option<String> {
    let name = edge.report.peer.label();
    if let Some(Twins { addresses: [one, other], .. }) = edge.twins {
        return Some(format!(
            "two processes use this identity, from {one} and from {other}, and take turns; stop one of them, or issue it \
             a certificate with a name of its own"
        ));
    }
    let away = edge.away_for.filter(|away| edge.report.is_expected && *away > away_after);
    if let (EdgeLink::Away(_), true) = (edge.report.link, has_just_started) {
        let within = REDIALED_WITHIN.as_secs();
        return Some(format!(
            "has not connected since this core started a moment ago; edges try again within {within} seconds"
        ));
    }
    match (edge.report.link, away) {
        // One that has everything has nothing to acknowledge.
        (EdgeLink::Connected, _) => {
            let silent = edge.silent_for.is_some_and(|silent| silent > SILENT_AFTER);
            (edge.lag > 0 && silent)
                .then(|| "connected, but acknowledges nothing; look at its load, its disk and the network to it".into())
        }
        (EdgeLink::Refused(_, why), _) => Some(format!(
            "refused: {why}; it answers what it has, which is not what is here. `zonecast status --core URL` with its \
             own URL says what to do"
        )),
        (EdgeLink::LastKnown(_), _) => Some(format!(
            "the relay {} that serves it is gone, so nobody knows; start the relay, or give the edge another upstream",
            edge.report.via.as_deref().unwrap_or("unknown")
        )),
        (EdgeLink::Away(_), Some(away)) => Some(format!(
            "away for {}, longer than {}; if it is gone for good, `zonecast edges forget {name}`, else start it",
            age(away.as_secs_f64()),
            age(away_after.as_secs_f64())
        )),
        (EdgeLink::Away(_), None) if edge.address.is_some() => Some(
            "not connected, and answers what it has; `zonecast status --core URL` with its own URL says why. Is it \
             running, and does UDP reach this core?"
                .into(),
        ),
        (EdgeLink::Away(_), None) => Some(
            "has not connected since this core started; is it running, and do its `upstreams` name this core?".into(),
        ),
    }
}

fn receipt(receipts: &EdgeReceipts, now: Duration, reached: bool) -> Receipt {
    Receipt {
        version: receipts.version.get(),
        reached,
        interrupted: false,
        applied: receipts.applied,
        durable: receipts.durable,
        of: receipts.of,
        commit_ms: receipts.commit.map(milliseconds),
        took: receipts.took.as_ref().map(receipt_took),
        edges: receipts.edges.iter().map(|edge| edge_receipt(edge, now)).collect(),
    }
}

fn edge_receipt(edge: &ReceiptOfEdge, now: Duration) -> EdgeReceipt {
    let stage = |stage: fn(&Took) -> Duration| edge.took.as_ref().map(stage).map(milliseconds);
    EdgeReceipt {
        edge: edge.peer.name.clone(),
        role: edge.peer.role.to_string(),
        via: edge.via.clone(),
        applied: edge.applied,
        durable: edge.durable,
        last_known: edge.is_last_known,
        away_s: edge.away_since.map(|since| now.saturating_sub(since).as_secs_f64()),
        ms: stage(|took| took.all),
        relay_ms: edge.via.as_ref().and_then(|_| stage(|took| took.relay)),
        network_ms: stage(|took| took.network),
        apply_ms: stage(|took| took.apply),
    }
}

fn receipt_took(took: &TookSummary) -> ReceiptTook {
    ReceiptTook {
        p50_ms: milliseconds(took.p50),
        p99_ms: milliseconds(took.p99),
        max_ms: milliseconds(took.max),
        slowest: took.slowest.label(),
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use zonecast_kv_proto::{EdgeReport, StoreId, SubscribeRefusal};

    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn edge(link: EdgeLink, away_for: Option<Duration>) -> DownstreamStatus {
        let report = EdgeReport {
            peer: Peer::edge("e"),
            is_expected: true,
            is_on_record: true,
            link,
            via: None,
            incarnation: 0,
            applied: None,
            durable: None,
            last_ack: None,
            check: None,
        };
        DownstreamStatus { report, lag: 0, silent_for: None, away_for, address: None, certificate: None, twins: None }
    }

    fn told(link: EdgeLink, has_just_started: bool) -> String {
        trouble(&edge(link, Some(DAY * 3)), DAY, has_just_started).unwrap()
    }

    #[test]
    fn an_edge_that_is_away_is_nothing_to_act_on_until_it_had_time_to_connect_again() {
        let away = EdgeLink::Away(Duration::ZERO);
        assert!(told(away, true).contains("since this core started a moment ago"));
        assert!(told(away, false).starts_with("away for 3 days"), "{}", told(away, false));
        // One that was refused meanwhile has been here.
        let refused = EdgeLink::Refused(Duration::ZERO, SubscribeRefusal::OtherStore(StoreId::new(1)));
        assert!(told(refused, true).starts_with("refused:"));
    }
}
