//! `zonecast edge` and `zonecast relay`: an edge in a process of its own, which answers DNS, or is followed, or both.
//!
//! ```text
//! config ─▶ ports ─▶ data folder ─▶ DNS ─▶ copy ─▶ follows ─▶ holds a copy ─▶ ready
//! ```
//! It starts without its core, and answers from what it has whatever happens to the core: ready is an edge that has a
//! copy to answer from. How old that is, is another matter, which status and metrics say.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;
use tokio::sync::watch;
use zonecast_dns::Bound;
use zonecast_kv_edge::{DownstreamConfig, EdgeMetrics, EdgeStatus};
use zonecast_kv_proto::FollowerState;
use zonecast_kv_transport::{Endpoint, Identity, PublisherOptions, Role, TransportMetrics};

use super::core::identity;
use super::http::HttpServer;
use super::process::{self, Ended, notify};
use super::reload::{self, KeyspaceChoice, ReadAgain};
use super::running_edge::{EdgeSetup, RunningEdge, WatchedEdge};
use super::{DataFolder, STOP_WITHIN, Stop, ports};
use crate::auth::Tokens;
use crate::config::{DownstreamSection, EdgeFile, HttpSection, SnapshotsSection};
use crate::http::{EdgeApi, EdgeApiParts, Gate, edge_router};
use crate::metrics::MetricsRegistry;
use crate::output::Output;
use zonecast_api::types::Ready;
use zonecast_service::Fault;
use zonecast_service::LocalEdge;
use zonecast_service::VitalSigns;
use zonecast_service::exit::{Code, Failure, Outcome};

/// Runs an edge, or a relay, until a signal; prints the ready line once it has a copy to answer from.
///
/// # Errors
/// It cannot start, or applying had ended for good before the signal came.
pub(crate) fn run(config: EdgeFile, read_again: ReadAgain, output: Output) -> Outcome {
    let started = Instant::now();
    process::run(async |stop| serve(config, read_again, output, started, stop).await)
}

async fn serve(
    config: EdgeFile,
    read_again: ReadAgain,
    output: Output,
    started: Instant,
    stop: Stop,
) -> Outcome<Ended> {
    // Another provider that is installed already does as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let metrics = Arc::new(MetricsRegistry::new());
    let role = if config.downstream.is_some() { Role::Relay } else { Role::Edge };
    let identity = identity(&config.identity, role, &metrics)?;
    let tls = config.http.tls.then(|| identity.https_server()).transpose()?;
    let http = ports::bind_http(config.http.listen)?;
    let bound = bind_dns(&config.dns)?;
    let downstream = config.downstream.as_ref().map(|section| listen(section, &identity, &metrics)).transpose()?;
    let quic = downstream.as_ref().and_then(|downstream| downstream.endpoint.local_addr().ok());
    let limits = config.limits()?;
    let max_stale = config.max_stale_seconds.map(|seconds| Duration::from_secs(seconds.get()));
    let folder = DataFolder::open(&config.data)?;
    let name = identity.peer().name.clone();
    tracing::info!(data = %folder.path().display(), %role, name, "starting");
    let fault = Fault::new(folder.path());
    let gate = gate(&config.http, &metrics, fault.clone())?;
    let vitals = VitalSigns::register(metrics.registry(), folder.path(), identity.clone(), started)?;
    let setup = EdgeSetup {
        folder: folder.edge(&name),
        name,
        identity: identity.clone(),
        keyspaces: config.selection()?,
        upstreams: config.upstreams,
        bound,
        store: config.downstream.as_ref().map(DownstreamSection::store).unwrap_or_default(),
        mirror: config.snapshots.as_ref().map(SnapshotsSection::mirror).transpose()?,
        downstream,
        limits,
        metrics: EdgeMetrics::register(metrics.registry())?,
        dns_metrics: zonecast_dns::Metrics::new(metrics.registry())?,
    };
    let edge = RunningEdge::start(setup)?;
    edge.open();
    let held = edge.held();
    let keyspaces = KeyspaceChoice { held: Arc::clone(&held), read_again };
    let hangup = reload::on_hangup(&stop, identity, gate.clone(), Some(keyspaces));
    let (local, mut status, downstreams) = (edge.describe(), edge.status(), edge.downstreams());
    let edge = edge.watch(fault.clone());
    let parts = EdgeApiParts { edge: local.clone(), status: status.clone(), held, quic, downstreams, max_stale };
    let api = EdgeApi::new(parts, fault.clone(), metrics, vitals, started);
    let http = HttpServer::start(http, edge_router(api.clone(), gate.clone()), gate, tls)?;
    // Whoever waits for the process waits for its answers, not for its core.
    notify(NotifyState::Ready);
    let said = tokio::spawn(tell_manager(status.clone()));
    let holds_copy = async {
        // The sender lives as long as the edge.
        let _ = status.wait_for(EdgeStatus::is_ready).await;
    };
    let mut ended = tokio::select! {
        () = holds_copy => None,
        ended = end(&stop, &fault) => Some(ended),
    };
    if ended.is_none() {
        let (role, quic) = (role.to_string(), quic.map(|quic| quic.to_string()));
        let ready = Ready { role, quic, ..ready(&local, &http, &folder, started) };
        output.show(&ready, |ready, out| writeln!(out, "{}", ready.line()))?;
        ended = Some(end(&stop, &fault).await);
    }
    said.abort();
    hangup.abort();
    // Not when it begins anew in place: systemd kills who says so and has not ended in time.
    if ended != Some(Ended::Restart) {
        notify(NotifyState::Stopping);
    }
    close(http, edge).await;
    drop(folder);
    match ended {
        Some(Ended::Restart) => Ok(Ended::Restart),
        _ => fault.get().map_or(Ok(Ended::Stopped), Err),
    }
}

