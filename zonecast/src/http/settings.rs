//! `/v1/zones/{zone}/settings` and `/v1/settings`.

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::response::Response;
use axum::{Extension, Json};

use super::asked::{Answered, Asked};
use super::condition::tagged;
use super::query::{self, NoParams, Segments, zone_in_path};
use super::{ApiError, ApiState};
use zonecast_api::types::{SettingsChange, StoreSettings, StoreSettingsChange, ZoneSettingsInfo};
use zonecast_service::Condition;

pub(super) async fn get(
    State(state): State<ApiState>,
    _: NoParams,
    Segments(zone): Segments<String>,
    Extension(condition): Extension<Condition>,
) -> Result<Response, ApiError> {
    Ok(tagged(&condition, state.service.settings(zone_in_path(&zone)?).await?))
}

pub(super) async fn change(
    State(state): State<ApiState>,
    _: NoParams,
    Segments(zone): Segments<String>,
    asked: Asked,
    body: Result<Bytes, BytesRejection>,
) -> Result<Answered<ZoneSettingsInfo>, ApiError> {
    let zone = zone_in_path(&zone)?;
    let (change, terms): (SettingsChange, _) = query::asked(asked, body)?;
    Ok(Answered(state.service.change_settings(zone, change, terms).await?))
}

pub(super) async fn get_store(State(state): State<ApiState>, _: NoParams) -> Result<Json<StoreSettings>, ApiError> {
    Ok(Json(state.service.store_settings().await?))
}

pub(super) async fn change_store(
    State(state): State<ApiState>,
    _: NoParams,
    asked: Asked,
    body: Result<Bytes, BytesRejection>,
) -> Result<Answered<StoreSettings>, ApiError> {
    let (change, terms): (StoreSettingsChange, _) = query::asked(asked, body)?;
    Ok(Answered(state.service.change_store_settings(change, terms).await?))
}
