//! `/v1/status`.

use axum::Json;
use axum::extract::State;

use super::query::NoParams;
use super::types::Status;
use super::{ApiError, ApiState, off_thread};

pub(super) async fn status(State(state): State<ApiState>, _: NoParams) -> Result<Json<Status>, ApiError> {
    Ok(Json(off_thread(move || state.service.status()).await??))
}
