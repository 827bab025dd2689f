//! `/v1/kv` and `/v1/kv/{keyspace}`.

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::{Extension, Json};
use serde::Deserialize;

use super::path::keyspace;
use crate::http::query::{self, NoParams, Params, Segments};
use crate::http::{ApiError, ApiState};
use zonecast_api::types::{KeyspaceInfo, KeyspaceList, KeyspaceSetup, KeyspaceWritten};
use zonecast_service::Who;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DropQuery {
    wait: Option<String>,
    timeout: Option<String>,
    #[serde(default)]
    with_keys: bool,
}

pub(super) async fn list(State(state): State<ApiState>, _: NoParams) -> Result<Json<KeyspaceList>, ApiError> {
    Ok(Json(state.service.keyspaces().await?))
}

pub(super) async fn get(
    State(state): State<ApiState>,
    _: NoParams,
    Segments(name): Segments<String>,
) -> Result<Json<KeyspaceInfo>, ApiError> {
    Ok(Json(state.service.keyspace(keyspace(&name)?).await?))
}

pub(super) async fn put(
    State(state): State<ApiState>,
    _: NoParams,
    Segments(name): Segments<String>,
    Extension(who): Extension<Who>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<KeyspaceInfo>, ApiError> {
    let (name, setup): (_, KeyspaceSetup) = (keyspace(&name)?, query::json(body)?);
    Ok(Json(state.service.put_keyspace(name, setup, who).await?))
}

pub(super) async fn delete(
    State(state): State<ApiState>,
    Segments(name): Segments<String>,
    Extension(who): Extension<Who>,
    Params(params): Params<DropQuery>,
) -> Result<Json<KeyspaceWritten>, ApiError> {
    let patience = query::patience(params.wait.as_deref(), params.timeout.as_deref())?;
    let written = state.service.drop_keyspace(keyspace(&name)?, params.with_keys, who).await?;
    Ok(Json(state.service.wait_for_keys(written, patience).await))
}
