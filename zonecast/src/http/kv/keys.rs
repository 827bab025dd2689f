//! `/v1/kv/{keyspace}/keys`, `/v1/kv/{keyspace}/keys/{*key}`, `/v1/kv/{keyspace}/txn`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use zonecast_keyspaces::{Comparison, Condition, KeyWrite, Transaction};

use super::params::{KeyWriteQuery, ListParams};
use super::path::{KeyPath, keyspace};
use crate::http::asked::{Answered, Asked};
use crate::http::query::{self, Params, Segments, WaitQuery};
use crate::http::{ApiError, ApiState, EdgeApi};
use zonecast_api::types::{KeyPage, KeyTransaction, KeyspaceWritten};
use zonecast_service::KeyValue;

/// The revision of the last change of the key.
const REVISION: HeaderName = HeaderName::from_static("zonecast-revision");
/// The version that was read.
const VERSION: HeaderName = HeaderName::from_static("zonecast-version");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AtQuery {
    at: Option<String>,
}

pub(super) async fn list(
    State(state): State<ApiState>,
    Segments(name): Segments<String>,
    ListParams { wanted, at }: ListParams,
) -> Result<Json<KeyPage>, ApiError> {
    Ok(Json(state.service.keys(keyspace(&name)?, wanted, at).await?))
}

pub(super) async fn list_at_edge(
    State(api): State<EdgeApi>,
    Segments(name): Segments<String>,
    ListParams { wanted, at }: ListParams,
) -> Result<Json<KeyPage>, ApiError> {
    Ok(Json(api.edge_at(at)?.keys(keyspace(&name)?, wanted).await?))
}

pub(super) async fn get(
    State(state): State<ApiState>,
    KeyPath { keyspace, key }: KeyPath,
    Params(AtQuery { at }): Params<AtQuery>,
) -> Result<Response, ApiError> {
    Ok(shown(state.service.key(keyspace, key, at).await?))
}

pub(super) async fn get_at_edge(
    State(api): State<EdgeApi>,
    KeyPath { keyspace, key }: KeyPath,
    Params(AtQuery { at }): Params<AtQuery>,
) -> Result<Response, ApiError> {
    Ok(shown(api.edge_at(at)?.key(keyspace, key).await?))
}

fn shown(KeyValue { value, revision, version }: KeyValue) -> Response {
    let kind = (header::CONTENT_TYPE, "application/octet-stream".to_owned());
    // Nobody knows what somebody has put there, so no browser is to guess.
    let guess = (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned());
    ([kind, guess, (REVISION, revision.to_string()), (VERSION, version.to_string())], value).into_response()
}

pub(super) async fn put(
    State(state): State<ApiState>,
    KeyPath { keyspace, key }: KeyPath,
    asked: Asked,
    Params(params): Params<KeyWriteQuery>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Answered<KeyspaceWritten>, ApiError> {
    let patience = params.patience()?;
    let condition = match (params.if_revision, params.if_absent) {
        (Some(_), true) => return Err(ApiError::bad_request("`if_revision` and `if_absent` exclude each other")),
        (Some(revision), false) => Some(Condition::Revision(revision)),
        (None, true) => Some(Condition::Absent),
        (None, false) => None,
    };
    let compare = condition.map(|condition| Comparison { key: key.clone(), condition }).into_iter().collect();
    let body = query::body(body)?;
    let terms = asked.terms(&body);
    let writes = vec![KeyWrite::Put { key, value: body.into() }];
    let written = state.service.write_keys(keyspace, Transaction { compare, writes }, terms, patience).await?;
    Ok(Answered(state.service.wait_for_keys(written, patience).await.into()))
}

pub(super) async fn delete(
    State(state): State<ApiState>,
    KeyPath { keyspace, key }: KeyPath,
    asked: Asked,
    Params(params): Params<KeyWriteQuery>,
) -> Result<Answered<KeyspaceWritten>, ApiError> {
    let patience = params.patience()?;
    if params.if_absent {
        return Err(ApiError::bad_request("`if_absent` is only for putting a key"));
    }
    let condition = params.if_revision.map(Condition::Revision);
    let compare = condition.map(|condition| Comparison { key: key.clone(), condition }).into_iter().collect();
    let writes = vec![KeyWrite::Delete { key }];
    let transaction = Transaction { compare, writes };
    let written = state.service.write_keys(keyspace, transaction, asked.terms(&[]), patience).await?;
    Ok(Answered(state.service.wait_for_keys(written, patience).await.into()))
}

pub(super) async fn transaction(
    State(state): State<ApiState>,
    Segments(name): Segments<String>,
    asked: Asked,
    Params(params): Params<WaitQuery>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Answered<KeyspaceWritten>, ApiError> {
    let (name, patience) = (keyspace(&name)?, params.patience()?);
    let (transaction, terms): (KeyTransaction, _) = query::asked(asked, body)?;
    let written = state.service.key_transaction(name, transaction, terms, patience).await?;
    Ok(Answered(state.service.wait_for_keys(written, patience).await.into()))
}
