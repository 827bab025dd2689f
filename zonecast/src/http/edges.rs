//! `/v1/edges`: which edges are waited for.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use zonecast_kv_proto::is_node_name;
use zonecast_kv_transport::{Peer, Role};

use super::asked::{Answered, Asked};
use super::query::{NoParams, Params, Segments};
use super::{ApiError, ApiState};
use zonecast_api::types::{EdgeInfo, EdgeList};

/// `role` of a node that is no edge.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RoleQuery {
    role: Option<String>,
}

pub(super) async fn list(State(state): State<ApiState>, _: NoParams) -> Json<EdgeList> {
    Json(state.service.edges())
}

pub(super) async fn expect(
    State(state): State<ApiState>,
    Segments(name): Segments<String>,
    Params(query): Params<RoleQuery>,
    asked: Asked,
) -> Result<Answered<EdgeInfo>, ApiError> {
    Ok(Answered(state.service.expect_edge(peer(&name, &query)?, asked.terms(&[])).await?))
}

pub(super) async fn forget(
    State(state): State<ApiState>,
    Segments(name): Segments<String>,
    Params(query): Params<RoleQuery>,
    asked: Asked,
) -> Result<Answered<EdgeInfo>, ApiError> {
    Ok(Answered(state.service.forget_edge(peer(&name, &query)?, asked.terms(&[])).await?))
}

fn peer(name: &str, query: &RoleQuery) -> Result<Peer, ApiError> {
    let role: Role = query.role.as_deref().map_or(Ok(Role::Edge), str::parse).map_err(ApiError::bad_request)?;
    // A core follows nobody yet.
    if !matches!(role, Role::Edge | Role::Relay) {
        return Err(ApiError::bad_request(format_args!("a node of role {role} holds nothing to wait for")));
    }
    if !is_node_name(name) {
        return Err(ApiError::bad_request(format_args!("{name:?} is not a node name: 1 to 63 of a-z, 0-9 and -")));
    }
    Ok(Peer { role, name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_can_be_waited_for_is_named() {
        let named = |name: &str, role: &str| peer(name, &RoleQuery { role: Some(role.into()) }).is_ok();
        assert!(named("edge-1", "edge") && named("relay-1", "relay"));
        assert!(!named("core-1", "core") && !named("tool", "client") && !named("Edge 1", "edge") && !named("x", "y"));
    }
}
