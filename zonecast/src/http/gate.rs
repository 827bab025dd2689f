//! Who may pass: looks at the token of every request before its handler runs.
//!
//! ```text
//! request ─▶ token? ─▶ good? ─▶ role of the path? ─▶ zone of the path in scope? ─▶ handler, with the grant
//!              401      401           403                     403                     (403, counted too)
//! ```
//! Whose a request is, the listener asks first ([`Gate::introduce`]): it gives a place to each by name.
//!
//! What a path needs stands beside it in the table of [routes](super::Route). A path that is in no table needs a good
//! token too, so that nobody without one learns which paths there are.
//!
//! # Invariants
//! Every handler of a path that is not for everybody finds a [`Grant`] among the extensions of its request, and shows
//! only what its scope covers; whose it is ([`Who`]); and a [`Condition`](zonecast_service::Condition), on which it does what
//! it does.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::RequestExt as _;
use axum::body::Body;
use axum::extract::{MatchedPath, RawPathParams, State};
use axum::http::{HeaderMap, Method, Request, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use hyper::body::Incoming;
use prometheus::Registry;
use zonecast_kv_proto::LineLimit;

use super::condition::{Understands, condition};
use super::error::NotDone;
use super::forward::{Answered, Forward, Forwarded};
use super::{ApiError, May, query, same_site};
use crate::auth::{AccessRefusal, BadToken, Grant, Moment, Refusals, Tokens};
use zonecast_service::Fault;
use zonecast_service::Who;
use zonecast_service::exit::Outcome;

/// Why a core cannot commit comes on another way than the error, a moment before or after it.
const REASON_WITHIN: Duration = Duration::from_secs(1);

/// In front of all paths of a listener. Cloning shares it.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    tokens: Option<Arc<Tokens>>,
    refusals: Arc<Refusals>,
    failures: Arc<LineLimit<Instant>>,
    fault: Fault,
}

/// What the token of a request allows, or why it allows nothing. Stands among the extensions of every request.
#[derive(Clone, Debug)]
struct Shown(Result<Grant, ApiError>);

/// Where a request comes from. Stands among the extensions of every request.
#[derive(Clone, Copy, Debug)]
struct Asker(IpAddr);

/// What a method of a path needs, as the router knows the path.
#[derive(Clone, Debug)]
pub(super) struct Need {
    pub(super) path: &'static str,
    pub(super) method: Method,
    pub(super) may: May,
    pub(super) answered: Answered,
}

/// All of them.
pub(super) type Needs = Arc<[Need]>;

/// What stands before all paths of a listener.
#[derive(Clone, Debug)]
pub(super) struct Guarded {
    pub(super) gate: Gate,
    pub(super) needs: Needs,
    /// How a core reaches the others. An edge answers everything itself.
    pub(super) forward: Option<Forward>,
}

impl Gate {
    /// That asks for these tokens; without, nobody is asked anything. What ends writing for good stands in `fault`.
    ///
    /// # Errors
    /// The metrics are registered already.
    pub(crate) fn new(tokens: Option<Tokens>, registry: &Registry, fault: Fault) -> Outcome<Self> {
        Ok(Self {
            tokens: tokens.map(Arc::new),
            refusals: Arc::new(Refusals::register(registry)?),
            failures: Arc::default(),
            fault,
        })
    }

    /// What is broken for good.
    pub(crate) fn fault(&self) -> &Fault {
        &self.fault
    }

    /// Reads the file of tokens again, if there is one.
    ///
    /// # Errors
    /// The file cannot be used; those before stay.
    pub(crate) fn reload(&self) -> Option<Result<(), String>> {
        self.tokens.as_ref().and_then(|tokens| tokens.reload())
    }

    /// Tells of what is broken for all requests, once a minute, and says to this one what is known of it.
    async fn explain(&self, response: Response) -> Response {
        match response.extensions().get() {
            None => response,
            Some(NotDone::Internal(error)) => {
                if let Some(requests) = self.failures.count(Instant::now()) {
                    tracing::error!(requests, error, "requests failed, the last one for this reason");
                }
                response
            }
            Some(not_done @ (NotDone::Unavailable | NotDone::Unknown)) => {
                let explained = if matches!(not_done, NotDone::Unknown) { ApiError::stopped } else { ApiError::faulty };
                match tokio::time::timeout(REASON_WITHIN, self.fault.wait()).await {
                    Ok(fault) => explained(&fault).into_response(),
                    Err(_) => response,
                }
            }
        }
    }

    /// Looks at the token of a request from this address, for [`guard`] and for whoever wants to know whose it is.
    pub(crate) fn introduce(&self, request: &mut Request<Incoming>, address: IpAddr) -> Who {
        let grant = self.grant(request.headers());
        let who = match &grant {
            Ok(grant) if !grant.name().is_empty() => Who::Token(grant.name().into()),
            Ok(_) | Err(_) => Who::at(address),
        };
        request.extensions_mut().insert(Shown(grant));
        request.extensions_mut().insert(Asker(address));
        request.extensions_mut().insert(who.clone());
        who
    }

