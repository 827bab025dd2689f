//! `/metrics`, `/healthz`, `/readyz`: for machines that watch us.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

use super::{ApiError, ApiState, off_thread};

pub(super) async fn metrics(State(state): State<ApiState>) -> Result<impl IntoResponse, ApiError> {
    let text = off_thread(move || {
        state.service.refresh_metrics();
        state.metrics.render(state.service.is_ready(), state.service.fault().is_some())
    });
    let text = text.await?.map_err(ApiError::internal)?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text))
}

/// 200 while the process works at all; 503 once a disk or the core has failed.
pub(super) async fn healthz(State(state): State<ApiState>) -> (StatusCode, String) {
    match state.service.fault_message() {
        None => (StatusCode::OK, "ok\n".into()),
        Some(fault) => (StatusCode::SERVICE_UNAVAILABLE, format!("{fault}\n")),
    }
}

/// 200 once all zones it was started with are served.
pub(super) async fn readyz(State(state): State<ApiState>) -> (StatusCode, &'static str) {
    if state.service.is_ready() && state.service.fault().is_none() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}
