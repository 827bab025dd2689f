//! `/v1/kv/{keyspace}/groups/{group}`, its log and its rollback.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use serde::Deserialize;
use zonecast_keyspaces::{GroupName, KeyspaceName, Target};

use super::path::keyspace;
use crate::http::asked::{Answered, Asked};
use crate::http::query::{self, Params, Segments, WaitQuery, WriteQuery};
use crate::http::{ApiError, ApiState};
use zonecast_api::types::{GroupContent, GroupLog, KeyspaceWritten, RollbackRequest};

/// Changes in a log when the request does not say.
const LOG: usize = 100;

/// Segments of a path that names a group.
#[derive(Debug, Deserialize)]
pub(super) struct GroupPath {
    keyspace: String,
    group: String,
}

impl GroupPath {
    fn names(&self) -> Result<(KeyspaceName, GroupName), ApiError> {
        Ok((keyspace(&self.keyspace)?, self.group.parse().map_err(ApiError::bad_request)?))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogQuery {
    limit: Option<usize>,
}

pub(super) async fn publish(
    State(state): State<ApiState>,
    Segments(path): Segments<GroupPath>,
    asked: Asked,
    Params(params): Params<WriteQuery>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Answered<KeyspaceWritten>, ApiError> {
    let ((keyspace, group), patience) = (path.names()?, params.patience()?);
    let (content, terms): (GroupContent, _) = query::asked(asked, body)?;
    let published = state.service.publish_group(keyspace, group, content, params.allow_shrink, terms, patience);
    Ok(Answered(state.service.wait_for_keys(published.await?, patience).await.into()))
}

pub(super) async fn log(
    State(state): State<ApiState>,
    Segments(path): Segments<GroupPath>,
    Params(params): Params<LogQuery>,
) -> Result<Json<GroupLog>, ApiError> {
    let (keyspace, group) = path.names()?;
    Ok(Json(state.service.group_log(keyspace, group, params.limit.unwrap_or(LOG)).await?))
}

pub(super) async fn roll_back(
    State(state): State<ApiState>,
    Segments(path): Segments<GroupPath>,
    asked: Asked,
    Params(params): Params<WaitQuery>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Answered<KeyspaceWritten>, ApiError> {
    let ((keyspace, group), patience) = (path.names()?, params.patience()?);
    let (request, terms) = query::asked(asked, body)?;
    let target = match request {
        RollbackRequest { to: Some(revision), undo: None } => Target::After(revision),
        RollbackRequest { to: None, undo: Some(revision) } => Target::Undo(revision),
        _ => return Err(ApiError::bad_request("a rollback has either `to` or `undo`")),
    };
    let written = state.service.roll_back_group(keyspace, group, target, terms, patience).await?;
    Ok(Answered(state.service.wait_for_keys(written, patience).await.into()))
}
