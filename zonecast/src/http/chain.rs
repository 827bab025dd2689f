//! `/v1/chain/{version}`: what an edge at that version must have.

use axum::Json;
use axum::extract::State;
use zonecast_kv_proto::Version;

use super::query::{NoParams, Segments};
use super::{ApiError, ApiState, off_thread};
use zonecast_api::types::ChainInfo;

pub(super) async fn chain(
    State(state): State<ApiState>,
    _: NoParams,
    Segments(version): Segments<u64>,
) -> Result<Json<ChainInfo>, ApiError> {
    Ok(Json(off_thread(move || state.service.chain_at(Version::new(version))).await??))
}
