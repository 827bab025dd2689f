//! What is said when something is not done with a keyspace.

use axum::http::StatusCode;
use zonecast_keyspaces::KeyspaceError;

/// Status and word of an error.
pub(in crate::http) fn status_of(error: &KeyspaceError) -> (StatusCode, &'static str) {
    match error {
        KeyspaceError::NoKeyspace(_) => (StatusCode::NOT_FOUND, "no_keyspace"),
        KeyspaceError::NoKey { .. } => (StatusCode::NOT_FOUND, "no_key"),
        KeyspaceError::NoGroup { .. } => (StatusCode::NOT_FOUND, "no_group"),
        KeyspaceError::Compared { .. } => (StatusCode::PRECONDITION_FAILED, "compared"),
        KeyspaceError::NotEmpty { .. } => (StatusCode::CONFLICT, "not_empty"),
        KeyspaceError::OtherPrivacy(..) => (StatusCode::CONFLICT, "other_privacy"),
        KeyspaceError::TooMany | KeyspaceError::OverLimit { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "over_limit"),
        KeyspaceError::LongValue { .. } | KeyspaceError::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
        KeyspaceError::Held { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "held"),
        KeyspaceError::NotKept { .. } | KeyspaceError::NotLast { .. } | KeyspaceError::Malformed(_) => {
            (StatusCode::BAD_REQUEST, "bad_request")
        }
        KeyspaceError::View(_) | KeyspaceError::Damaged { .. } => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    }
}

/// The present revision of a key that was compared.
pub(in crate::http) fn present_revision(error: &KeyspaceError) -> Option<u64> {
    match error {
        KeyspaceError::Compared { present, .. } => *present,
        _ => None,
    }
}
