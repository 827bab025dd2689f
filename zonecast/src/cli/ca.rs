//! `zonecast ca init|issue|show|revoke|publish`: the certificate authority, on the machine that its folder is on, and its
//! revocation list for all nodes.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use serde::Serialize;
use zonecast_kv_transport::{
    Ca as Authority, CaError, Host, Identity, IdentityError, IssueOptions, IssuedCertificate, Role,
};

use crate::output::Output;
use zonecast_api::Client;
use zonecast_service::day;
use zonecast_service::exit::{Failure, Outcome};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Longest validity of a certificate, in seconds: the validity of a CA itself.
const LONGEST: u64 = 20 * 365 * DAY;

/// See `zonecast ca --help`.
#[derive(Debug, Subcommand)]
pub(super) enum Ca {
    /// Create the certificate authority of a system. Whoever has its key can become any node, so do not keep the key on
    /// a node.
    Init(Init),
    /// Issue the certificate of a node. Copy the folder that this command writes to the node, to the path of its
    /// `identity` setting.
    Issue(Issue),
    /// Show the certificates that an authority has issued, or the name and expiry of the certificate in a node's
    /// folder.
    Show(Show),
    /// Revoke certificates: writes the revocation list, which `zonecast ca publish` then brings to every node.
    Revoke(Revoke),
    /// Have every core and edge refuse the certificates of a revocation list. A core does so as soon as it has applied
    /// that, an edge as soon as it has received it.
    Publish(Publish),
}

