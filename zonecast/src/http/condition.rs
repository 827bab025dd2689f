//! Precondition headers: which are understood where, and that no other is ignored (RFC 9110 section 13).
//!
//! | header | reads of a zone that have a tag | writes in a zone |
//! |---|---|---|
//! | `If-Match` | refused | the zone is at one of these changes; `*`: there is such a zone |
//! | `If-None-Match` | 304 when the zone is still at one of these | `*` with a whole zone: there is none yet; else refused |
//! | `If-Modified-Since` | not looked at: a zone has no such date | refused |
//! | `If-Unmodified-Since`, `If-Range` | refused | refused |
//!
//! What is not in a zone has no change to be at, and of what was before (log, differences) more is lost as time goes by; so
//! all of them are refused there. So they are where a deleted zone is brought back: there is none that could be at a change.

use axum::Json;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::ApiError;
use zonecast_service::{Condition, Tagged, Wanted};

/// The path of a zone, as the router has it; what is in the zone is below it.
const ZONE: &str = "/v1/zones/{zone}";

/// Of these, reads and a write of what has no tag.
const PAST: [&str; 3] = ["/v1/zones/{zone}/log", "/v1/zones/{zone}/diff", "/v1/zones/{zone}/undelete"];

/// What is understood on a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Understands {
    /// It reads.
    Read,
    /// It writes in a zone.
    Write,
    /// It writes a whole zone.
    WholeZone,
    /// It has no tag: no handler there looks at a condition.
    Nothing,
}

impl Understands {
    /// By its method and path.
    pub(super) fn of(method: &Method, path: &str) -> Self {
        match *method {
            _ if !path.starts_with(ZONE) || PAST.contains(&path) => Self::Nothing,
            Method::GET | Method::HEAD => Self::Read,
            Method::PUT if path == ZONE => Self::WholeZone,
            _ => Self::Write,
        }
    }
}

/// The condition of a request.
///
/// # Errors
/// A header that is not understood here, or is malformed.
pub(super) fn condition(headers: &HeaderMap, understands: Understands) -> Result<Condition, ApiError> {
    let is_write = understands != Understands::Read;
    let unusable = |name: &HeaderName| match name {
        &header::IF_UNMODIFIED_SINCE | &header::IF_RANGE => true,
        &header::IF_MODIFIED_SINCE => is_write,
        &header::IF_MATCH => understands == Understands::Read || understands == Understands::Nothing,
        &header::IF_NONE_MATCH => understands == Understands::Nothing,
        _ => false,
    };
    if let Some(name) = headers.keys().find(|name| unusable(name)) {
        return Err(refused(name, "is not understood here"));
    }
    let positive = tags(headers, &header::IF_MATCH, Comparison::Strong)?;
    let negative = tags(headers, &header::IF_NONE_MATCH, Comparison::Weak)?;
    match (positive, negative, understands) {
        (None, None, _) => Ok(Condition::Any),
        (Some(Tags::Any), None, _) => Ok(Condition::Exists),
        (Some(Tags::These(tags)), None, _) => Ok(Condition::At(tags)),
        (None, Some(Tags::Any), Understands::WholeZone) => Ok(Condition::Absent),
        // A zone that is there is never answered: whoever asks so wants to know whether it is.
        (None, Some(Tags::Any), Understands::Read) => Ok(Condition::Absent),
        (None, Some(Tags::These(tags)), Understands::Read) => Ok(Condition::NotAt(tags)),
        (_, Some(_), _) => Err(refused(&header::IF_NONE_MATCH, "is not understood here")),
    }
}

/// What was read with its tag, or that it is what the client has already.
pub(super) fn tagged<T: Serialize>(condition: &Condition, read: Tagged<T>) -> Response {
    with_tag(condition, read, |value| Json(value).into_response())
}

