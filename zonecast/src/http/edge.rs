//! The HTTP side of an edge in a process of its own: `/v1/status`, `/v1/lookup`, `/metrics` and health.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::extract::State;
use axum::http::{Method, StatusCode, header};
use axum::response::IntoResponse;
use axum::{Extension, Json, Router};
use tokio::sync::watch;
use zonecast_edge::{HeldKeyspaces, Selection};
use zonecast_kv_edge::{Downstreams, EdgeStatus};
use zonecast_kv_proto::{FollowerState, MAX_BACKOFF, Role};

use super::lookup::{LookupQuery, shown};
use super::query::{self, Params};
use super::{ApiError, Gate, May, Route, kv, off_thread, routed};
use crate::auth::{Grant, TokenRole};
use crate::config::DEFAULT_EDGE_AWAY_MINUTES;
use crate::metrics::MetricsRegistry;
use zonecast_api::types::{EdgeInfo, EdgeNode, Lookup};
use zonecast_service::Fault;
use zonecast_service::LocalEdge;
use zonecast_service::{VitalSigns, edge_info};

/// A node below a relay that is away for longer is said to be away for long: as at a core.
const AWAY_AFTER: Duration = Duration::from_mins(DEFAULT_EDGE_AWAY_MINUTES);

/// The edge that the API is about.
#[derive(Clone, Debug)]
pub(crate) struct EdgeApiParts {
    /// Its name and what it answers from.
    pub edge: LocalEdge,
    /// How it stands, at every change.
    pub status: watch::Receiver<EdgeStatus>,
    /// The keyspaces that it holds.
    pub held: Arc<HeldKeyspaces>,
    /// Where others follow it.
    pub quic: Option<SocketAddr>,
    /// Who does.
    pub downstreams: Option<Downstreams>,
    /// It is not ready when its copy has not been confirmed for longer.
    pub max_stale: Option<Duration>,
}

/// What the handlers share.
#[derive(Clone, Debug)]
pub(crate) struct EdgeApi {
    parts: EdgeApiParts,
    fault: Fault,
    metrics: Arc<MetricsRegistry>,
    vitals: VitalSigns,
    started: Instant,
}

impl EdgeApi {
    /// Of a running edge.
    pub(crate) fn new(
        parts: EdgeApiParts,
        fault: Fault,
        metrics: Arc<MetricsRegistry>,
        vitals: VitalSigns,
        started: Instant,
    ) -> Self {
        Self { parts, fault, metrics, vitals, started }
    }

    /// The edge, if it is the one that is asked for.
    pub(super) fn edge_at(&self, at: Option<String>) -> Result<LocalEdge, ApiError> {
        if at.is_some_and(|at| at != "edge" && at != self.parts.edge.name) {
            let message = "this is an edge, which knows its own copy only; ask the core for others";
            return Err(ApiError::bad_request(message));
        }
        Ok(self.parts.edge.clone())
    }

    /// Whether it has a copy to answer from, however old, unless it is told how old.
    fn is_ready(&self) -> bool {
        let status = self.parts.status.borrow();
        status.is_ready() && self.parts.max_stale.is_none_or(|max| stale_for(&status).is_some_and(|stale| stale <= max))
    }

    /// Reads the disk.
    fn node(&self) -> EdgeNode {
        let EdgeApiParts { edge, status, held, quic, downstreams, max_stale: _ } = &self.parts;
        let (state, status) = (edge.states.load(), status.borrow().clone());
        let position = state.as_ref().map(|state| state.position);
        let version = |position: Option<zonecast_kv_proto::Position>| position.map_or(0, |at| at.version.get());
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        EdgeNode {
            role: if downstreams.is_some() { Role::Relay } else { Role::Edge }.to_string(),
            release: env!("CARGO_PKG_VERSION").into(),
            edge: edge.name.clone(),
            ready: self.is_ready(),
            store: position.map(|at| at.store.to_string()).unwrap_or_default(),
            epoch: position.map_or(0, |at| at.epoch.get()),
            keyspaces: held.chosen().iter().flat_map(Selection::names).map(str::to_owned).collect(),
            holds_others: position.is_some() && !held.is_kept(status.holds.as_ref()),
            version: version(position),
            chain: position.map(|at| at.chain.to_string()).unwrap_or_default(),
            durable: version(status.durable),
            head: version(status.head),
            following: following(status.state).into(),
            silent_s: status.heard.map(|heard: Duration| now.saturating_sub(heard).as_secs_f64()),
            path: status.path.nodes().iter().map(ToString::to_string).collect(),
            stale_s: stale_for(&status).map(|stale| stale.as_secs_f64()),
            quic: quic.map(|quic| quic.to_string()),
            edges: downstreams.as_ref().map(|below| self.below(below)).unwrap_or_default(),
            trouble: status.trouble,
            damage: status.damage,
            twin: status.twin,
            fault: self.fault.message(),
            zones: state.map_or(0, |state| u64::try_from(state.zones.len()).unwrap_or(u64::MAX)),
            dns: edge.dns.iter().map(ToString::to_string).collect(),
            uptime_s: self.started.elapsed().as_secs(),
            data: self.vitals.data().display().to_string(),
            vitals: Some(self.vitals.read()),
        }
    }

