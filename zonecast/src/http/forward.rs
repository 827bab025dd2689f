//! Requests that only the leader can answer go on to it, over the port that cores share.
//!
//! ```text
//! client ─ HTTP ─▶ core-2 ─ a stream, HTTP/1.1 ─▶ core-1, which leads ─▶ its gate, its router
//! ```
//! The core that was asked has checked the token already, and the leader checks it again. A request is handed on once: a
//! core that does not lead when it comes says so.

use std::net::IpAddr;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Request, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use zonecast_kv_core::{Core, Member};
use zonecast_service::REQUESTS;

use super::ApiError;

/// Who asked the core that hands a request on. Only read where a core has brought it.
pub(crate) const CLIENT: HeaderName = HeaderName::from_static("zonecast-client");

/// How long a request waits for a core to lead: an election takes less.
const LEAD_WITHIN: Duration = Duration::from_secs(3);
/// How long a read waits for a majority to say that it is not out of date.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(3);

/// How long a leader that has handed the lead over has for its answer: it is there, and knows what it has done.
const LAST_WORD_WITHIN: Duration = Duration::from_secs(2);
/// A leader that was silent for so long before it was succeeded has died, or is cut off: others elect only after a longer
/// silence, and heartbeats come ten times a second.
const SILENT_AFTER: Duration = Duration::from_millis(500);

/// What a client says in the query whom an answer that is out of date serves as well.
const STALE: &str = "stale=true";

/// Headers that belong to one connection, RFC 9110 section 7.6.1, and what is answered before the body is read.
const OF_A_CONNECTION: [HeaderName; 5] =
    [header::CONNECTION, header::TE, header::TRANSFER_ENCODING, header::UPGRADE, header::EXPECT];

/// Where a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    /// By whoever is asked, from what it has.
    Here,
    /// By whoever is asked, once it has everything that was committed before.
    UpToDate,
    /// By the leader.
    ByLeader,
}

/// Stands among the extensions of a request that another core has handed on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forwarded;

/// Hands requests on, and waits until reads are up to date.
#[derive(Clone, Debug)]
pub(crate) struct Forward {
    core: Core,
}

impl Forward {
    pub(crate) fn new(core: Core) -> Self {
        Self { core }
    }

    /// Waits until what is read is not out of date, unless the client says that it may be.
    pub(super) async fn confirm(&self, request: &mut Request<Body>) -> Result<(), ApiError> {
        if take_stale(request.uri_mut()) {
            return Ok(());
        }
        self.core.catch_up(CONFIRMED_WITHIN).await.map_err(|error| {
            let message =
                format!("{error}; `stale=true` in the query reads what this core has, which may be out of date");
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "no_majority", message)
        })
    }

    /// The leader, if it is another core. Waits while there is none.
    pub(super) async fn leader(&self, was_forwarded: bool) -> Result<Option<Member>, ApiError> {
        let finding = async {
            loop {
                // A core that has stopped says why itself.
                if self.core.leads() || self.core.has_stopped() {
                    return None;
                }
                if let Some(leader) = self.core.other_leader().filter(|_| !was_forwarded) {
                    return Some(leader);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(LEAD_WITHIN, finding).await.map_err(|_| {
            let message = "no core leads at the moment, so nothing can be committed; nothing has changed";
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "no_leader", message)
        })
    }

    /// Waits until this core does not lead any more, as far as is known here. Says for how long it was silent before.
    async fn is_succeeded(&self, leader: &Member) -> Option<Duration> {
        let mut silent = None;
        while self.core.other_leader().as_ref() == Some(leader) {
            silent = self.core.silent_for(leader).or(silent);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        silent
    }

    /// The same, and then for its last word, if it can have one.
    async fn is_silent(&self, leader: &Member) {
        if self.is_succeeded(leader).await.is_some_and(|silent| silent < SILENT_AFTER) {
            tokio::time::sleep(LAST_WORD_WITHIN).await;
        }
    }

    /// Lets another core answer.
    pub(super) async fn hand_on(
        &self,
        leader: &Member,
        client: Option<IpAddr>,
        mut request: Request<Body>,
    ) -> Response {
        let headers = request.headers_mut();
        OF_A_CONNECTION.iter().for_each(|name| drop(headers.remove(name)));
        headers.remove(&CLIENT);
        if let Some(Ok(client)) = client.map(|client| HeaderValue::from_str(&client.to_string())) {
            headers.insert(CLIENT, client);
        }
        let opened = tokio::select! {
            opened = self.core.open(leader, REQUESTS) => opened.map_err(|error| error.to_string()),
            _ = self.is_succeeded(leader) => Err("it does not lead any more".to_owned()),
        };
        let stream = match opened {
            Ok(stream) => stream,
            Err(error) => {
                let message = format!("{leader} leads and cannot be reached: {error}; nothing has changed");
                return ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "no_leader", message).into_response();
            }
        };
        let answered = async {
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream.into_io())).await?;
            drop(tokio::spawn(connection));
            sender.send_request(request).await
        };
        let answered = tokio::select! {
            answered = answered => answered.map_err(|error| error.to_string()),
            // A core that has died says nothing, and its connection lasts for seconds more.
            () = self.is_silent(leader) => Err("another core leads now, or none does".to_owned()),
        };
        match answered {
            Ok(response) => response.map(Body::new),
            Err(error) => {
                let message = format!(
                    "it is not known whether {leader}, which leads, has done it: {error}; read before you repeat the request"
                );
                ApiError::new(StatusCode::SERVICE_UNAVAILABLE, zonecast_api::types::UNKNOWN, message).into_response()
            }
        }
    }
}

/// Whether the query says that the answer may be out of date. Takes that out of it: handlers refuse what they do not know.
fn take_stale(uri: &mut Uri) -> bool {
    let Some(query) = uri.query() else { return false };
    let others: Vec<&str> = query.split('&').filter(|pair| *pair != STALE).collect();
    let without =
        if others.is_empty() { uri.path().to_owned() } else { format!("{}?{}", uri.path(), others.join("&")) };
    let is_stale = query.split('&').any(|pair| pair == STALE);
    if is_stale && let Ok(without) = without.parse() {
        *uri = without;
    }
    is_stale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stale_is_taken_out_of_the_query() {
        for (before, after, is_stale) in [
            ("/v1/zones", "/v1/zones", false),
            ("/v1/zones?stale=true", "/v1/zones", true),
            ("/v1/zones?limit=3&stale=true&after=b", "/v1/zones?limit=3&after=b", true),
            ("/v1/zones?stale=false", "/v1/zones?stale=false", false),
        ] {
            let mut uri: Uri = before.parse().unwrap();
            assert_eq!((take_stale(&mut uri), uri.to_string()), (is_stale, after.to_owned()));
        }
    }
}
