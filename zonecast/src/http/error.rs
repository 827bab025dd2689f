//! What a request is answered with when it is not done: a status, a word for programs, a line for people.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::kv;
use crate::auth::AccessRefusal;
use zonecast_api::types::{ErrorBody, ErrorDetail, KEY_TIME, UNKNOWN};
use zonecast_service::ServiceError;
use zonecast_service::exit::{Code, Failure};

/// Seconds a client told to come back should wait.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// The word for programs when the core cannot commit.
const UNAVAILABLE: &str = "unavailable";

/// What a client without a good token is asked for, RFC 6750 section 3.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"zonecast\"");
const CHALLENGE_AFTER_BAD: HeaderValue = HeaderValue::from_static("Bearer realm=\"zonecast\", error=\"invalid_token\"");

/// Stands among the extensions of a response whose reason is not the request's: for who tells of it once, and who knows
/// more of it.
#[derive(Clone, Debug)]
pub(super) enum NotDone {
    /// The core cannot commit; why, it says elsewhere.
    Unavailable,
    /// The core stopped on the way, so that nobody knows.
    Unknown,
    /// A fault of ours.
    Internal(String),
}

/// Why a request was not done.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    detail: Box<ErrorDetail>,
    refusal: Option<AccessRefusal>,
}

impl ApiError {
    /// With this status, word and line.
    pub(crate) fn new(status: StatusCode, code: &str, message: impl ToString) -> Self {
        let detail = ErrorDetail { code: code.into(), message: message.to_string(), ..ErrorDetail::default() };
        Self { status, detail: Box::new(detail), refusal: None }
    }

    /// The token does not allow it, or there is none. The response carries the refusal, for who counts them.
    pub(crate) fn denied(refusal: AccessRefusal, message: impl ToString) -> Self {
        let status = match refusal {
            AccessRefusal::NoToken | AccessRefusal::BadToken => StatusCode::UNAUTHORIZED,
            AccessRefusal::Forbidden => StatusCode::FORBIDDEN,
        };
        Self { refusal: Some(refusal), ..Self::new(status, refusal.word(), message) }
    }

    /// The request itself makes no sense.
    pub(crate) fn bad_request(message: impl ToString) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// Nothing was done, because the core cannot commit, for this reason.
    pub(super) fn faulty(fault: &Failure) -> Self {
        Self::with_fault(UNAVAILABLE, format_args!("the core cannot commit: {fault}"), fault)
    }

    /// Whether it was done is not known, because the core stopped on the way, for this reason.
    pub(super) fn stopped(fault: &Failure) -> Self {
        Self::with_fault(
            UNKNOWN,
            format_args!("the core cannot commit, and whether it did is not known: {fault}"),
            fault,
        )
    }

    fn with_fault(code: &str, message: impl ToString, fault: &Failure) -> Self {
        let mut error = Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message);
        error.detail.fault = Some(if fault.code == Code::Disk { "disk" } else { "other" }.to_owned());
        error
    }

    /// Our fault.
    pub(crate) fn internal(message: impl ToString) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }
}

impl From<ServiceError> for ApiError {
    fn from(error: ServiceError) -> Self {
        let (status, code) = match &error {
            ServiceError::NoZone(_) => (StatusCode::NOT_FOUND, "no_zone"),
            ServiceError::NotDeleted(_) => (StatusCode::NOT_FOUND, "no_zone"),
            ServiceError::NoEdge(_) | ServiceError::NotExpected(_) => (StatusCode::NOT_FOUND, "no_edge"),
            ServiceError::BadRequest(_) => (StatusCode::BAD_REQUEST, "bad_request"),
            ServiceError::Refused { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "refused"),
            ServiceError::Held(_) => (StatusCode::UNPROCESSABLE_ENTITY, "held"),
            ServiceError::Busy(_) | ServiceError::Overtaken(_) => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            ServiceError::Moved { .. } => (StatusCode::PRECONDITION_FAILED, "moved"),
            ServiceError::KeyReused => (StatusCode::UNPROCESSABLE_ENTITY, "key_reused"),
            ServiceError::KeyTime { .. } => (StatusCode::UNPROCESSABLE_ENTITY, KEY_TIME),
            ServiceError::TooManyKeys => (StatusCode::TOO_MANY_REQUESTS, "too_many_keys"),
            ServiceError::Keyspace(error) => kv::status_of(error),
            ServiceError::Gone(_) => (StatusCode::GONE, "gone"),
            ServiceError::Overloaded => (StatusCode::TOO_MANY_REQUESTS, "overloaded"),
            ServiceError::NoToken(_) => (StatusCode::NOT_FOUND, "unknown_token"),
            ServiceError::NoCore(_) => (StatusCode::NOT_FOUND, "no_core"),
            ServiceError::Membership(_) => (StatusCode::CONFLICT, "membership"),
            ServiceError::NotLeader { .. } => (StatusCode::SERVICE_UNAVAILABLE, "not_leader"),
            ServiceError::NotNow(_) => (StatusCode::SERVICE_UNAVAILABLE, "not_now"),
            ServiceError::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, UNAVAILABLE),
            ServiceError::Unknown(_) => (StatusCode::SERVICE_UNAVAILABLE, UNKNOWN),
            ServiceError::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        };
        let mut api = Self::new(status, code, &error);
        match error {
            ServiceError::Refused { findings, .. } => api.detail.findings = findings,
            ServiceError::KeyTime { store_ms, .. } => api.detail.store_ms = store_ms,
            ServiceError::Keyspace(error) => api.detail.revision = kv::present_revision(&error),
            _ => {}
        }
        api
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let not_done = match self.status {
            StatusCode::INTERNAL_SERVER_ERROR => Some(NotDone::Internal(self.detail.message.clone())),
            _ if self.detail.code == UNAVAILABLE => Some(NotDone::Unavailable),
            _ if self.detail.code == UNKNOWN => Some(NotDone::Unknown),
            _ => None,
        };
        let retry = matches!(self.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS)
            && self.detail.code != UNKNOWN;
        let mut response = (self.status, Json(ErrorBody { error: *self.detail })).into_response();
        if retry {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        if let Some(not_done) = not_done {
            response.extensions_mut().insert(not_done);
        }
        if let Some(refusal) = self.refusal {
            response.extensions_mut().insert(refusal);
        }
        let challenge = match self.refusal {
            Some(AccessRefusal::NoToken) => CHALLENGE,
            Some(AccessRefusal::BadToken) => CHALLENGE_AFTER_BAD,
            Some(AccessRefusal::Forbidden) | None => return response,
        };
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever is told that nothing was done does it once more.
    #[test]
    fn what_may_have_been_done_is_not_called_undone() {
        let unknown = ServiceError::Unknown("it stopped".into());
        let undone = ServiceError::Unavailable("it has stopped".into());
        for (error, code, may_come_again) in [(unknown, UNKNOWN, false), (undone, UNAVAILABLE, true)] {
            let api = ApiError::from(error);
            let message = api.detail.message.clone();
            assert_eq!((api.status, api.detail.code.as_str()), (StatusCode::SERVICE_UNAVAILABLE, code), "{message}");
            assert_eq!(message.contains("nothing has changed"), may_come_again, "{message}");
            let response = api.into_response();
            assert_eq!(response.headers().contains_key(header::RETRY_AFTER), may_come_again, "{message}");
            let is_unknown = matches!(response.extensions().get(), Some(NotDone::Unknown));
            assert_eq!(is_unknown, !may_come_again, "{message}");
        }
    }
}
