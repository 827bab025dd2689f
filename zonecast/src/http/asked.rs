//! A write as it is asked for: by whom, on what condition, and under which idempotency key.
//!
//! A key belongs to the token that shows it, and to one request: method, path, query, conditions and body. How long the
//! client waits for edges is no part of it.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use zonecast_kv_proto::{Idempotency, RequestKey};

use super::ApiError;
use crate::auth::Grant;
use zonecast_service::{Condition, Done, Terms, Who};

/// The header with the key, a UUID of version 7.
const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Stands in an answer that is that of an earlier request.
const REPEATED: HeaderName = HeaderName::from_static("idempotency-repeated");

/// What is no part of a request: how long the client waits for edges.
const WAITING: [&str; 2] = ["wait=", "timeout="];

/// Said before what is hashed to a scope.
const SCOPE: &[u8] = b"zonecast idempotency scope: token ";

/// A write before its body is read.
#[derive(Debug)]
pub(super) struct Asked {
    terms: Terms,
    key: Option<Keyed>,
}

/// A request under a key.
#[derive(Debug)]
struct Keyed {
    key: RequestKey,
    scope: [u8; 16],
    /// Of all but the body.
    hasher: blake3::Hasher,
}

impl Asked {
    /// By whom.
    pub(super) fn who(&self) -> &Who {
        &self.terms.who
    }

    /// Its terms, of a write with this body.
    pub(super) fn terms(self, body: &[u8]) -> Terms {
        let Self { terms, key } = self;
        let once = key.map(|Keyed { key, scope, mut hasher }| {
            hasher.update(body);
            Idempotency { scope, key, request_hash: hasher.finalize().into() }
        });
        Terms { once, ..terms }
    }

    /// Its terms where nothing is done, so that the key stays unused.
    pub(super) fn terms_of_preview(self) -> Terms {
        self.terms
    }
}

impl Keyed {
    fn of(parts: &Parts, key: RequestKey, grant: &Grant) -> Self {
        let mut hasher = blake3::Hasher::new();
        let mut add = |part: &[u8]| {
            hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hasher.update(part);
        };
        add(parts.method.as_str().as_bytes());
        add(parts.uri.path().as_bytes());
        let is_asked = |pair: &&str| !pair.is_empty() && !WAITING.iter().any(|name| pair.starts_with(name));
        parts.uri.query().unwrap_or_default().split('&').filter(is_asked).for_each(|pair| add(pair.as_bytes()));
        for name in [header::IF_MATCH, header::IF_NONE_MATCH] {
            add(name.as_str().as_bytes());
            parts.headers.get_all(name).iter().for_each(|value| add(value.as_bytes()));
        }
        add(b"body");
        Self { key, scope: scope(grant.name()), hasher }
    }
}

/// Where no token is asked for, all clients are one.
fn scope(token: &str) -> [u8; 16] {
    let hash = blake3::hash(&[SCOPE, token.as_bytes()].concat());
    *hash.as_bytes().first_chunk().expect("a hash has 32 bytes")
}

/// The key of a request, bare or as the string of a structured field (RFC 9651), which has quotes.
fn key(headers: &HeaderMap) -> Result<Option<RequestKey>, ApiError> {
    let mut values = headers.get_all(KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    let bare = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    match (bare.parse(), values.next()) {
        (Ok(key), None) => Ok(Some(key)),
        _ => Err(ApiError::bad_request("header idempotency-key takes one UUID of version 7, made for this request")),
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let (who, condition) = (parts.extensions.get::<Who>(), parts.extensions.get::<Condition>());
        let (Some(who), Some(condition), Some(grant)) = (who, condition, parts.extensions.get::<Grant>()) else {
            return Err(ApiError::internal("a write without a name, a condition and a grant"));
        };
        let key = key(&parts.headers)?.map(|key| Keyed::of(parts, key, grant));
        Ok(Self { terms: Terms { who: who.clone(), condition: condition.clone(), once: None }, key })
    }
}

/// Of a path whose requests are not kept: a key is refused, so that nobody counts on it.
#[derive(Debug)]
pub(super) struct NoKey;

impl<S: Send + Sync> FromRequestParts<S> for NoKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        if parts.headers.contains_key(KEY) {
            return Err(ApiError::bad_request("header idempotency-key is not understood on this path"));
        }
        Ok(Self)
    }
}

/// The answer to a write, which says whether it is that of an earlier request.
#[derive(Debug)]
pub(super) struct Answered<T>(pub(super) Done<T>);

impl<T: Serialize> IntoResponse for Answered<T> {
    fn into_response(self) -> Response {
        let Done { value, repeated } = self.0;
        let mut response = Json(value).into_response();
        if repeated {
            response.headers_mut().insert(REPEATED, HeaderValue::from_static("true"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    const A_KEY: &str = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";

    fn parts(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
        let request = Request::builder().method(method).uri(uri);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap().into_parts().0
    }

    fn hash(parts: &Parts, body: &[u8]) -> [u8; 32] {
        let key = key(&parts.headers).unwrap().unwrap();
        let keyed = Some(Keyed::of(parts, key, &Grant::everything()));
        Asked { terms: Terms::default(), key: keyed }.terms(body).once.unwrap().request_hash
    }

    #[test]
    fn a_request_is_the_same_however_long_it_waits_and_another_by_anything_else() {
        let key = ("idempotency-key", A_KEY);
        let of = |method, uri, headers: &[_], body| hash(&parts(method, uri, &[&[key], headers].concat()), body);
        let first = of("PUT", "/v1/zones/a?allow_shrink=true&wait=all", &[], b"body");
        assert_eq!(first, of("PUT", "/v1/zones/a?allow_shrink=true&wait=2&timeout=9s", &[], b"body"));
        let whole = of("PUT", "/v1/zones/a", &[], b"body");
        assert_eq!(whole, of("PUT", "/v1/zones/a?wait=all&timeout=1s", &[], b"body"));
        for other in [
            whole,
            of("DELETE", "/v1/zones/a?allow_shrink=true&wait=all", &[], b"body"),
            of("PUT", "/v1/zones/b?allow_shrink=true&wait=all", &[], b"body"),
            of("PUT", "/v1/zones/a?allow_shrink=true&wait=all", &[("if-match", "\"1\"")], b"body"),
            of("PUT", "/v1/zones/a?allow_shrink=true&wait=all", &[("if-none-match", "\"1\"")], b"body"),
            of("PUT", "/v1/zones/a?allow_shrink=true&wait=all", &[], b"Body"),
        ] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn keys_of_different_tokens_have_nothing_to_do_with_each_other() {
        assert_ne!(scope("one"), scope("other"));
        assert_ne!(scope("one"), scope(Grant::everything().name()));
    }

    #[test]
    fn a_key_is_one_uuid_of_version_7() {
        let read = |values: &[&str]| {
            let headers: Vec<_> = values.iter().map(|value| ("idempotency-key", *value)).collect();
            key(&parts("PUT", "/", &headers).headers).map_err(|error| format!("{error:?}"))
        };
        let quoted = format!("\"{A_KEY}\"");
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[A_KEY]).unwrap(), Some(A_KEY.parse().unwrap()));
        assert_eq!(read(&[&quoted]), read(&[A_KEY]));
        for wrong in [&[""][..], &["1"], &[A_KEY, A_KEY], &["017f22e2-79b0-4cc3-98c4-dc0c0c07398f"], &["\""]] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }
}