#[derive(Debug, Args)]
pub(super) struct Init {
    /// Folder of the new certificate authority.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct Issue {
    /// Folder of the certificate authority.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Role of the node: core, relay, edge or client.
    #[arg(long, value_name = "ROLE")]
    role: Role,
    /// Name of the node: 1 to 63 characters of a-z, 0-9 and -.
    #[arg(long, value_name = "NAME")]
    name: String,
    /// DNS name or IP address at which clients reach the API of the node by HTTPS; may be given several times.
    #[arg(long = "host", value_name = "HOST")]
    hosts: Vec<Host>,
    /// Validity, such as 90d, 12h, 30m or 30s. The default is five years.
    #[arg(long, value_name = "TIME", value_parser = parse_validity)]
    valid: Option<Duration>,
    /// Folder to write the certificate into.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Replace an existing certificate in that folder, for example to renew it. A running node uses the new one within
    /// five seconds.
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
pub(super) struct Show {
    /// Folder of a certificate authority, or of the certificate of a node.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// Folder of the certificate authority.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Name of a node, to revoke all its certificates, or the serial of one certificate.
    #[arg(value_name = "NAME|SERIAL")]
    which: String,
}

#[derive(Debug, Args)]
pub(super) struct Publish {
    /// The revocation list that `zonecast ca revoke` has written: `crl.pem` in the folder of the certificate authority.
    #[arg(value_name = "CRL")]
    list: PathBuf,
}

/// A certificate in the output. Times are seconds since 1970.
#[derive(Debug, Serialize)]
struct Shown {
    serial: String,
    role: String,
    name: String,
    expires: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<u64>,
    state: &'static str,
    hosts: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ShownCa {
    kind: &'static str,
    folder: PathBuf,
    expires: u64,
    certificates: Vec<Shown>,
}

#[derive(Debug, Serialize)]
struct ShownIdentity {
    kind: &'static str,
    folder: PathBuf,
    #[serde(flatten)]
    certificate: Shown,
}

#[derive(Debug, Serialize)]
struct Revoked {
    revoked: Vec<Shown>,
    crl: PathBuf,
}

impl Ca {
    /// `client` is the way to a core, for those who ask one.
    pub(super) fn run(self, output: Output, client: impl FnOnce() -> Outcome<Client>) -> Outcome {
        match self {
            Self::Init(init) => init.run(output),
            Self::Issue(issue) => issue.run(output),
            Self::Show(show) => show.run(output),
            Self::Revoke(revoke) => revoke.run(output),
            Self::Publish(publish) => publish.run(output, &client()?),
        }
    }
}

impl Init {
    fn run(self, output: Output) -> Outcome {
        let expires = seconds(Authority::create(&self.folder)?.not_after());
        let shown = ShownCa { kind: "ca", folder: self.folder, expires, certificates: vec![] };
        output.show(&shown, |ca, out| {
            writeln!(out, "certificate authority in {}, until {}", ca.folder.display(), moment(ca.expires))?;
            writeln!(out, "keep ca.key secret and backed up; a node needs only what `zonecast ca issue` writes")
        })?;
        Ok(())
    }
}

impl Issue {
    fn run(self, output: Output) -> Outcome {
        let Self { folder, role, name, hosts, valid, out, force } = self;
        if out.join("ca.key").exists() {
            return Err(Failure::failed(format_args!("{} holds a certificate authority", out.display())));
        }
        let taken = ["node.pem", "node.key", "ca.pem", "crl.pem"].iter().any(|file| out.join(file).exists());
        // Before anything is issued, so that what is written down has been handed out.
        if taken && !force {
            let message = format_args!("{} holds a certificate already; --force replaces it", out.display());
            return Err(Failure::failed(message));
        }
        let mut options = IssueOptions { hosts, ..IssueOptions::new(role, name) };
        options.valid_for = valid.unwrap_or(options.valid_for);
        let identity = Authority::open(&folder)?.issue_with(&options).map_err(|error| match error {
            CaError::Name(IdentityError::Name(_)) => Failure::usage(error),
            error => error.into(),
        })?;
        identity.save(&out)?;
        show_identity(out, &identity, output)
    }
}

impl Show {
    fn run(self, output: Output) -> Outcome {
        if self.folder.join("node.pem").exists() {
            let identity = Identity::load(&self.folder)?;
            return show_identity(self.folder, &identity, output);
        }
        let (ca, now) = (Authority::open(&self.folder)?, SystemTime::now());
        let certificates = ca.issued()?.into_iter().map(|one| shown(one, now)).collect();
        let shown = ShownCa { kind: "ca", folder: self.folder, expires: seconds(ca.not_after()), certificates };
        output.show(&shown, |ca, out| {
            writeln!(out, "certificate authority in {}, until {}", ca.folder.display(), moment(ca.expires))?;
            ca.certificates.iter().try_for_each(|certificate| line(certificate, out))
        })?;
        Ok(())
    }
}

impl Revoke {
    fn run(self, output: Output) -> Outcome {
        let (revocation, now) = (Authority::open(&self.folder)?.revoke(&self.which)?, SystemTime::now());
        let revoked = revocation.revoked.into_iter().map(|one| shown(one, now)).collect();
        output.show(&Revoked { revoked, crl: revocation.crl }, |revoked, out| {
            revoked.revoked.iter().try_for_each(|certificate| line(certificate, out))?;
            writeln!(out, "now `zonecast ca publish {}` brings it to every node", revoked.crl.display())
        })?;
        Ok(())
    }
}

impl Publish {
    fn run(self, output: Output, client: &Client) -> Outcome {
        let list = std::fs::read_to_string(&self.list).map_err(|error| Failure::io("read", &self.list, &error))?;
        let published = client.publish_revocations(&list)?;
        output.show(&published, |published, out| {
            writeln!(out, "{} certificates are refused by every core and edge", published.serials.len())
        })?;
        Ok(())
    }
}

fn show_identity(folder: PathBuf, identity: &Identity, output: Output) -> Outcome {
    let certificate = IssuedCertificate {
        serial: identity.serial(),
        role: identity.peer().role,
        name: identity.peer().name.clone(),
        not_after: identity.not_after(),
        revoked_at: None,
        hosts: identity.hosts(),
    };
    let mut certificate = shown(certificate, SystemTime::now());
    if identity.is_revoked() {
        certificate.state = "revoked";
    }
    let shown = ShownIdentity { kind: "identity", folder, certificate };
    output.show(&shown, |identity, out| {
        write_folder(&identity.folder, out)?;
        line(&identity.certificate, out)
    })?;
    Ok(())
}

fn write_folder(folder: &Path, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "certificate in {}", folder.display())
}

fn shown(certificate: IssuedCertificate, now: SystemTime) -> Shown {
    let state = match certificate.revoked_at {
        Some(_) => "revoked",
        None if certificate.not_after < now => "expired",
        None => "valid",
    };
    Shown {
        serial: certificate.serial.to_string(),
        role: certificate.role.to_string(),
        name: certificate.name,
        expires: seconds(certificate.not_after),
        revoked: certificate.revoked_at.map(seconds),
        state,
        hosts: certificate.hosts,
    }
}

fn line(certificate: &Shown, out: &mut dyn Write) -> io::Result<()> {
    let Shown { serial, role, name, expires, revoked, state, hosts } = certificate;
    let since = revoked.map(|revoked| format!(" since {}", moment(revoked))).unwrap_or_default();
    let hosts = if hosts.is_empty() { String::new() } else { format!(", hosts {}", hosts.join(" ")) };
    writeln!(out, "{role:<6} {name}: {state}{since}, until {}, serial {serial}{hosts}", moment(*expires))
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// `2026-11-23 23:13:40 UTC`, with the time of day because certificates may last less than a day.
fn moment(seconds: u64) -> String {
    let of_day = seconds % DAY;
    let (hour, minute, second) = (of_day / HOUR, of_day % HOUR / MINUTE, of_day % MINUTE);
    format!("{} {hour:02}:{minute:02}:{second:02} UTC", day(seconds))
}

/// Reads `90d`, `12h`, `30m` or `30s`.
fn parse_validity(text: &str) -> Result<Duration, String> {
    let units = [('d', DAY), ('h', HOUR), ('m', MINUTE), ('s', 1)];
    let unit = units.iter().find_map(|(letter, seconds)| Some((text.strip_suffix(*letter)?, *seconds)));
    let seconds = unit.and_then(|(number, unit)| number.parse::<u64>().ok()?.checked_mul(unit));
    let seconds = seconds.filter(|seconds| (1..=LONGEST).contains(seconds));
    let wrong = || format!("`{text}` is not a time such as 90d, 12h, 30m or 30s, at most 7300d");
    seconds.map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_how_long_a_certificate_lasts() {
        let hours = |hours| Ok(Duration::from_hours(hours));
        assert_eq!(parse_validity("90d"), hours(90 * 24));
        assert_eq!(parse_validity("12h"), hours(12));
        assert_eq!(parse_validity("30s"), Ok(Duration::from_secs(30)));
        for wrong in ["", "90", "0s", "-1d", "7301d", "1w", "d", "18446744073709551615d", "+ 1d"] {
            assert!(parse_validity(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn moments_have_a_day_and_a_time() {
        assert_eq!(moment(1_795_392_000), "2026-11-23 00:00:00 UTC");
        assert_eq!(moment(1_795_392_000 + 86_399), "2026-11-23 23:59:59 UTC");
    }

    #[test]
    fn the_states_of_a_certificate() {
        let now = UNIX_EPOCH + Duration::from_secs(1_900_000_000);
        let one = IssuedCertificate {
            serial: "0a".parse().unwrap(),
            role: Role::Edge,
            name: "edge-1".into(),
            not_after: now + Duration::from_secs(1),
            revoked_at: None,
            hosts: vec![],
        };
        let state = |one: &IssuedCertificate| shown(one.clone(), now).state;
        assert_eq!(state(&one), "valid");
        assert_eq!(state(&IssuedCertificate { not_after: now - Duration::from_secs(1), ..one.clone() }), "expired");
        assert_eq!(state(&IssuedCertificate { revoked_at: Some(now), ..one }), "revoked");
    }

    #[test]
    fn a_certificate_is_issued_once_and_its_folder_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let (ca, out) = (folder.path().join("ca"), folder.path().join("edge-1"));
        let output = Output { json: true };
        let issue = |out: &Path, force| Issue {
            folder: ca.clone(),
            role: Role::Edge,
            name: "edge-1".into(),
            hosts: vec![],
            valid: None,
            out: out.to_owned(),
            force,
        };
        assert!(issue(&out, false).run(output).is_err(), "there is no CA yet");
        Init { folder: ca.clone() }.run(output).unwrap();
        assert!(Init { folder: ca.clone() }.run(output).is_err());
        issue(&out, false).run(output).unwrap();
        assert!(issue(&out, false).run(output).is_err());
        assert!(issue(&ca, true).run(output).is_err(), "into the CA");
        assert_eq!(Authority::open(&ca).unwrap().issued().unwrap().len(), 1);
        issue(&out, true).run(output).unwrap();
        Revoke { folder: ca.clone(), which: "edge-1".into() }.run(output).unwrap();
        assert!(Revoke { folder: ca.clone(), which: "edge-2".into() }.run(output).is_err());
        for folder in [&ca, &out] {
            Show { folder: folder.clone() }.run(output).unwrap();
        }
        assert!(Show { folder: folder.path().to_owned() }.run(output).is_err());
        // A new one knows whom the CA has revoked.
        issue(&out, true).run(output).unwrap();
        assert!(out.join("crl.pem").exists());
    }
}
