//! `/v1/zones/{zone}/log`, `/v1/zones/{zone}/diff`, `/v1/zones/{zone}/rollback`.

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::{Extension, Json};
use serde::Deserialize;
use zonecast_builder::Target;

use super::asked::{Answered, Asked};
use super::query::{self, Params, Segments, zone_in_path};
use super::{ApiError, ApiState};
use zonecast_api::types::{RollbackRequest, Written, ZoneDiff, ZoneLog};
use zonecast_service::Who;

/// Changes in one answer: more than are kept.
const MAX_CHANGES: usize = 1000;

/// Names in one answer; there may be some records at each.
pub(super) const MAX_NAMES: usize = 10_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogQuery {
    limit: Option<usize>,
}

pub(super) async fn log(
    State(state): State<ApiState>,
    Segments(zone): Segments<String>,
    Params(query): Params<LogQuery>,
) -> Result<Json<ZoneLog>, ApiError> {
    let limit = query.limit.unwrap_or(MAX_CHANGES).clamp(1, MAX_CHANGES);
    Ok(Json(state.service.zone_log(zone_in_path(&zone)?, limit).await?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DiffQuery {
    from: Option<u64>,
    to: Option<u64>,
    limit: Option<usize>,
}

pub(super) async fn diff(
    State(state): State<ApiState>,
    Segments(zone): Segments<String>,
    Params(query): Params<DiffQuery>,
    Extension(who): Extension<Who>,
) -> Result<Json<ZoneDiff>, ApiError> {
    let limit = query.limit.unwrap_or(MAX_NAMES).clamp(1, MAX_NAMES);
    Ok(Json(state.service.zone_diff(zone_in_path(&zone)?, query.from, query.to, limit, &who).await?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RollbackQuery {
    wait: Option<String>,
    timeout: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

pub(super) async fn roll_back(
    State(state): State<ApiState>,
    asked: Asked,
    Segments(zone): Segments<String>,
    Params(params): Params<RollbackQuery>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Answered<Written>, ApiError> {
    let RollbackQuery { wait, timeout, dry_run } = params;
    let (zone, patience) = (zone_in_path(&zone)?, query::patience(wait.as_deref(), timeout.as_deref())?);
    let body = query::body(body)?;
    let request: RollbackRequest = query::parse(&body)?;
    let target = match request {
        RollbackRequest { to: Some(to), undo: None } => Target::After(to),
        RollbackRequest { to: None, undo: Some(undo) } => Target::Undo(undo),
        _ => {
            let message = "a rollback says either `to`, the change whose state is wanted, or `undo`, the last change; \
                           `/v1/zones/{zone}/log` lists them";
            return Err(ApiError::bad_request(message));
        }
    };
    if dry_run {
        let terms = asked.terms_of_preview();
        return Ok(Answered(state.service.preview_rollback(zone, target, terms, MAX_NAMES).await?.into()));
    }
    let written = state.service.roll_back(zone, target, asked.terms(&body)).await?;
    Ok(Answered(state.service.wait(written, patience).await.into()))
}
