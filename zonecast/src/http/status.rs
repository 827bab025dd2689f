//! `/v1/status`.

use axum::Json;
use axum::extract::State;

use super::query::NoParams;
use super::{ApiError, ApiState, off_thread};
use zonecast_api::types::Status;

pub(super) async fn status(State(state): State<ApiState>, _: NoParams) -> Result<Json<Status>, ApiError> {
    Ok(Json(off_thread(move || state.service.status()).await??))
}