/// Lets in who has a token of the file, or everybody.
fn gate(section: &HttpSection, metrics: &MetricsRegistry, fault: Fault) -> Outcome<Gate> {
    let tokens = section.token_file().map(Tokens::open).transpose();
    Gate::new(tokens.map_err(|error| Failure::new(Code::Unreadable, error))?, metrics.registry(), fault)
}

async fn close(http: HttpServer, edge: WatchedEdge) {
    let closing = async {
        http.stop().await;
        edge.stop().await;
    };
    if tokio::time::timeout(STOP_WITHIN, closing).await.is_err() {
        tracing::warn!("stopping took too long; ending without waiting further");
    }
}

/// Takes the ports where it answers, for as many threads as there are processors.
fn bind_dns(addresses: &[SocketAddr]) -> Outcome<Vec<Bound>> {
    let workers = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let bind = |address: &_| Bound::bind(*address, workers).map_err(|error| Failure::new(Code::Port, error));
    addresses.iter().map(bind).collect()
}

fn ready(edge: &LocalEdge, http: &HttpServer, folder: &DataFolder, started: Instant) -> Ready {
    let state = edge.states.load();
    Ready {
        event: "ready".into(),
        dns: edge.dns.iter().map(ToString::to_string).collect(),
        http: http.address().to_string(),
        data: folder.path().display().to_string(),
        zones: state.as_ref().map_or(0, |state| u64::try_from(state.zones.len()).unwrap_or(u64::MAX)),
        seconds: started.elapsed().as_secs_f64(),
        version: state.map_or(0, |state| state.position.version.get()),
        ..Ready::default()
    }
}

/// Takes the port where others follow this node.
fn listen(section: &DownstreamSection, identity: &Identity, metrics: &MetricsRegistry) -> Outcome<DownstreamConfig> {
    let endpoint = Endpoint::server(section.quic, identity)?;
    let metrics = TransportMetrics::register(metrics.registry())?;
    Ok(DownstreamConfig { endpoint, options: PublisherOptions::default(), metrics })
}

/// Tells the service manager in words how the edge stands, whenever that is news.
async fn tell_manager(mut status: watch::Receiver<EdgeStatus>) {
    let mut told = String::new();
    loop {
        let now = in_words(&status.borrow_and_update());
        if now != told {
            notify(NotifyState::Status(&now));
            told = now;
        }
        if status.changed().await.is_err() {
            return;
        }
    }
}

fn in_words(status: &EdgeStatus) -> String {
    let copy = match (status.is_ready(), &status.damage) {
        (false, _) => "holds nothing to answer from yet",
        (true, Some(_)) => "answers from a damaged copy, which is being fetched again",
        (true, None) => "answers",
    };
    let core = match status.state {
        FollowerState::Streaming => "follows its core",
        FollowerState::Loading => "loads a snapshot from its core",
        FollowerState::Away => "has no core",
    };
    format!("{copy}; {core}")
}

/// Waits for a signal, or for a disk that had failed.
async fn end(stop: &Stop, fault: &Fault) -> Ended {
    tokio::select! {
        () = stop.asked() => Ended::Stopped,
        () = fault.disk_works_again() => Ended::Restart,
    }
}
