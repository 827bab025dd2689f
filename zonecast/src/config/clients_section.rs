//! Settings of an edge for its clients: `[access]`, `[rate_limit]` and the file of `cookie_secrets`.

use std::net::IpAddr;
use std::num::{NonZeroU8, NonZeroU32};
use std::path::Path;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use zonecast_dns::{Access, MAX_PREFIXES, Prefixes, RateLimit};
use zonecast_edge::{COOKIE_SECRET_LEN, CookieSecrets, MAX_COOKIE_SECRETS};
use zonecast_kv_transport::read_private;

use zonecast_service::exit::{Code, Failure, Outcome};

/// Largest file of cookie secrets in bytes, enough for some lines.
const MAX_FILE: u64 = 4096;

/// Clients that may send queries, as address prefixes such as `192.0.2.0/24` or addresses.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessSection {
    /// Allowed clients; an empty list allows all.
    #[serde(default)]
    pub allow: Vec<String>,
    /// Denied clients; overrides `allow`.
    #[serde(default)]
    pub deny: Vec<String>,
}

/// Response rate limiting over UDP.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RateLimitSection {
    /// Answers per second of one kind, for one name, to one network (/24 of IPv4, /56 of IPv6); 0 means no limit.
    #[serde(default)]
    pub responses_per_second: u32,
    /// Every n-th answer over the limit is sent truncated (TC) instead of dropped, so that a real client retries over
    /// TCP; 0 drops all, 1 truncates all.
    #[serde(default = "default_slip")]
    pub slip: u8,
    /// Addresses and prefixes of clients that are never limited.
    #[serde(default)]
    pub exempt: Vec<String>,
}

impl Default for RateLimitSection {
    fn default() -> Self {
        Self { responses_per_second: 0, slip: default_slip(), exempt: Vec::new() }
    }
}

fn default_slip() -> u8 {
    2
}

impl AccessSection {
    /// Converts the section for the front end.
    pub(crate) fn access(&self) -> Outcome<Access> {
        Ok(Access { allow: prefixes("access.allow", &self.allow)?, deny: prefixes("access.deny", &self.deny)? })
    }
}

impl RateLimitSection {
    /// Converts the section for the front end; `None` if answers are not limited.
    pub(crate) fn rate_limit(&self) -> Outcome<Option<RateLimit>> {
        let exempt = prefixes("rate_limit.exempt", &self.exempt)?;
        let limit = |per_second| RateLimit { per_second, slip: NonZeroU8::new(self.slip), exempt };
        Ok(NonZeroU32::new(self.responses_per_second).map(limit))
    }
}

fn prefixes(key: &str, texts: &[String]) -> Outcome<Prefixes> {
    let parse = |text: &String| {
        let prefix = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        prefix.map_err(|_| {
            Failure::usage(format_args!("`{key}`: \"{text}\" is no address or prefix such as 192.0.2.0/24"))
        })
    };
    let parsed = texts.iter().map(parse).collect::<Outcome<_>>()?;
    Prefixes::new(parsed).ok_or_else(|| {
        Failure::usage(format_args!(
            "`{key}` has more than {MAX_PREFIXES} prefixes; use a packet filter for long lists"
        ))
    })
}

/// Reads the secrets of a file, one per line in 32 hexadecimal digits. Without a file, makes a random secret.
///
/// # Errors
/// The file cannot be read, or is not a file of secrets.
pub(crate) fn cookie_secrets(file: Option<&Path>) -> Outcome<CookieSecrets> {
    let Some(path) = file else {
        let mut secret = [0; COOKIE_SECRET_LEN];
        getrandom::fill(&mut secret).map_err(Failure::failed)?;
        return Ok(CookieSecrets::new(vec![secret]).expect("one is not too many"));
    };
    let text = read_private(path, MAX_FILE).map_err(|error| Failure::new(Code::Unreadable, error))?;
    parse_secrets(&text).map_err(|why| Failure::usage(format_args!("{}: {why}", path.display())))
}

/// The message does not repeat the content of the line, which may be most of a secret.
fn parse_secrets(text: &str) -> Result<CookieSecrets, String> {
    let lines = text.lines().map(str::trim).zip(1..).filter(|(line, _)| !line.is_empty() && !line.starts_with('#'));
    let parse = |(line, number): (&str, usize)| {
        let digits = line.len() == 2 * COOKIE_SECRET_LEN && line.bytes().all(|byte| byte.is_ascii_hexdigit());
        let secret = u128::from_str_radix(line, 16).ok().filter(|_| digits);
        secret.map(u128::to_be_bytes).ok_or_else(|| format!("line {number} is not 32 hexadecimal digits"))
    };
    let secrets = lines.map(parse).collect::<Result<Vec<_>, _>>()?;
    let count = secrets.len();
    CookieSecrets::new(secrets).ok_or_else(|| {
        format!("{count} secrets; 1 to {MAX_COOKIE_SECRETS} are needed, such as `openssl rand -hex 16` prints")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_prefix_is_told() {
        let section =
            |allow: &[&str]| AccessSection { allow: allow.iter().map(ToString::to_string).collect(), deny: vec![] };
        let access = section(&["192.0.2.0/24", "2001:db8::1"]).access().unwrap();
        assert!(access.permits("2001:db8::1".parse().unwrap()) && !access.permits("2001:db8::2".parse().unwrap()));
        let message = section(&["example.com"]).access().unwrap_err().message;
        assert!(message.contains("access.allow") && message.contains("example.com"), "{message}");
        let long = vec!["::1"; MAX_PREFIXES + 1];
        assert!(section(&long).access().unwrap_err().message.contains("packet filter"));
    }

    #[test]
    fn secrets_are_read_and_never_shown() {
        let good = "# in use\n00112233445566778899aabbccddeeff\n\n  ffeeddccbbaa99887766554433221100\n";
        assert!(parse_secrets(good).is_ok());
        for (bad, said) in [
            ("", "0 secrets"),
            ("00112233445566778899aabbccddeef\n", "line 1"),
            ("\n+0112233445566778899aabbccddeeff\n", "line 2"),
            (&"00112233445566778899aabbccddeeff\n".repeat(5), "5 secrets"),
        ] {
            let why = parse_secrets(bad).unwrap_err();
            assert!(why.contains(said) && !why.contains("0112233"), "{why}");
        }
    }
}
