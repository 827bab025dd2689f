//! How many requests are under way at a time, by their kind, so that none of one kind keeps out those of another.
//!
//! ```text
//! GET /healthz, /readyz, /metrics ─▶ watching    a place is there when the API is full
//! ...?wait=..., /v1/.../watch     ─▶ waiting     hold a place for minutes, and do little
//! all others                      ─▶ working
//! ```
//! A request that finds no place is answered 429 at once. [No name](crate::shares) takes all of a kind. All places
//! together are fewer than connections, so that whoever comes gets as far as this.

use axum::http::{StatusCode, Uri};
#[cfg(test)]
use axum::response::IntoResponse as _;

use crate::http::ApiError;
use zonecast_service::Who;
use zonecast_service::{Place, Shares};

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
        Self { watching: 16, waiting: 256, working: 512 }
    }
}

/// A number of places for each kind of request; a request without a free place of its kind gets 429 at once.
#[derive(Debug)]
pub(super) struct Admission {
    watching: Shares,
    waiting: Shares,
    working: Shares,
}

impl Admission {
    pub(super) fn new(places: Places) -> Self {
        let Places { watching, waiting, working } = places;
        let [watching, waiting, working] = [watching, waiting, working].map(Shares::new);
        Self { watching, waiting, working }
    }

    /// A place for a request until its answer is sent, or what it is told without one.
    pub(super) fn admit(&self, uri: &Uri, who: &Who) -> Result<Place, ApiError> {
        let waits = uri.query().is_some_and(|query| query.split('&').any(|part| part.starts_with("wait=")))
            || is_watch(uri.path());
        let (places, full) = match uri.path() {
            "/healthz" | "/readyz" | "/metrics" => {
                (&self.watching, "too many requests for health and metrics are under way: retry")
            }
            _ if waits => (
                &self.waiting,
                "too many requests, of all clients or of this one, wait for edges: retry, or leave out `wait`",
            ),
            _ => (&self.working, "too many requests, of all clients or of this one, are under way: retry"),
        };
        places.try_take(who).ok_or_else(|| ApiError::new(StatusCode::TOO_MANY_REQUESTS, "overloaded", full))
    }
}

/// Whether a path is the watch of a keyspace or of a receipt.
fn is_watch(path: &str) -> bool {
    let of = path.strip_prefix("/v1/kv/").or_else(|| path.strip_prefix("/v1/receipts/"));
    of.and_then(|of| of.split_once('/')).is_some_and(|(_, what)| what == "watch")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit_at(admission: &Admission, address: &str, uri: &'static str) -> Result<Place, ApiError> {
        admission.admit(&Uri::from_static(uri), &Who::at(address.parse().unwrap()))
    }

    #[test]
    fn no_kind_of_request_takes_the_places_of_another() {
        let admission = Admission::new(Places { watching: 1, waiting: 1, working: 1 });
        let admit =
            |uri: &'static str| admit_at(&admission, "192.0.2.1", uri).map_err(|full| full.into_response().status());
        let held =
            ["/healthz", "/v1/receipts/1?timeout=1m&wait=all", "/v1/zones?limit=1"].map(|uri| admit(uri).unwrap());
        for uri in [
            "/readyz",
            "/metrics",
            "/v1/zones/a/changes?wait=edge",
            "/v1/kv/a/watch?from=1",
            "/v1/receipts/1/watch",
            "/v1/status",
            "/v1/x?await=1",
            "/v1/kv/a/keys/watch",
        ] {
            assert_eq!(admit(uri).unwrap_err(), StatusCode::TOO_MANY_REQUESTS, "{uri}");
        }
        drop(held);
        admit("/metrics").unwrap();
    }

    #[test]
    fn no_name_takes_all_places_of_a_kind() {
        let Places { watching, waiting, working } = Places::default();
        let admission = Admission::new(Places::default());
        for (places, uri) in [(watching, "/metrics"), (waiting, "/v1/receipts/1?wait=all"), (working, "/v1/status")] {
            let held: Vec<_> = std::iter::from_fn(|| admit_at(&admission, "192.0.2.1", uri).ok()).collect();
            assert_eq!(held.len(), places / 2, "{uri}");
            assert!(admit_at(&admission, "192.0.2.2", uri).is_ok(), "{uri}");
        }
        assert!(watching + waiting + working < super::super::serving::HttpLimits::default().connections);
    }
}
