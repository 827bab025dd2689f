//! Parts of a request that several paths share: the zone in the path, `wait` and `timeout` in the query, JSON bodies.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use zonecast_records::Name;

use super::ApiError;
use super::asked::Asked;
use crate::auth::{AccessRefusal, Grant};
use zonecast_api::Patience;
use zonecast_api::{DEFAULT_TIMEOUT, parse_timeout};
use zonecast_service::{Scope, Terms};

/// A query string; a wrong one is answered in our shape.
#[derive(Debug)]
pub(super) struct Params<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = Query::from_request_parts(parts, state).await;
        let Query(query) = query.map_err(|error: QueryRejection| ApiError::bad_request(error.body_text()))?;
        Ok(Self(query))
    }
}

/// Of a path that takes no query: one that says something is refused, so that nothing it asks for is silently not done.
#[derive(Debug)]
pub(super) struct NoParams;

impl<S: Send + Sync> FromRequestParts<S> for NoParams {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        match parts.uri.query() {
            None | Some("") => Ok(Self),
            Some(query) => Err(ApiError::bad_request(format_args!("this path takes no query, here is {query:?}"))),
        }
    }
}

/// Parts of the path; wrong ones are answered in our shape.
#[derive(Debug)]
pub(super) struct Segments<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Segments<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::from_request_parts(parts, state).await;
        let Path(path) = path.map_err(|error: PathRejection| ApiError::bad_request(error.body_text()))?;
        Ok(Self(path))
    }
}

/// The same, and `allow_shrink`, of a write that may take records away.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WriteQuery {
    wait: Option<String>,
    timeout: Option<String>,
    #[serde(default)]
    pub(super) allow_shrink: bool,
}

impl WriteQuery {
    pub(super) fn patience(&self) -> Result<Patience, ApiError> {
        patience(self.wait.as_deref(), self.timeout.as_deref())
    }
}

/// `wait` and `timeout` of a write.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WaitQuery {
    wait: Option<String>,
    timeout: Option<String>,
}

impl WaitQuery {
    pub(super) fn patience(&self) -> Result<Patience, ApiError> {
        patience(self.wait.as_deref(), self.timeout.as_deref())
    }
}

pub(super) fn patience(wait: Option<&str>, timeout: Option<&str>) -> Result<Patience, ApiError> {
    let wait = wait.map(str::parse).transpose().map_err(ApiError::bad_request)?;
    let timeout = timeout.map_or(Ok(DEFAULT_TIMEOUT), parse_timeout).map_err(ApiError::bad_request)?;
    Ok(Patience { wait, timeout })
}

/// The zone in a path: its apex with or without the trailing dot; the root zone is `@`, as many clients and proxies
/// take a segment of `.` away.
pub(super) fn zone_in_path(text: &str) -> Result<Name, ApiError> {
    match text {
        "@" => Ok(Name::ROOT),
        text => name(text),
    }
}

/// An absolute name, with or without the trailing dot.
pub(super) fn name(text: &str) -> Result<Name, ApiError> {
    text.parse().map_err(|error| ApiError::bad_request(format_args!("name `{text}`: {error}")))
}

/// Refuses a zone, or a name in one, that a grant does not cover.
pub(super) fn in_scope(grant: &Grant, zone: &Name) -> Result<(), ApiError> {
    if grant.covers(zone) {
        return Ok(());
    }
    Err(ApiError::denied(AccessRefusal::Forbidden, format_args!("{zone} is outside the scope of the token")))
}

/// Refuses a grant that is for some zones only: what is asked for lies in no zone.
pub(super) fn unscoped(grant: &Grant) -> Result<(), ApiError> {
    match grant.scope() {
        Scope::All => Ok(()),
        Scope::Zones(_) => Err(ApiError::denied(AccessRefusal::Forbidden, "the token is for some zones only")),
    }
}

/// A body over the limit of its path, or one that broke off.
pub(super) fn too_large() -> ApiError {
    let message = "the body is over the limit of this path, or it ended early";
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
}

/// The bytes of a body, within the limit of its path.
pub(super) fn body(body: Result<Bytes, BytesRejection>) -> Result<Bytes, ApiError> {
    body.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_large(),
        _ => ApiError::bad_request(error.body_text()),
    })
}

/// A body that is text.
pub(super) fn text(bytes: Result<Bytes, BytesRejection>) -> Result<String, ApiError> {
    String::from_utf8(body(bytes)?.into()).map_err(|_| ApiError::bad_request("body: not text in UTF-8"))
}

/// JSON whatever its content type, so that plain `curl -d` works.
pub(super) fn json<T: DeserializeOwned>(bytes: Result<Bytes, BytesRejection>) -> Result<T, ApiError> {
    parse(&body(bytes)?)
}

/// The same of a write, with its terms.
pub(super) fn asked<T: DeserializeOwned>(
    asked: Asked,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<(T, Terms), ApiError> {
    let bytes = body(bytes)?;
    Ok((parse(&bytes)?, asked.terms(&bytes)))
}

pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(bytes).map_err(|error| ApiError::bad_request(format_args!("body: {error}")))
}
