//! Keys in a path: what stands behind `/keys/`, with its slashes. They may be no text, so the path is decoded here.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use zonecast_keyspaces::{KeyspaceName, UserKey};

use super::params::percent_decode;
use crate::http::ApiError;

/// The keyspace in a path.
pub(super) fn keyspace(text: &str) -> Result<KeyspaceName, ApiError> {
    text.parse().map_err(ApiError::bad_request)
}

/// Keyspace and key of `/v1/kv/{keyspace}/keys/{*key}`.
#[derive(Debug)]
pub(super) struct KeyPath {
    pub(super) keyspace: KeyspaceName,
    pub(super) key: UserKey,
}

impl<S: Send + Sync> FromRequestParts<S> for KeyPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Self::of(parts.uri.path())
    }
}

impl KeyPath {
    fn of(path: &str) -> Result<Self, ApiError> {
        let rest = path.strip_prefix("/v1/kv/").and_then(|rest| rest.split_once("/keys/"));
        let (name, key) = rest.ok_or_else(|| ApiError::bad_request("the path names no key"))?;
        let key = percent_decode(key, '+').map_err(ApiError::bad_request)?;
        Ok(Self { keyspace: keyspace(name)?, key: UserKey::new(key).map_err(ApiError::bad_request)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_are_a_key() {
        let key = |path: &str| KeyPath::of(path).map(|path| (path.keyspace.to_string(), path.key.as_bytes().to_vec()));
        assert_eq!(key("/v1/kv/rules/keys/a/b").unwrap(), ("rules".into(), b"a/b".to_vec()));
        assert_eq!(key("/v1/kv/rules/keys/a%2Fb+%ff%00").unwrap().1, b"a/b+\xff\0");
        assert_eq!(key("/v1/kv/rules/keys/keys/keys/").unwrap().1, b"keys/keys/");
        for bad in ["/v1/kv/rules/keys/", "/v1/kv/rules/keys/%", "/v1/kv/rules/keys/%zz", "/v1/kv/Rules/keys/a"] {
            assert!(key(bad).is_err(), "{bad}");
        }
        assert!(key(&format!("/v1/kv/rules/keys/{}", "a".repeat(1023))).is_err());
    }
}
