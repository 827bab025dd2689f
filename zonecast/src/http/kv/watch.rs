//! `/v1/kv/{keyspace}/watch`: lines of JSON, for as long as the client wants, and at most ten minutes.

use std::convert::Infallible;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::unfold;

use super::params::WatchParams;
use super::path::keyspace;
use crate::http::query::Segments;
use crate::http::{ApiError, ApiState};
use zonecast_service::{KeyWatch, Who};

pub(super) async fn watch(
    State(state): State<ApiState>,
    Segments(name): Segments<String>,
    Extension(who): Extension<Who>,
    WatchParams(from): WatchParams,
) -> Result<Response, ApiError> {
    let watch = state.service.watch_keys(keyspace(&name)?, from, &who).await?;
    let lines = unfold(watch, async |mut watch: KeyWatch| {
        let line = watch.next_line().await?;
        Some((Ok::<_, Infallible>(line), watch))
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}
