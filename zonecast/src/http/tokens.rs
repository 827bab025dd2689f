//! `/v1/tokens`: who may ask the API for what.

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::{Extension, Json};

use super::asked::NoKey;
use super::query::{self, NoParams, Segments};
use super::{ApiError, ApiState};
use zonecast_api::types::{NewToken, TokenInfo, TokenList};
use zonecast_service::Who;

pub(super) async fn list(State(state): State<ApiState>, _: NoParams) -> Result<Json<TokenList>, ApiError> {
    Ok(Json(state.service.tokens().await?))
}

pub(super) async fn create(
    State(state): State<ApiState>,
    (_, _): (NoParams, NoKey),
    Extension(who): Extension<Who>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<TokenInfo>, ApiError> {
    let asked: NewToken = query::json(body)?;
    Ok(Json(state.service.create_token(asked, &who).await?))
}

pub(super) async fn revoke(
    State(state): State<ApiState>,
    (_, _): (NoParams, NoKey),
    Segments(name): Segments<String>,
    Extension(who): Extension<Who>,
) -> Result<Json<TokenInfo>, ApiError> {
    Ok(Json(state.service.revoke_token(name, &who).await?))
}
