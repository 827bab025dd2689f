//! `/v1/verifications`: whether all nodes hold the same.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};

use super::asked::NoKey;
use super::query::{NoParams, Segments};
use super::{ApiError, ApiState};
use zonecast_api::types::VerificationInfo;
use zonecast_service::Who;

pub(super) async fn begin(
    State(state): State<ApiState>,
    (_, _): (NoParams, NoKey),
    Extension(who): Extension<Who>,
) -> Result<Json<VerificationInfo>, ApiError> {
    Ok(Json(state.service.begin_verification(&who).await?))
}

pub(super) async fn last(State(state): State<ApiState>, _: NoParams) -> Result<Json<VerificationInfo>, ApiError> {
    Ok(Json(state.service.verification().await?))
}

pub(super) async fn get(
    State(state): State<ApiState>,
    Segments(number): Segments<u64>,
    _: NoParams,
) -> Result<Json<VerificationInfo>, ApiError> {
    let last = state.service.verification().await?;
    if last.number != number || number == 0 {
        let message = format!("there is no verification {number}, or it is not the last one, which is {}", last.number);
        return Err(ApiError::new(StatusCode::NOT_FOUND, "no_verification", message));
    }
    Ok(Json(last))
}
