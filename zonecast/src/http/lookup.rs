//! `/v1/lookup`: what the store of the core or of an edge holds for a name.

use axum::extract::State;
use axum::{Extension, Json};
use serde::Deserialize;

use super::query::{self, Params};
use super::{ApiError, ApiState};
use crate::auth::Grant;
use zonecast_api::types::Lookup;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LookupQuery {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) rtype: Option<String>,
    pub(super) at: Option<String>,
}

pub(super) async fn lookup(
    State(state): State<ApiState>,
    Extension(grant): Extension<Grant>,
    Params(params): Params<LookupQuery>,
) -> Result<Json<Lookup>, ApiError> {
    let name = query::name(&params.name)?;
    query::in_scope(&grant, &name)?;
    shown(&grant, state.service.lookup(name, params.rtype, params.at).await?)
}

/// The answer, if it is of a zone that the grant covers: a name below a zone of its scope may lie in a zone above.
pub(super) fn shown(grant: &Grant, lookup: Lookup) -> Result<Json<Lookup>, ApiError> {
    if let Some(zone) = &lookup.zone {
        query::in_scope(grant, &query::name(zone)?)?;
    }
    Ok(Json(lookup))
}
