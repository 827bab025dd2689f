//! Query strings with keys in them, which may be no text. An unknown parameter is an error, as everywhere.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::Deserialize;
use zonecast_api::{MAX_TIMEOUT, Patience, parse_timeout};
use zonecast_service::{KeysWanted, WatchFrom};

use crate::http::{ApiError, query};

/// Keys on a page when the request does not say.
const PAGE: usize = 1000;

/// Most keys on a page.
const MAX_PAGE: usize = 10_000;

/// `prefix`, `after`, `limit`, `keys_only` and `at`.
#[derive(Debug)]
pub(super) struct ListParams {
    pub(super) wanted: KeysWanted,
    pub(super) at: Option<String>,
}

/// `prefix`, `from` and `timeout`.
#[derive(Debug)]
pub(super) struct WatchParams(pub(super) WatchFrom);

/// `wait`, `timeout`, and what must hold of the key.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyWriteQuery {
    wait: Option<String>,
    timeout: Option<String>,
    pub(super) if_revision: Option<u64>,
    #[serde(default)]
    pub(super) if_absent: bool,
}

impl KeyWriteQuery {
    pub(super) fn patience(&self) -> Result<Patience, ApiError> {
        query::patience(self.wait.as_deref(), self.timeout.as_deref())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ListParams {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let mut params = Self { wanted: KeysWanted { limit: PAGE, ..KeysWanted::default() }, at: None };
        each(parts.uri.query(), |name, value| {
            match name {
                "prefix" => params.wanted.prefix = value,
                "after" => params.wanted.after = Some(value),
                "limit" => params.wanted.limit = number(name, &value)?,
                "keys_only" => params.wanted.keys_only = flag(name, &value)?,
                "at" => params.at = Some(text(name, value)?),
                _ => return Err(unknown(name)),
            }
            Ok(())
        })?;
        params.wanted.limit = params.wanted.limit.clamp(1, MAX_PAGE);
        Ok(params)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for WatchParams {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let mut from = WatchFrom { timeout: MAX_TIMEOUT, ..WatchFrom::default() };
        each(parts.uri.query(), |name, value| {
            match name {
                "prefix" => from.prefix = value,
                "from" => from.after = Some(number(name, &value)?),
                "timeout" => from.timeout = parse_timeout(&text(name, value)?).map_err(ApiError::bad_request)?,
                _ => return Err(unknown(name)),
            }
            Ok(())
        })?;
        Ok(Self(from))
    }
}

fn unknown(name: &str) -> ApiError {
    ApiError::bad_request(format_args!("unknown parameter `{name}`"))
}

fn text(name: &str, value: Vec<u8>) -> Result<String, ApiError> {
    String::from_utf8(value).map_err(|_| ApiError::bad_request(format_args!("`{name}` is no text")))
}

fn number<T: std::str::FromStr>(name: &str, value: &[u8]) -> Result<T, ApiError> {
    let number = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| ApiError::bad_request(format_args!("`{name}` is no number")))
}

fn flag(name: &str, value: &[u8]) -> Result<bool, ApiError> {
    match value {
        b"true" => Ok(true),
        b"false" => Ok(false),
        _ => Err(ApiError::bad_request(format_args!("`{name}` is neither true nor false"))),
    }
}

/// Calls `take` for each parameter with its value, decoded as a form is.
fn each(query: Option<&str>, mut take: impl FnMut(&str, Vec<u8>) -> Result<(), ApiError>) -> Result<(), ApiError> {
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        take(name, percent_decode(value, ' ').map_err(ApiError::bad_request)?)?;
    }
    Ok(())
}

/// The bytes of a percent-encoded text; a plus sign is what `plus` says.
pub(super) fn percent_decode(text: &str, plus: char) -> Result<Vec<u8>, String> {
    let malformed = || format!("`{text}` is not percent-encoded: `%` and two hex digits stand for a byte");
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (high, low) = (digit(bytes.next()), digit(bytes.next()));
                let byte = high.zip(low).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
                byte.ok_or_else(malformed)?
            }
            b'+' => u8::try_from(plus).map_err(|_| malformed())?,
            byte => byte,
        });
    }
    Ok(decoded)
}
