//! Paths of the API, with names of zones and edges in them.

/// The root zone is `@` in a path: most clients and proxies take a segment of `.` away.
pub(crate) fn zone_path(zone: &str, rest: &str) -> String {
    let mut path = String::from("/v1/zones/");
    match zone {
        "." => path.push('@'),
        zone => escape_into(&mut path, zone),
    }
    path + rest
}

/// Percent-encodes everything but what RFC 3986 section 2.3 calls unreserved.
pub(crate) fn escape_into(url: &mut String, text: &str) {
    escape_bytes_into(url, text.as_bytes());
}

/// The same of bytes that may be no text.
pub(crate) fn escape_bytes_into(url: &mut String, bytes: &[u8]) {
    for byte in bytes.iter().copied() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => url.push(char::from(byte)),
            byte => {
                const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
                url.push('%');
                for nibble in [byte >> 4, byte & 15] {
                    url.push(DIGITS.get(usize::from(nibble)).map_or('0', |digit| char::from(*digit)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_zone_name_fits_a_path() {
        assert_eq!(zone_path(".", ""), "/v1/zones/@");
        assert_eq!(zone_path("0/25.2.0.192.in-addr.arpa.", "/file"), "/v1/zones/0%2F25.2.0.192.in-addr.arpa./file");
        assert_eq!(zone_path(r"a\.b?.example.", ""), "/v1/zones/a%5C.b%3F.example.");
    }
}