    /// The nodes that follow it.
    fn below(&self, downstreams: &Downstreams) -> Vec<EdgeInfo> {
        let has_just_started = self.started.elapsed() < MAX_BACKOFF;
        downstreams.list().iter().map(|status| edge_info(status, AWAY_AFTER, has_just_started)).collect()
    }
}

/// The time since what it takes for the newest version was confirmed; nothing if that was never since its start.
fn stale_for(status: &EdgeStatus) -> Option<Duration> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    status.confirmed.map(|confirmed| now.saturating_sub(confirmed))
}

fn following(state: FollowerState) -> &'static str {
    match state {
        FollowerState::Away => "away",
        FollowerState::Streaming => "streaming",
        FollowerState::Loading => "loading",
    }
}

/// All paths, behind a gate.
pub(crate) fn edge_router(api: EdgeApi, gate: Gate) -> Router {
    routed(edge_routes(), "no such path at an edge; zones and records are at the core", gate, None, api)
}

/// All paths, and who may ask each.
pub(super) fn edge_routes() -> Vec<Route<EdgeApi>> {
    let mut routes = vec![
        Route::new(Method::GET, "/v1/status", May::Role(TokenRole::Read), status),
        Route::new(Method::GET, "/v1/lookup", May::Role(TokenRole::Read), lookup),
        Route::new(Method::GET, "/metrics", May::AnyToken, metrics),
        Route::new(Method::GET, "/healthz", May::Everybody, healthz),
        Route::new(Method::GET, "/readyz", May::Everybody, readyz),
    ];
    routes.extend(kv::edge_routes());
    routes
}

async fn status(State(api): State<EdgeApi>) -> Result<Json<EdgeNode>, ApiError> {
    off_thread(move || api.node()).await.map(Json)
}

async fn lookup(
    State(api): State<EdgeApi>,
    Extension(grant): Extension<Grant>,
    Params(query): Params<LookupQuery>,
) -> Result<Json<Lookup>, ApiError> {
    let edge = api.edge_at(query.at)?;
    let name = query::name(&query.name)?;
    query::in_scope(&grant, &name)?;
    shown(&grant, edge.lookup(name, query.rtype).await?)
}

async fn metrics(State(api): State<EdgeApi>) -> Result<impl IntoResponse, ApiError> {
    let text = off_thread(move || {
        let _ = api.vitals.read();
        api.metrics.render(api.is_ready(), api.fault.get().is_some())
    });
    let text = text.await?.map_err(ApiError::internal)?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text))
}

/// 503 when it can write no more, or some of its copy cannot be read.
async fn healthz(State(api): State<EdgeApi>) -> (StatusCode, String) {
    let damage = api.parts.status.borrow().damage.clone();
    match (api.fault.message(), damage) {
        (Some(fault), _) => (StatusCode::SERVICE_UNAVAILABLE, format!("{fault}\n")),
        (None, Some(damage)) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("{damage}; the copy is fetched again from the core\n"))
        }
        (None, None) => (StatusCode::OK, "ok\n".into()),
    }
}

/// 200 while it has a copy to answer from, with or without its core, and however old that is unless `max_stale_seconds`
/// says otherwise.
async fn readyz(State(api): State<EdgeApi>) -> (StatusCode, &'static str) {
    if api.is_ready() && api.fault.get().is_none() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}
