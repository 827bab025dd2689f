//! The HTTP side: `/v1`, `/metrics`, `/healthz` and `/readyz` on one listener. docs/api.md describes it for users.

mod asked;
mod backup;
mod chain;
mod cluster;
mod condition;
mod edge;
mod edges;
mod error;
mod forward;
mod gate;
mod health;
mod history;
mod kv;
mod lookup;
mod off_thread;
mod query;
mod receipts;
mod records;
mod revocations;
mod route;
mod router;
mod same_site;
mod settings;
mod status;
mod tokens;
mod verifications;
mod zones;

pub(crate) use edge::{EdgeApi, EdgeApiParts, edge_router};
pub(crate) use error::ApiError;
pub(crate) use forward::{CLIENT, Forwarded};
pub(crate) use gate::Gate;
use off_thread::off_thread;
use route::routed;
pub(crate) use route::{May, Route};
#[cfg(test)]
pub(crate) use router::all_routes;
pub(crate) use router::{ApiState, ZONE_BODIES, router};
