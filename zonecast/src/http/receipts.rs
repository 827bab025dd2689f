//! `/v1/receipts/{version}`: where is my change? And `/v1/receipts/{version}/watch`: the same in lines of JSON, while it is
//! on its way.

use std::convert::Infallible;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::unfold;
use zonecast_kv_proto::Version;

use super::query::{Params, Segments, WaitQuery};
use super::{ApiError, ApiState};
use zonecast_api::types::Receipt;
use zonecast_service::ReceiptWatch;

pub(super) async fn receipt(
    State(state): State<ApiState>,
    Segments(version): Segments<u64>,
    Params(query): Params<WaitQuery>,
) -> Result<Json<Receipt>, ApiError> {
    Ok(Json(state.service.receipt(Version::new(version), query.patience()?).await?))
}

pub(super) async fn watch(
    State(state): State<ApiState>,
    Segments(version): Segments<u64>,
    Params(query): Params<WaitQuery>,
) -> Result<Response, ApiError> {
    let watch = state.service.watch_receipt(Version::new(version), query.patience()?).await?;
    let lines = unfold(watch, async |mut watch: ReceiptWatch| {
        let line = watch.next_line().await?;
        Some((Ok::<_, Infallible>(line), watch))
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}
