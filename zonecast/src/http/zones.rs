//! `/v1/zones`, `/v1/zones/{zone}`, `/v1/zones/{zone}/file`, `/v1/zones/{zone}/undelete`, `/v1/deleted-zones`.

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{Version, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use zonecast_records::Name;

use super::asked::{Answered, Asked};
use super::condition::{tagged, with_tag};
use super::history::MAX_NAMES;
use super::query::{self, NoParams, Params, Segments, WaitQuery, WriteQuery, zone_in_path};
use super::{ApiError, ApiState, off_thread};
use crate::auth::Grant;
use zonecast_api::types::{DeletedZones, SettingsChange, Written, ZonePage};
use zonecast_api::{OutOfZone, Tolerance, WithoutNs};
use zonecast_service::Who;
use zonecast_service::{Condition, Upload};

/// Largest zone file in a request in bytes: some millions of records; it is held in memory while it is built.
const MAX_ZONE_FILE: usize = 256 * 1024 * 1024;

/// Zones on a page when the request does not say.
const PAGE: usize = 1000;

/// Most zones on a page.
const MAX_PAGE: usize = 10_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    after: Option<String>,
    limit: Option<usize>,
}

impl ListQuery {
    fn page(&self) -> Result<(Option<Name>, usize), ApiError> {
        let after = self.after.as_deref().map(query::name).transpose()?;
        Ok((after, self.limit.unwrap_or(PAGE).clamp(1, MAX_PAGE)))
    }
}

pub(super) async fn list(
    State(state): State<ApiState>,
    Extension(grant): Extension<Grant>,
    Params(list): Params<ListQuery>,
) -> Result<Json<ZonePage>, ApiError> {
    let (after, limit) = list.page()?;
    Ok(Json(state.service.zones(grant.scope().clone(), after, limit).await?))
}

pub(super) async fn get(
    State(state): State<ApiState>,
    _: NoParams,
    Segments(zone): Segments<String>,
    Extension(condition): Extension<Condition>,
) -> Result<Response, ApiError> {
    Ok(tagged(&condition, state.service.zone(zone_in_path(&zone)?).await?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PutQuery {
    wait: Option<String>,
    timeout: Option<String>,
    file: Option<String>,
    serial_policy: Option<String>,
    default_ttl: Option<u32>,
    flatten_apex: Option<bool>,
    max_shrink: Option<String>,
    older_serial: Option<String>,
    #[serde(default)]
    allow_shrink: bool,
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    out_of_zone: OutOfZone,
    #[serde(default)]
    without_ns: WithoutNs,
}

pub(super) async fn put(
    State(state): State<ApiState>,
    Segments(zone): Segments<String>,
    asked: Asked,
    Params(params): Params<PutQuery>,
    body: Body,
) -> Result<Answered<Written>, ApiError> {
    let zone = zone_in_path(&zone)?;
    let PutQuery { wait, timeout, file, allow_shrink, dry_run, out_of_zone, without_ns, .. } = params;
    let PutQuery { serial_policy, default_ttl, flatten_apex, max_shrink, older_serial, .. } = params;
    let patience = query::patience(wait.as_deref(), timeout.as_deref())?;
    let file = file.unwrap_or_else(|| "request".into());
    let settings = SettingsChange { serial_policy, default_ttl, flatten_apex, max_shrink, older_serial };
    // Before the body is read: what waits here is in the socket, not in memory.
    let place = state.zone_bodies.take(asked.who()).await;
    let text = to_bytes(body, MAX_ZONE_FILE).await.map_err(|_| query::too_large())?;
    let tolerance = Tolerance { out_of_zone, without_ns };
    let upload = Upload { text, file, settings, tolerance, allow_shrink, place };
    if dry_run {
        let condition = asked.terms_of_preview().condition;
        return Ok(Answered(state.service.preview_zone(zone, upload, condition, MAX_NAMES).await?.into()));
    }
    // A zone file takes a while to hash.
    let text = upload.text.clone();
    let terms = off_thread(move || asked.terms(&text)).await?;
    let written = state.service.put_zone(zone, upload, terms).await?;
    Ok(Answered(state.service.wait(written, patience).await.into()))
}

pub(super) async fn delete(
    State(state): State<ApiState>,
    Segments(zone): Segments<String>,
    asked: Asked,
    Params(query): Params<WriteQuery>,
) -> Result<Answered<Written>, ApiError> {
    let (zone, patience) = (zone_in_path(&zone)?, query.patience()?);
    let written = state.service.delete_zone(zone, query.allow_shrink, asked.terms(&[])).await?;
    Ok(Answered(state.service.wait(written, patience).await.into()))
}

pub(super) async fn undelete(
    State(state): State<ApiState>,
    Segments(zone): Segments<String>,
    asked: Asked,
    Params(query): Params<WaitQuery>,
) -> Result<Answered<Written>, ApiError> {
    let (zone, patience) = (zone_in_path(&zone)?, query.patience()?);
    let written = state.service.undelete_zone(zone, asked.terms(&[])).await?;
    Ok(Answered(state.service.wait(written, patience).await.into()))
}

pub(super) async fn list_deleted(
    State(state): State<ApiState>,
    Extension(grant): Extension<Grant>,
    Params(list): Params<ListQuery>,
) -> Result<Json<DeletedZones>, ApiError> {
    let (after, limit) = list.page()?;
    Ok(Json(state.service.deleted_zones(grant.scope().clone(), after, limit).await?))
}

pub(super) async fn export(
    State(state): State<ApiState>,
    _: NoParams,
    Segments(zone): Segments<String>,
    (version, Extension(who), Extension(condition)): (Version, Extension<Who>, Extension<Condition>),
) -> Result<Response, ApiError> {
    if version < Version::HTTP_11 {
        return Err(ApiError::bad_request("a zone file takes HTTP/1.1: in 1.0 one that broke off would look whole"));
    }
    let export = state.service.export(zone_in_path(&zone)?, &who).await?;
    Ok(with_tag(&condition, export, |export| {
        ([(header::CONTENT_TYPE, "text/dns")], Body::from_stream(export.start())).into_response()
    }))
}
