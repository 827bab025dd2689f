//! How many requests are under way at a time, by their kind, so that none of one kind keeps out those of another.
//!
//! ```text
//! GET /healthz, /readyz, /metrics ─▶ watching    a place is there when the API is full
//! ...?wait=...                    ─▶ waiting     hold a place for minutes, and do nothing
//! all others                      ─▶ working
//! ```
//! A request that finds no place is answered 429 at once. All places together are fewer than connections, so that
//! whoever comes gets as far as this.

use std::sync::Arc;

use axum::http::{StatusCode, Uri};
#[cfg(test)]
use axum::response::IntoResponse as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::api::ApiError;

/// Places for each kind of request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    /// Health and metrics: a few who look every few seconds.
    pub(super) watching: usize,
    /// Writes and receipts that wait for edges. Each holds some ten KiB.
    pub(super) waiting: usize,
    /// Everything else. Each may hold an answer of megabytes.
    pub(super) working: usize,
}

impl Default for Places {
    fn default() -> Self {
        Self { watching: 16, waiting: 256, working: 128 }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Admission {
    watching: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    working: Arc<Semaphore>,
}

/// The place of one request, until its answer is sent.
#[derive(Debug)]
pub(super) struct Admitted(#[expect(dead_code, reason = "it is held, not looked at")] OwnedSemaphorePermit);

impl Admission {
    pub(super) fn new(places: Places) -> Self {
        let Places { watching, waiting, working } = places;
        let [watching, waiting, working] = [watching, waiting, working].map(|places| Arc::new(Semaphore::new(places)));
        Self { watching, waiting, working }
    }

    /// A place for a request, or what it is told without one.
    pub(super) fn admit(&self, uri: &Uri) -> Result<Admitted, ApiError> {
        let waits = uri.query().is_some_and(|query| query.split('&').any(|part| part.starts_with("wait=")));
        let (places, full) = match uri.path() {
            "/healthz" | "/readyz" | "/metrics" => (&self.watching, "too many look at health and metrics, retry"),
            _ if waits => (&self.waiting, "too many requests wait for edges, retry, or do not wait"),
            _ => (&self.working, "too many requests are under way, retry"),
        };
        let place = Arc::clone(places).try_acquire_owned();
        place.map(Admitted).map_err(|_| ApiError::new(StatusCode::TOO_MANY_REQUESTS, "overloaded", full))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_kind_of_request_takes_the_places_of_another() {
        let admission = Admission::new(Places { watching: 1, waiting: 1, working: 1 });
        let admit =
            |uri: &'static str| admission.admit(&Uri::from_static(uri)).map_err(|full| full.into_response().status());
        let held =
            ["/healthz", "/v1/receipts/1?timeout=1m&wait=all", "/v1/zones?limit=1"].map(|uri| admit(uri).unwrap());
        for uri in ["/readyz", "/metrics", "/v1/zones/a/changes?wait=edge", "/v1/status", "/v1/x?await=1"] {
            assert_eq!(admit(uri).unwrap_err(), StatusCode::TOO_MANY_REQUESTS, "{uri}");
        }
        drop(held);
        admit("/metrics").unwrap();
        let Places { watching, waiting, working } = Places::default();
        assert!(watching + waiting + working < super::super::serving::HttpLimits::default().connections);
    }
}
