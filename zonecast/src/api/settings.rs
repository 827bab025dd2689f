//! `/v1/zones/{zone}/settings`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;

use super::query::{self, Segments, zone_in_path};
use super::types::{SettingsChange, ZoneSettingsInfo};
use super::{ApiError, ApiState};

pub(super) async fn get(
    State(state): State<ApiState>,
    Segments(zone): Segments<String>,
) -> Result<Json<ZoneSettingsInfo>, ApiError> {
    Ok(Json(state.service.settings(zone_in_path(&zone)?).await?))
}

pub(super) async fn change(
    State(state): State<ApiState>,
    Segments(zone): Segments<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<ZoneSettingsInfo>, ApiError> {
    let (zone, change): (_, SettingsChange) = (zone_in_path(&zone)?, query::json(body)?);
    Ok(Json(state.service.change_settings(zone, change).await?))
}