/// The same of something that is no JSON.
pub(super) fn with_tag<T>(condition: &Condition, read: Tagged<T>, show: impl FnOnce(T) -> Response) -> Response {
    let Tagged { value, tag } = read;
    let mut response = if condition.holds(Some(tag)) { show(value) } else { StatusCode::NOT_MODIFIED.into_response() };
    if let Ok(tag) = HeaderValue::try_from(tag.to_string()) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

fn refused(name: &HeaderName, why: &str) -> ApiError {
    ApiError::bad_request(format_args!("header {name} {why}; docs/api.md has those that are"))
}

/// The value of a header of tags.
#[derive(Debug, PartialEq, Eq)]
enum Tags {
    Any,
    These(Vec<Wanted>),
}

/// How tags are compared, RFC 9110 section 8.8.3.2: ours are strong, so a weak one equals one of ours by the weak
/// comparison only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

/// What stands in all headers of this name, if there is one.
fn tags(headers: &HeaderMap, name: &HeaderName, comparison: Comparison) -> Result<Option<Tags>, ApiError> {
    let malformed = || refused(name, "is malformed: it takes `*`, or tags in quotes as a read gave them");
    let mut found = vec![];
    let mut any = false;
    for value in headers.get_all(name) {
        let text = value.to_str().map_err(|_| malformed())?.trim();
        if text == "*" {
            any = true;
        } else {
            read_tags(text, comparison, &mut found).ok_or_else(malformed)?;
        }
    }
    match (any, found.is_empty()) {
        (true, true) => Ok(Some(Tags::Any)),
        (false, false) => Ok(Some(Tags::These(found))),
        (false, true) if headers.get(name).is_none() => Ok(None),
        _ => Err(malformed()),
    }
}

/// A list of entity tags, RFC 9110 section 8.8.3.
fn read_tags(mut text: &str, comparison: Comparison, found: &mut Vec<Wanted>) -> Option<()> {
    loop {
        let (is_weak, rest) = text.strip_prefix("W/").map_or((false, text), |rest| (true, rest));
        let (tag, rest) = rest.strip_prefix('"')?.split_once('"')?;
        if tag.bytes().any(|byte| byte <= b' ') {
            return None;
        }
        let is_equal_to_none = is_weak && comparison == Comparison::Strong;
        found.push(if is_equal_to_none { Wanted::Foreign } else { Wanted::parse(tag) });
        let rest = rest.trim_start();
        if rest.is_empty() {
            return Some(());
        }
        text = rest.strip_prefix(',')?.trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zonecast_service::ChangeTag;

    fn read(understands: Understands, headers: &[(HeaderName, &str)]) -> Result<Condition, String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, HeaderValue::from_str(value).unwrap());
        }
        condition(&map, understands).map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn tags_are_read_as_the_rfc_writes_them() {
        let tag = Wanted::Tag(ChangeTag { id: 5, change: 42, stamp: 7, edition: None });
        let at = |text: &str| read(Understands::Write, &[(header::IF_MATCH, text)]);
        assert_eq!(at("\"5-42-00000007\""), Ok(Condition::At(vec![tag])));
        assert_eq!(
            at("\"41\" , \"5-42-00000007\",W/\"42\""),
            Ok(Condition::At(vec![Wanted::Change(41), tag, Wanted::Foreign]))
        );
        assert_eq!(at("\"x,y\""), Ok(Condition::At(vec![Wanted::Foreign])));
        assert_eq!(at("*"), Ok(Condition::Exists));
        let twice = [(header::IF_MATCH, "\"1\""), (header::IF_MATCH, "\"2\"")];
        let both = vec![Wanted::Change(1), Wanted::Change(2)];
        assert_eq!(read(Understands::Write, &twice), Ok(Condition::At(both)));
        for malformed in
            ["", "42", "5-42", "\"42", "42\"", "\"42\",", ",\"42\"", "\"1\" \"2\"", "*, \"1\"", "\"4 2\"", "w/\"1\""]
        {
            assert!(at(malformed).is_err(), "{malformed:?}");
        }
        let weak = [(header::IF_NONE_MATCH, "W/\"5-42-00000007\"")];
        assert_eq!(read(Understands::Read, &weak), Ok(Condition::NotAt(vec![tag])), "compared weakly");
        let mixed = [(header::IF_MATCH, "*"), (header::IF_MATCH, "\"2\"")];
        assert!(read(Understands::Write, &mixed).is_err());
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let date = "Sun, 29 Nov 2026 03:00:00 GMT";
        for understands in [Understands::Read, Understands::Write, Understands::WholeZone, Understands::Nothing] {
            assert_eq!(read(understands, &[]), Ok(Condition::Any));
            for name in [header::IF_UNMODIFIED_SINCE, header::IF_RANGE] {
                assert!(read(understands, &[(name.clone(), date)]).is_err(), "{name}");
            }
            let both = [(header::IF_MATCH, "\"1\""), (header::IF_NONE_MATCH, "*")];
            assert!(read(understands, &both).is_err());
            let since = read(understands, &[(header::IF_MODIFIED_SINCE, date)]);
            assert_eq!(since.is_ok(), understands == Understands::Read);
            let none = read(understands, &[(header::IF_NONE_MATCH, "*")]);
            assert_eq!(none.is_ok(), matches!(understands, Understands::Read | Understands::WholeZone));
            let none_of = read(understands, &[(header::IF_NONE_MATCH, "\"1\"")]);
            assert_eq!(none_of.is_ok(), understands == Understands::Read);
            let only = read(understands, &[(header::IF_MATCH, "\"1\"")]);
            assert_eq!(only.is_ok(), matches!(understands, Understands::Write | Understands::WholeZone));
        }
        assert_eq!(Understands::of(&Method::PUT, "/v1/zones/{zone}"), Understands::WholeZone);
        assert_eq!(Understands::of(&Method::DELETE, "/v1/zones/{zone}"), Understands::Write);
        assert_eq!(Understands::of(&Method::GET, "/v1/zones/{zone}/settings"), Understands::Read);
        for path in ["/v1/settings", "/v1/zones", "/v1/deleted-zones", "", PAST[0], PAST[1], PAST[2]] {
            assert_eq!(Understands::of(&Method::PATCH, path), Understands::Nothing, "{path}");
        }
    }
}
