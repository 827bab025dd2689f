//! `/v1/cluster`: which cores there are, and how they stand. The status is always of the core that is asked.

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::{Extension, Json};

use super::asked::NoKey;
use super::query::{self, NoParams};
use super::{ApiError, ApiState};
use zonecast_api::types::{AddCore, ClusterInfo, ImportAt, RemoveCores, TransferLead};
use zonecast_service::Who;

pub(super) async fn get(State(state): State<ApiState>, _: NoParams) -> Json<ClusterInfo> {
    Json(state.service.cluster().await)
}

pub(super) async fn add(
    State(state): State<ApiState>,
    (_, _): (NoParams, NoKey),
    Extension(who): Extension<Who>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<ClusterInfo>, ApiError> {
    let AddCore { name } = query::json(body)?;
    Ok(Json(state.service.add_core(name, &who).await?))
}

pub(super) async fn remove(
    State(state): State<ApiState>,
    (_, _): (NoParams, NoKey),
    Extension(who): Extension<Who>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<ClusterInfo>, ApiError> {
    let RemoveCores { names } = query::json(body)?;
    Ok(Json(state.service.remove_cores(names, &who).await?))
}

pub(super) async fn transfer(
    State(state): State<ApiState>,
    (_, _): (NoParams, NoKey),
    Extension(who): Extension<Who>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<ClusterInfo>, ApiError> {
    let TransferLead { to } = query::json(body)?;
    Ok(Json(state.service.transfer_lead(to, &who).await?))
}

pub(super) async fn import_at(
    State(state): State<ApiState>,
    (_, _): (NoParams, NoKey),
    Extension(who): Extension<Who>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<ClusterInfo>, ApiError> {
    let ImportAt { name } = query::json(body)?;
    Ok(Json(state.service.import_at(name, &who).await?))
}
