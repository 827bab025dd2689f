//! `/v1/kv` and `/v1/kv/{keyspace}`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use serde::Deserialize;

use super::path::keyspace;
use crate::http::asked::{Answered, Asked};
use crate::http::query::{self, NoParams, Params, Segments};
use crate::http::{ApiError, ApiState};
use zonecast_api::types::{KeyspaceInfo, KeyspaceList, KeyspaceSetup, KeyspaceWritten};

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
    asked: Asked,
    body: Result<Bytes, BytesRejection>,
) -> Result<Answered<KeyspaceInfo>, ApiError> {
    let name = keyspace(&name)?;
    let (setup, terms): (KeyspaceSetup, _) = query::asked(asked, body)?;
    Ok(Answered(state.service.put_keyspace(name, setup, terms).await?))
}

pub(super) async fn delete(
    State(state): State<ApiState>,
    Segments(name): Segments<String>,
    asked: Asked,
    Params(params): Params<DropQuery>,
) -> Result<Answered<KeyspaceWritten>, ApiError> {
    let patience = query::patience(params.wait.as_deref(), params.timeout.as_deref())?;
    let written = state.service.drop_keyspace(keyspace(&name)?, params.with_keys, asked.terms(&[])).await?;
    Ok(Answered(state.service.wait_for_keys(written, patience).await.into()))
}
