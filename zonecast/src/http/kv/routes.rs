//! The paths of keyspaces, and who may ask each. Tokens for some zones only may ask none: a keyspace is in no zone.

use axum::http::Method;

use super::{groups, keys, keyspaces, watch};
use crate::auth::TokenRole::{Admin, Read, Write};
use crate::http::{ApiState, EdgeApi, May, Route};

const ALL: &str = "/v1/kv";
const ONE: &str = "/v1/kv/{keyspace}";
const KEYS: &str = "/v1/kv/{keyspace}/keys";
const KEY: &str = "/v1/kv/{keyspace}/keys/{*key}";
const GROUP: &str = "/v1/kv/{keyspace}/groups/{group}";

/// Of a core.
pub(in crate::http) fn routes() -> Vec<Route<ApiState>> {
    vec![
        Route::new(Method::GET, ALL, May::Unscoped(Read), keyspaces::list),
        Route::new(Method::GET, ONE, May::Unscoped(Read), keyspaces::get),
        Route::new(Method::PUT, ONE, May::Unscoped(Admin), keyspaces::put),
        Route::new(Method::DELETE, ONE, May::Unscoped(Admin), keyspaces::delete),
        Route::new(Method::GET, KEYS, May::Unscoped(Read), keys::list),
        Route::new(Method::GET, KEY, May::Unscoped(Read), keys::get),
        Route::new(Method::PUT, KEY, May::Unscoped(Write), keys::put),
        Route::new(Method::DELETE, KEY, May::Unscoped(Write), keys::delete),
        Route::new(Method::POST, "/v1/kv/{keyspace}/txn", May::Unscoped(Write), keys::transaction),
        Route::new(Method::GET, "/v1/kv/{keyspace}/watch", May::Unscoped(Read), watch::watch),
        Route::new(Method::PUT, GROUP, May::Unscoped(Write), groups::publish),
        Route::new(Method::GET, "/v1/kv/{keyspace}/groups/{group}/log", May::Unscoped(Read), groups::log),
        Route::new(Method::POST, "/v1/kv/{keyspace}/groups/{group}/rollback", May::Unscoped(Write), groups::roll_back),
    ]
}

/// Of an edge in a process of its own: reads of its copy.
pub(in crate::http) fn edge_routes() -> Vec<Route<EdgeApi>> {
    vec![
        Route::new(Method::GET, KEYS, May::Unscoped(Read), keys::list_at_edge),
        Route::new(Method::GET, KEY, May::Unscoped(Read), keys::get_at_edge),
    ]
}
