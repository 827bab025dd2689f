//! Keeps pages of other sites away from a listener that asks for no token.
//!
//! A browser on this machine reaches loopback, and sends requests there for any page that is open in it. Whoever asks
//! by such a request says so (`Origin`, `Sec-Fetch-Site`); whoever has a name of their own lead to 127.0.0.1 to look
//! like the same site (DNS rebinding) is known by that name in `Host`.

use std::net::IpAddr;

use axum::http::{HeaderMap, StatusCode, Uri, header};

use super::ApiError;

/// Lets a request pass whose host is this machine, and which no other site has sent.
///
/// # Errors
/// It is for another host, or of another site.
pub(super) fn check(uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
    let refused = |message: &str| Err(ApiError::new(StatusCode::FORBIDDEN, "foreign", message));
    let host = headers.get(header::HOST).map(|host| host.to_str().unwrap_or_default());
    if uri.host().is_some_and(|host| !is_here(host)) || host.is_some_and(|host| !is_here(host)) {
        return refused(
            "without tokens this answers to 127.0.0.1, [::1] and localhost only; a proxy in front must set Host so",
        );
    }
    // There is no page of ours that would send one.
    let is_page = headers.contains_key(header::ORIGIN);
    let site = headers.get("sec-fetch-site").map(axum::http::HeaderValue::as_bytes);
    if is_page || site.is_some_and(|site| site != b"none" && site != b"same-origin") {
        return refused("a page of a browser may not use this; where it must, let the listener ask for tokens");
    }
    Ok(())
}

/// Whether a host, with or without a port, is this machine.
fn is_here(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(uri: &str, headers: &[(&'static str, &str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        check(&uri.parse().unwrap(), &map).is_ok()
    }

    #[test]
    fn only_this_machine_is_asked_for() {
        for host in ["127.0.0.1:8053", "127.0.0.1", "localhost", "LOCALHOST:1", "[::1]:8053", "[::1]", "127.9.9.9:1"] {
            assert!(passes("/v1/zones", &[("host", host)]), "{host}");
        }
        for host in ["x", "evil.example", "evil.example:8053", "192.0.2.1:8053", "localhost.evil.example", "", "[::2]"]
        {
            assert!(!passes("/v1/zones", &[("host", host)]), "{host}");
        }
        assert!(passes("/v1/zones", &[]), "HTTP/1.0");
        assert!(!passes("http://evil.example/v1/zones", &[("host", "127.0.0.1")]));
    }

    #[test]
    fn no_page_may_ask() {
        let host = ("host", "127.0.0.1:8053");
        for origin in ["https://evil.example", "null", "http://localhost:3000"] {
            assert!(!passes("/", &[host, ("origin", origin)]), "{origin}");
        }
        for (site, may) in [("cross-site", false), ("same-site", false), ("none", true), ("same-origin", true)] {
            assert_eq!(passes("/", &[host, ("sec-fetch-site", site)]), may, "{site}");
        }
    }
}
