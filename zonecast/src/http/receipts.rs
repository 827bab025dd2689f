//! `/v1/receipts/{version}`: where is my change?

use axum::Json;
use axum::extract::State;
use zonecast_kv_proto::Version;

use super::query::{Params, Segments, WaitQuery};
use super::{ApiError, ApiState};
use zonecast_api::types::Receipt;

pub(super) async fn receipt(
    State(state): State<ApiState>,
    Segments(version): Segments<u64>,
    Params(query): Params<WaitQuery>,
) -> Result<Json<Receipt>, ApiError> {
    Ok(Json(state.service.receipt(Version::new(version), query.patience()?).await?))
}
