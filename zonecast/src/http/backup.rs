//! `/v1/backup`.

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::{Extension, Json};

use super::asked::NoKey;
use super::query::{self, NoParams};
use super::{ApiError, ApiState};
use zonecast_api::types::{BackupInfo, BackupRequest};
use zonecast_service::Who;

pub(super) async fn backup(
    State(state): State<ApiState>,
    (_, _): (NoParams, NoKey),
    Extension(who): Extension<Who>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<BackupInfo>, ApiError> {
    let request: BackupRequest = query::json(body)?;
    Ok(Json(state.service.backup(request.folder.into(), &who).await?))
}