    /// What the token of a request allows.
    fn grant(&self, headers: &HeaderMap) -> Result<Grant, ApiError> {
        let Some(tokens) = &self.tokens else { return Ok(Grant::everything()) };
        let token = bearer(headers).ok_or_else(|| {
            ApiError::denied(AccessRefusal::NoToken, "this needs a token: `Authorization: Bearer TOKEN`")
        })?;
        tokens.grant(token, Moment::now()).map_err(|bad| {
            let message = match bad {
                BadToken::Unknown => "the token is not valid",
                BadToken::Expired => "the token has expired",
            };
            ApiError::denied(AccessRefusal::BadToken, message)
        })
    }
}

/// Runs before every handler; see the module.
pub(super) async fn guard(
    State(Guarded { gate, needs, forward }): State<Guarded>,
    mut request: Request<Body>,
    next: Next,
) -> Response {
    let path = request.extensions().get::<MatchedPath>().cloned();
    let need = path.as_ref().and_then(|path| need(&needs, path.as_str(), request.method()));
    let may = need.map(|need| need.may);
    let understands = Understands::of(request.method(), path.as_ref().map_or("", MatchedPath::as_str));
    if may == Some(May::Everybody) {
        return match condition(request.headers(), understands) {
            Ok(_) => next.run(request).await,
            Err(error) => error.into_response(),
        };
    }
    let passed = allowed(&gate, may, &mut request).await;
    let passed = passed.and_then(|grant| Ok((grant, condition(request.headers(), understands)?)));
    let response = match passed {
        Ok((grant, condition)) => {
            request.extensions_mut().insert(grant);
            request.extensions_mut().insert(condition);
            let answered = need.map_or(Answered::Here, |need| need.answered);
            gate.explain(answer(forward, answered, request, next).await).await
        }
        Err(error) => error.into_response(),
    };
    if let Some(refusal) = response.extensions().get() {
        gate.refusals.note(*refusal, path.as_ref().map_or("none", MatchedPath::as_str), Instant::now());
    }
    response
}

/// Answers here, or lets the leader answer.
async fn answer(forward: Option<Forward>, answered: Answered, mut request: Request<Body>, next: Next) -> Response {
    let Some(forward) = forward.filter(|_| answered != Answered::Here) else { return next.run(request).await };
    if answered == Answered::UpToDate {
        let is_confirmed = forward.confirm(&mut request).await;
        return match is_confirmed {
            Ok(()) => next.run(request).await,
            Err(error) => error.into_response(),
        };
    }
    match forward.leader(request.extensions().get::<Forwarded>().is_some()).await {
        Ok(None) => next.run(request).await,
        Ok(Some(leader)) => {
            let client = request.extensions().get::<Asker>().map(|asker| asker.0);
            of_another_core(forward.hand_on(&leader, client, request).await)
        }
        Err(error) => error.into_response(),
    }
}

/// An answer whose reason, if it is not done, is not known here: nobody waits for it.
fn of_another_core(mut response: Response) -> Response {
    response.extensions_mut().remove::<NotDone>();
    response
}

/// What a request may do, if that is enough for its path and for the zone in it.
async fn allowed(gate: &Gate, may: Option<May>, request: &mut Request<Body>) -> Result<Grant, ApiError> {
    if gate.tokens.is_none() {
        same_site::check(request.uri(), request.headers())?;
    }
    let shown = request.extensions_mut().remove();
    let Shown(grant) = shown.ok_or_else(|| ApiError::internal("a request that nobody has introduced"))?;
    let grant = grant?;
    let (needs, in_zone) = match may {
        None | Some(May::Everybody | May::AnyToken) => return Ok(grant),
        Some(May::Role(role)) => (role, false),
        Some(May::InZone(role)) => (role, true),
        Some(May::Unscoped(role)) => {
            query::unscoped(&grant)?;
            (role, false)
        }
    };
    if !grant.may(needs) {
        let message = format_args!("this needs a token of role {needs}; this one's is {}", grant.role());
        return Err(ApiError::denied(AccessRefusal::Forbidden, message));
    }
    if in_zone {
        let params: RawPathParams = request.extract_parts().await.map_err(ApiError::bad_request)?;
        let zone = params.iter().find_map(|(name, zone)| (name == "zone").then_some(zone));
        query::in_scope(&grant, &query::zone_in_path(zone.unwrap_or_default())?)?;
    }
    Ok(grant)
}

/// What a path needs; none that is not in the table. HEAD is answered where GET is.
fn need<'n>(needs: &'n Needs, path: &str, method: &Method) -> Option<&'n Need> {
    let method = if *method == Method::HEAD { &Method::GET } else { method };
    needs.iter().find(|need| need.path == path && need.method == *method)
}

/// The token in the header, RFC 6750 section 2.1; no other place counts, and two headers say nothing.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    /// The client whose leader was killed asks again at once.
    #[test]
    fn nobody_waits_for_a_reason_that_another_core_has() {
        let unknown = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, zonecast_api::types::UNKNOWN, "silence");
        let waits = |response: &Response| response.extensions().get::<NotDone>().is_some();
        assert!(waits(&unknown.clone().into_response()));
        assert!(!waits(&of_another_core(unknown.into_response())));
    }
}
