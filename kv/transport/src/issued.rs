//! What a CA has issued and revoked: the file `issued` in its folder.
//!
//! # Format
//! Text. The first line is `zonecast-issued 1`; then one line a certificate, oldest first, of fields between tabs:
//! ```text
//! serial (hexadecimal)  role  name  not_after  revoked_at or -  hosts, between commas, or -
//! ```
//! Times are seconds of Unix time.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use thiserror::Error;

use crate::peer::check_name;
use crate::{Role, Serial};

const HEADER: &str = "zonecast-issued 1";

/// Certificates that a CA keeps in mind, so that the file and the list made from it stay small enough to read whole.
pub(crate) const MAX_ISSUED: usize = 100_000;

/// Some 160 bytes for each, more where there are many hosts.
pub(crate) const MAX_FILE: u64 = 64 * 1024 * 1024;

/// So long after its end a certificate is forgotten, revoked or not: no clock is wrong by a year and goes unnoticed.
const FORGOTTEN_AFTER: Duration = Duration::from_hours(365 * 24);

/// A certificate as its CA remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedCertificate {
    /// Its number.
    pub serial: Serial,
    /// What the node may be.
    pub role: Role,
    /// Which one it is.
    pub name: String,
    /// When it expires.
    pub not_after: SystemTime,
    /// When it was revoked, if it was.
    pub revoked_at: Option<SystemTime>,
    /// Names and addresses for HTTPS.
    pub hosts: Vec<String>,
}

/// A line that says something else.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum IssuedError {
    /// Not this file, or of a later release.
    #[error("line 1: not `{HEADER}`")]
    Header,
    /// Which line.
    #[error("line {0}: not serial, role, name, not_after, revoked_at and hosts between tabs")]
    Line(usize),
    /// More than [`MAX_ISSUED`].
    #[error("more than {MAX_ISSUED} certificates")]
    TooMany,
}

/// All of them, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Issued(pub(crate) Vec<IssuedCertificate>);

impl Issued {
    pub(crate) fn parse(text: &str) -> Result<Self, IssuedError> {
        let mut lines = (1..).zip(text.lines());
        if lines.next().is_none_or(|(_, line)| line != HEADER) {
            return Err(IssuedError::Header);
        }
        let mut issued = Vec::new();
        for (number, line) in lines {
            if issued.len() >= MAX_ISSUED {
                return Err(IssuedError::TooMany);
            }
            issued.push(parse_line(line).ok_or(IssuedError::Line(number))?);
        }
        Ok(Self(issued))
    }

    pub(crate) fn to_text(&self) -> String {
        let mut text = format!("{HEADER}\n");
        for IssuedCertificate { serial, role, name, not_after, revoked_at, hosts } in &self.0 {
            let revoked_at = revoked_at.map_or("-".to_owned(), |time| seconds(time).to_string());
            let hosts = if hosts.is_empty() { "-".to_owned() } else { hosts.join(",") };
            let not_after = seconds(*not_after);
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{serial}\t{role}\t{name}\t{not_after}\t{revoked_at}\t{hosts}");
        }
        text
    }

    pub(crate) fn add(&mut self, certificate: IssuedCertificate, now: SystemTime) -> Result<(), IssuedError> {
        self.0.retain(|old| old.not_after + FORGOTTEN_AFTER >= now);
        if self.0.len() >= MAX_ISSUED {
            return Err(IssuedError::TooMany);
        }
        self.0.push(certificate);
        Ok(())
    }
}

fn parse_line(line: &str) -> Option<IssuedCertificate> {
    let mut fields = line.split('\t');
    let serial = fields.next()?.parse().ok()?;
    let role = fields.next()?.parse().ok()?;
    let name = fields.next().filter(|name| check_name(name).is_ok())?.to_owned();
    let not_after = time(fields.next()?)?;
    let revoked_at = match fields.next()? {
        "-" => None,
        text => Some(time(text)?),
    };
    let hosts = match fields.next()? {
        "-" => Vec::new(),
        hosts => hosts.split(',').map(str::to_owned).collect(),
    };
    fields.next().is_none().then_some(IssuedCertificate { serial, role, name, not_after, revoked_at, hosts })
}

fn time(text: &str) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_secs(text.parse().ok()?))
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "zonecast-issued 1\n\
        0a1b\tedge\tedge-1\t1900000000\t-\t-\n\
        ff\tcore\tcore-1\t1900000000\t1800000000\texample.com,192.0.2.1\n";

    #[test]
    fn what_was_written_is_read_back() {
        let issued = Issued::parse(GOOD).unwrap();
        assert_eq!((issued.0.len(), issued.to_text().as_str()), (2, GOOD));
        assert_eq!(issued.0[1].revoked_at, Some(UNIX_EPOCH + Duration::from_secs(1_800_000_000)));
        assert_eq!(issued.0[1].hosts, ["example.com", "192.0.2.1"]);
    }

    #[test]
    fn anything_else_is_refused_with_its_line() {
        assert_eq!(Issued::parse(""), Err(IssuedError::Header));
        assert_eq!(Issued::parse("zonecast-issued 2\n"), Err(IssuedError::Header));
        for bad in [
            "",
            "ff",
            "zz\tedge\ta\t1\t-\t-",
            "ff\tking\ta\t1\t-\t-",
            "ff\tedge\tA\t1\t-\t-",
            "ff\tedge\ta\t-1\t-\t-",
            "ff\tedge\ta\t1\t?\t-",
            "ff\tedge\ta\t1\t-",
            "ff\tedge\ta\t1\t-\t-\tx",
            "ff\tedge\ta\t18446744073709551615\t-\t-",
            "éa\tedge\ta\t1\t-\t-",
        ] {
            assert_eq!(Issued::parse(&format!("{HEADER}\n{bad}\n")), Err(IssuedError::Line(2)), "{bad:?}");
        }
        let line = "ff\tedge\ta\t1\t-\t-\n".repeat(MAX_ISSUED + 1);
        assert_eq!(Issued::parse(&format!("{HEADER}\n{line}")), Err(IssuedError::TooMany));
    }

    #[test]
    fn what_expired_long_ago_is_forgotten() {
        let mut issued = Issued::parse(GOOD).unwrap();
        let one =
            IssuedCertificate { not_after: UNIX_EPOCH + Duration::from_secs(2_000_000_000), ..issued.0[0].clone() };
        issued.add(one.clone(), UNIX_EPOCH + Duration::from_secs(1_900_000_000)).unwrap();
        assert_eq!(issued.0.len(), 3);
        issued.add(one, UNIX_EPOCH + Duration::from_secs(1_900_000_001) + FORGOTTEN_AFTER).unwrap();
        assert_eq!(issued.0.len(), 2);
    }
}
