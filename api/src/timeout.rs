//! How long a writer waits for edges.

use std::time::Duration;

use thiserror::Error;

/// How long a writer waits for edges when it does not say.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest wait a request may ask for: a connection that waits holds a little memory.
pub const MAX_TIMEOUT: Duration = Duration::from_mins(10);

/// Not seconds, or beyond [`MAX_TIMEOUT`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is not a time such as 10, 10s or 500ms, at most 10m")]
pub struct TimeoutError(String);

/// Reads `10`, `10s`, `500ms` or `2m`.
///
/// # Errors
/// Something else, or over [`MAX_TIMEOUT`].
pub fn parse_timeout(text: &str) -> Result<Duration, TimeoutError> {
    let split = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: Option<u64> = number.parse().ok();
    let timeout = number.and_then(|number| match unit {
        "" | "s" => Some(Duration::from_secs(number)),
        "ms" => Some(Duration::from_millis(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        _ => None,
    });
    timeout.filter(|timeout| *timeout <= MAX_TIMEOUT).ok_or_else(|| TimeoutError(text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_times() {
        assert_eq!(parse_timeout("10"), Ok(Duration::from_secs(10)));
        assert_eq!(parse_timeout("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_timeout("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["", "s", "10h", "601", "11m", "-1", "99999999999999999999", "400000000000000000m"] {
            assert!(parse_timeout(wrong).is_err(), "{wrong}");
        }
    }
}
