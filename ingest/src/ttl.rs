//! TTLs and other times: seconds, or numbers with the units of BIND.

/// Largest TTL, RFC 2181 section 8.
pub const MAX_TTL: u32 = 0x7fff_ffff;

/// Reads seconds (`3600`) or numbers with units (`1h30m`, `1W2D`). Units are s, m, h, d and w, in either case.
///
/// TTLs over [`MAX_TTL`] come back as they are. `None` for anything else, for a sum over 2^32-1, and for a mixture whose last number has no unit, which BIND refuses
/// as well.
#[must_use]
pub fn parse_ttl(text: &str) -> Option<u32> {
    parse_seconds(text.as_bytes())
}

pub(crate) fn parse_seconds(text: &[u8]) -> Option<u32> {
    let mut total: u32 = 0;
    let mut number: Option<u32> = None;
    let mut has_units = false;
    for byte in text {
        let unit = match byte {
            b'0'..=b'9' => {
                number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(u32::from(byte - b'0'))?);
                continue;
            }
            b's' | b'S' => 1,
            b'm' | b'M' => 60,
            b'h' | b'H' => 3600,
            b'd' | b'D' => 86_400,
            b'w' | b'W' => 604_800,
            _ => return None,
        };
        total = total.checked_add(number.take()?.checked_mul(unit)?)?;
        has_units = true;
    }
    match (number, has_units) {
        (Some(seconds), false) => Some(seconds),
        (None, true) => Some(total),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::parse_ttl;

    #[test]
    fn reads_seconds_and_units() {
        for (text, seconds) in [
            ("0", 0),
            ("3600", 3600),
            ("1h", 3600),
            ("8H", 28_800),
            ("1h30m", 5400),
            ("1W2D", 777_600),
            ("1w1d1h1m1s", 694_861),
            ("30m1h", 5400),
            ("4294967295", u32::MAX),
            ("007", 7),
        ] {
            assert_eq!(parse_ttl(text), Some(seconds), "{text}");
        }
        for text in ["", "h", "1h30", "-1", "+1", "1.5h", "4294967296", "7102w", "1hh", "1 h", "IN", "1y", "٣"] {
            assert_eq!(parse_ttl(text), None, "{text}");
        }
    }
}
