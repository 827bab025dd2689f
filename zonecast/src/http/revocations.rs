//! `/v1/revocations`: which certificates every core and edge refuses.

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::{Extension, Json};

use super::asked::NoKey;
use super::query::{self, NoParams};
use super::{ApiError, ApiState};
use zonecast_api::types::Revocations;
use zonecast_service::Who;

pub(super) async fn get(State(state): State<ApiState>, _: NoParams) -> Result<Json<Revocations>, ApiError> {
    Ok(Json(state.service.revocations().await?))
}

pub(super) async fn publish(
    State(state): State<ApiState>,
    (_, _): (NoParams, NoKey),
    Extension(who): Extension<Who>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Revocations>, ApiError> {
    let list = query::text(body)?;
    Ok(Json(state.service.publish_revocations(list, &who).await?))
}
