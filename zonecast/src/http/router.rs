//! Which path is answered by what, and whom.

use std::sync::Arc;

use axum::Router;
use axum::http::Method;

use super::forward::Forward;
use super::route::{May, Route, routed};
use super::{
    Gate, backup, chain, cluster, edges, health, history, kv, lookup, receipts, records, revocations, settings, status,
    tokens, verifications, zones,
};
use crate::auth::TokenRole::{Admin, Read, Write};
use crate::metrics::MetricsRegistry;
use zonecast_service::Service;
use zonecast_service::Shares;

/// Zone files that are read and built at a time, two of one name: with the limit above this bounds the memory they take.
pub(crate) const ZONE_BODIES: usize = 3;

/// What the handlers share.
#[derive(Clone, Debug)]
pub(crate) struct ApiState {
    /// Zones and records.
    pub service: Arc<Service>,
    /// Taken by each request that holds a zone file.
    pub(crate) zone_bodies: Shares,
    /// For `/metrics`.
    pub metrics: Arc<MetricsRegistry>,
}

/// All paths, behind a gate.
pub(crate) fn router(state: ApiState, gate: Gate) -> Router {
    let forward = Forward::new(state.service.core().clone());
    routed(routes(), "no such path; see docs/api.md", gate, Some(forward), state)
}

/// All paths, and who may ask each.
pub(super) fn routes() -> Vec<Route<ApiState>> {
    const RRSET: &str = "/v1/zones/{zone}/records/{name}/{type}";
    let mut routes = vec![
        Route::new(Method::GET, "/v1/status", May::Role(Read), status::status).here(),
        Route::new(Method::GET, "/v1/zones", May::Role(Read), zones::list),
        Route::new(Method::GET, "/v1/zones/{zone}", May::InZone(Read), zones::get),
        Route::new(Method::PUT, "/v1/zones/{zone}", May::InZone(Write), zones::put),
        Route::new(Method::DELETE, "/v1/zones/{zone}", May::InZone(Write), zones::delete),
        Route::new(Method::POST, "/v1/zones/{zone}/undelete", May::InZone(Write), zones::undelete),
        Route::new(Method::GET, "/v1/deleted-zones", May::Role(Read), zones::list_deleted),
        Route::new(Method::GET, "/v1/settings", May::Role(Read), settings::get_store),
        Route::new(Method::PATCH, "/v1/settings", May::Role(Admin), settings::change_store),
        Route::new(Method::GET, "/v1/zones/{zone}/file", May::InZone(Read), zones::export),
        Route::new(Method::GET, "/v1/zones/{zone}/settings", May::InZone(Read), settings::get),
        Route::new(Method::PATCH, "/v1/zones/{zone}/settings", May::InZone(Write), settings::change),
        Route::new(Method::GET, "/v1/zones/{zone}/log", May::InZone(Read), history::log),
        Route::new(Method::GET, "/v1/zones/{zone}/diff", May::InZone(Read), history::diff),
        Route::new(Method::POST, "/v1/zones/{zone}/rollback", May::InZone(Write), history::roll_back),
        Route::new(Method::GET, "/v1/zones/{zone}/records", May::InZone(Read), records::list),
        Route::new(Method::POST, "/v1/zones/{zone}/changes", May::InZone(Write), records::change),
        Route::new(Method::GET, RRSET, May::InZone(Read), records::get),
        Route::new(Method::PUT, RRSET, May::InZone(Write), records::set),
        Route::new(Method::POST, RRSET, May::InZone(Write), records::add),
        Route::new(Method::DELETE, RRSET, May::InZone(Write), records::delete),
        Route::new(Method::GET, "/v1/edges", May::Role(Read), edges::list).here(),
        Route::new(Method::PUT, "/v1/edges/{edge}", May::Role(Admin), edges::expect),
        Route::new(Method::DELETE, "/v1/edges/{edge}", May::Role(Admin), edges::forget),
        Route::new(Method::GET, "/v1/tokens", May::Role(Admin), tokens::list),
        Route::new(Method::POST, "/v1/tokens", May::Role(Admin), tokens::create),
        Route::new(Method::DELETE, "/v1/tokens/{token}", May::Role(Admin), tokens::revoke),
        Route::new(Method::GET, "/v1/revocations", May::Role(Read), revocations::get),
        Route::new(Method::PUT, "/v1/revocations", May::Role(Admin), revocations::publish),
        Route::new(Method::GET, "/v1/verifications", May::Role(Read), verifications::last).by_leader(),
        Route::new(Method::POST, "/v1/verifications", May::Role(Admin), verifications::begin),
        Route::new(Method::GET, "/v1/verifications/{verification}", May::Role(Read), verifications::get).by_leader(),
        Route::new(Method::GET, "/v1/receipts/{version}", May::Role(Read), receipts::receipt).here(),
        Route::new(Method::GET, "/v1/receipts/{version}/watch", May::Role(Read), receipts::watch).here(),
        Route::new(Method::GET, "/v1/chain/{version}", May::Role(Read), chain::chain).here(),
        Route::new(Method::GET, "/v1/lookup", May::Role(Read), lookup::lookup).here(),
        Route::new(Method::POST, "/v1/backup", May::Role(Admin), backup::backup).here(),
        Route::new(Method::GET, "/v1/cluster", May::Role(Read), cluster::get).here(),
        Route::new(Method::POST, "/v1/cluster/add", May::Role(Admin), cluster::add),
        Route::new(Method::POST, "/v1/cluster/remove", May::Role(Admin), cluster::remove),
        Route::new(Method::POST, "/v1/cluster/transfer", May::Role(Admin), cluster::transfer),
        Route::new(Method::POST, "/v1/cluster/import-at", May::Role(Admin), cluster::import_at),
        Route::new(Method::GET, "/metrics", May::AnyToken, health::metrics).here(),
        Route::new(Method::GET, "/healthz", May::Everybody, health::healthz).here(),
        Route::new(Method::GET, "/readyz", May::Everybody, health::readyz).here(),
    ];
    routes.extend(kv::routes());
    routes
}

/// What tests ask for one by one.
#[cfg(test)]
pub(crate) fn all_routes() -> Vec<(Method, &'static str, May)> {
    routes().into_iter().map(Route::describe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::edge::edge_routes;

    #[test]
    fn an_edge_asks_what_a_core_asks() {
        let core = all_routes();
        for route in edge_routes().into_iter().map(Route::describe) {
            assert!(core.contains(&route), "{route:?}");
        }
    }
}
