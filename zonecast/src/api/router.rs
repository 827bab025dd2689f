//! Which path is answered by what, and how much a request may send.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::routing::{get, post};
use tokio::sync::Semaphore;

use super::{ApiError, health, lookup, receipts, records, status, zones};
use crate::metrics::MetricsRegistry;
use crate::service::Service;

/// Largest zone file in a request in bytes: some millions of records; it is held in memory while it is built.
pub(super) const MAX_ZONE_FILE: usize = 256 * 1024 * 1024;

/// Zone files that are read and built at a time; with the limit above this bounds the memory they take.
pub(crate) const ZONE_BODIES: usize = 2;

/// Largest record change in a request in bytes: as JSON it is larger than the batch of 4 MiB that it may become.
const MAX_CHANGE: usize = 8 * 1024 * 1024;

/// What the handlers share.
#[derive(Clone, Debug)]
pub(crate) struct ApiState {
    /// Zones and records.
    pub service: Arc<Service>,
    /// Taken by each request that holds a zone file.
    pub(crate) zone_bodies: Arc<Semaphore>,
    /// For `/metrics`.
    pub metrics: Arc<MetricsRegistry>,
}

/// All paths.
pub(crate) fn router(state: ApiState) -> Router {
    Router::new()
        .route("/v1/status", get(status::status))
        .route("/v1/zones", get(zones::list))
        .route("/v1/zones/{zone}", get(zones::get).put(zones::put).delete(zones::delete))
        .route("/v1/zones/{zone}/file", get(zones::export))
        .route("/v1/zones/{zone}/records", get(records::list))
        .route("/v1/zones/{zone}/changes", post(records::change))
        .route(
            "/v1/zones/{zone}/records/{name}/{type}",
            get(records::get).put(records::set).post(records::add).delete(records::delete),
        )
        .route("/v1/receipts/{version}", get(receipts::receipt))
        .route("/v1/lookup", get(lookup::lookup))
        .layer(DefaultBodyLimit::max(MAX_CHANGE))
        .route("/metrics", get(health::metrics))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .fallback(async || ApiError::new(StatusCode::NOT_FOUND, "no_path", "no such path; see docs/api.md"))
        .method_not_allowed_fallback(async || {
            ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "no_method", "no such method on this path; see docs/api.md")
        })
        .with_state(state)
}
