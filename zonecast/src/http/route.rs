//! Paths of a listener, each with what it needs, made into a router that has no other.

use std::convert::Infallible;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::http::{Method, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, on};

use super::ApiError;
use super::forward::{Answered, Forward};
use super::gate::{Gate, Guarded, Need, Needs, guard};
use crate::auth::TokenRole;

/// Largest record change in a request in bytes: as JSON it is larger than the batch of 4 MiB that it may become.
const MAX_CHANGE: usize = 8 * 1024 * 1024;

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum May {
    /// Everybody who reaches the port.
    Everybody,
    /// Any good token.
    AnyToken,
    /// A token of this role; what it sees of zones, the handler narrows to its scope.
    Role(TokenRole),
    /// A token of this role whose scope covers `{zone}` of the path.
    InZone(TokenRole),
    /// A token of this role that is not for some zones only.
    Unscoped(TokenRole),
}

/// One method of one path.
#[derive(Clone, Debug)]
pub(crate) struct Route<S> {
    method: Method,
    path: &'static str,
    may: May,
    answered: Answered,
    handler: MethodRouter<S, Infallible>,
}

impl<S: Clone + Send + Sync + 'static> Route<S> {
    /// Answered by this handler: a read where it is asked, once it is up to date, and everything else by the leader.
    pub(crate) fn new<T: 'static>(method: Method, path: &'static str, may: May, handler: impl Handler<T, S>) -> Self {
        let filter = MethodFilter::try_from(method.clone()).expect("all methods of HTTP but CONNECT have a filter");
        let answered = if method == Method::GET { Answered::UpToDate } else { Answered::ByLeader };
        Self { method, path, may, answered, handler: on(filter, handler) }
    }

    /// Answered by whoever is asked, as it is there.
    pub(crate) fn here(self) -> Self {
        Self { answered: Answered::Here, ..self }
    }

    /// Answered by the leader, though it is a read: only the leader knows.
    pub(crate) fn by_leader(self) -> Self {
        Self { answered: Answered::ByLeader, ..self }
    }

    /// For tests that try all of them.
    #[cfg(test)]
    pub(super) fn describe(self) -> (Method, &'static str, May) {
        (self.method, self.path, self.may)
    }
}

/// These paths behind a gate; `elsewhere` is said about all others.
pub(crate) fn routed<S>(
    routes: Vec<Route<S>>,
    elsewhere: &'static str,
    gate: Gate,
    forward: Option<Forward>,
    state: S,
) -> Router
where
    S: Clone + Send + Sync + 'static,
{
    let need = |route: &Route<S>| Need {
        path: route.path,
        method: route.method.clone(),
        may: route.may,
        answered: route.answered,
    };
    let needs: Needs = routes.iter().map(need).collect();
    let router = routes.into_iter().fold(Router::new(), |router, route| router.route(route.path, route.handler));
    router
        .fallback(async move || ApiError::new(StatusCode::NOT_FOUND, "no_path", elsewhere))
        .method_not_allowed_fallback(async || {
            ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "no_method", "no such method on this path; see docs/api.md")
        })
        .layer(DefaultBodyLimit::max(MAX_CHANGE))
        // Last, so that it runs first, and before the fallbacks as well.
        .layer(from_fn_with_state(Guarded { gate, needs, forward }, guard))
        .with_state(state)
}
