//! `/v1/lookup`: what the store of the core or of an edge holds for a name.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;

use super::query::{self, Params};
use super::types::Lookup;
use super::{ApiError, ApiState};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LookupQuery {
    name: String,
    #[serde(rename = "type")]
    rtype: Option<String>,
    at: Option<String>,
}

pub(super) async fn lookup(
    State(state): State<ApiState>,
    Params(params): Params<LookupQuery>,
) -> Result<Json<Lookup>, ApiError> {
    let name = query::name(&params.name)?;
    let at = params.at.unwrap_or_else(|| "edge".into());
    Ok(Json(state.service.lookup(name, params.rtype, at).await?))
}
