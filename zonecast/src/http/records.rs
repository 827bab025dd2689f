//! `/v1/zones/{zone}/records`, `/v1/zones/{zone}/records/{name}/{type}`, `/v1/zones/{zone}/changes`.

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::response::Response;
use serde::Deserialize;

use super::asked::{Answered, Asked};
use super::condition::tagged;
use super::query::{self, NoParams, Params, Segments, WriteQuery, zone_in_path};
use super::{ApiError, ApiState};
use zonecast_api::types::{Action, ChangeRequest, RecordChange, Written};
use zonecast_service::{Condition, Terms};

/// Most RRsets in one answer; the zone's file has them all.
const MAX_RRSETS: usize = 10_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    name: Option<String>,
    #[serde(rename = "type")]
    rtype: Option<String>,
    limit: Option<usize>,
}

pub(super) async fn list(
    State(state): State<ApiState>,
    Segments(zone): Segments<String>,
    Extension(condition): Extension<Condition>,
    Params(query): Params<ListQuery>,
) -> Result<Response, ApiError> {
    let limit = query.limit.unwrap_or(MAX_RRSETS).clamp(1, MAX_RRSETS);
    let page = state.service.records(zone_in_path(&zone)?, query.name, query.rtype, limit).await?;
    Ok(tagged(&condition, page))
}

pub(super) async fn change(
    State(state): State<ApiState>,
    asked: Asked,
    Segments(zone): Segments<String>,
    Params(query): Params<WriteQuery>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Answered<Written>, ApiError> {
    let (request, terms): (ChangeRequest, _) = query::asked(asked, body)?;
    apply(&state, terms, &zone, &query, request.changes).await
}

/// Segments of a path that names an RRset.
#[derive(Debug, Deserialize)]
pub(super) struct RrsetPath {
    zone: String,
    name: String,
    #[serde(rename = "type")]
    rtype: String,
}

/// The records of one RRset in a request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RrsetBody {
    ttl: Option<u32>,
    data: Vec<String>,
}

pub(super) async fn get(
    State(state): State<ApiState>,
    _: NoParams,
    Segments(RrsetPath { zone, name, rtype }): Segments<RrsetPath>,
    Extension(condition): Extension<Condition>,
) -> Result<Response, ApiError> {
    let page = state.service.records(zone_in_path(&zone)?, Some(name), Some(rtype), MAX_RRSETS).await?;
    Ok(tagged(&condition, page))
}

pub(super) async fn set(
    State(state): State<ApiState>,
    asked: Asked,
    Segments(path): Segments<RrsetPath>,
    Params(query): Params<WriteQuery>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Answered<Written>, ApiError> {
    apply_body(&state, asked, path, &query, Action::Set, body).await
}

pub(super) async fn add(
    State(state): State<ApiState>,
    asked: Asked,
    Segments(path): Segments<RrsetPath>,
    Params(query): Params<WriteQuery>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Answered<Written>, ApiError> {
    apply_body(&state, asked, path, &query, Action::Add, body).await
}

pub(super) async fn delete(
    State(state): State<ApiState>,
    asked: Asked,
    Segments(RrsetPath { zone, name, rtype }): Segments<RrsetPath>,
    Params(query): Params<WriteQuery>,
) -> Result<Answered<Written>, ApiError> {
    let change = RecordChange { action: Action::Delete, name, rtype: Some(rtype), ..RecordChange::default() };
    apply(&state, asked.terms(&[]), &zone, &query, vec![change]).await
}

async fn apply_body(
    state: &ApiState,
    asked: Asked,
    path: RrsetPath,
    query: &WriteQuery,
    action: Action,
    body: Result<Bytes, BytesRejection>,
) -> Result<Answered<Written>, ApiError> {
    let RrsetPath { zone, name, rtype } = path;
    let (RrsetBody { ttl, data }, terms) = query::asked(asked, body)?;
    let change = RecordChange { action, name, rtype: Some(rtype), ttl, data, ..RecordChange::default() };
    apply(state, terms, &zone, query, vec![change]).await
}

async fn apply(
    state: &ApiState,
    terms: Terms,
    zone: &str,
    query: &WriteQuery,
    changes: Vec<RecordChange>,
) -> Result<Answered<Written>, ApiError> {
    let (zone, patience) = (zone_in_path(zone)?, query.patience()?);
    let written = state.service.change(zone, changes, query.allow_shrink, terms).await?;
    Ok(Answered(state.service.wait(written, patience).await.into()))
}
