//! The HTTP side: `/v1`, `/metrics`, `/healthz` and `/readyz` on one listener. docs/api.md describes it for users.

mod error;
mod health;
mod lookup;
mod query;
mod receipts;
mod records;
mod router;
mod status;
pub mod types;
mod zones;

pub(crate) use error::ApiError;
pub(crate) use router::{ApiState, ZONE_BODIES, router};
