//! `/v1/kv`: keyspaces of users beside DNS.

mod errors;
mod groups;
mod keys;
mod keyspaces;
mod params;
mod path;
mod routes;
mod watch;

pub(super) use errors::{present_revision, status_of};
pub(super) use routes::{edge_routes, routes};
