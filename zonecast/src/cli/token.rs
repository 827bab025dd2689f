//! `zonecast token create|list|revoke`: edits a token file of this machine.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::auth::{NewToken, Secret, Token as Kept, TokenFile, TokenFileError, TokenRole};
use crate::output::Output;
use zonecast_service::day;
use zonecast_service::exit::{Code, Failure, Outcome};

const DAY: u64 = 24 * 60 * 60;

/// Longest lifetime that a token can be given, in seconds; a longer one is taken for a typing mistake.
const LONGEST: u64 = 10 * 366 * DAY;

/// See `zonecast token --help`.
#[derive(Debug, Subcommand)]
pub(super) enum Token {
    /// Create a token and print it. It cannot be shown again, because the file holds only its hash. A running node
    /// accepts it within a second.
    Create(Create),
    /// List the tokens of a file.
    List(List),
    /// Revoke a token. A running node refuses it within a second.
    Revoke(Revoke),
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// Token file. If it is missing, it is created for its owner only. The user of the node must be able to read it.
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// Name of the token: letters, digits, `.`, `_` and `-`.
    name: String,
    /// Role of the token; each role includes the rights of the roles before it.
    #[arg(long, value_enum)]
    role: TokenRole,
    /// Restrict the token to this zone and the zones below it; may be given several times. The default is all zones.
    #[arg(long = "zone", value_name = "APEX")]
    zones: Vec<String>,
    /// Lifetime, such as 90d, 12h or 30m. The default is no expiry.
    #[arg(long, value_name = "TIME", value_parser = parse_lasts)]
    expires: Option<Duration>,
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Token file.
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// Token file.
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// Name of the token.
    name: String,
}

/// A token in the output. Only `create` shows the secret.
#[derive(Serialize)]
struct Shown {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    role: TokenRole,
    zones: Vec<String>,
    /// Seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<u64>,
    expired: bool,
}

impl Token {
    pub(super) fn run(self, output: Output) -> Outcome {
        match self {
            Self::Create(create) => create.run(output),
            Self::List(list) => list.run(output),
            Self::Revoke(revoke) => revoke.run(output),
        }
    }
}

impl Create {
    fn run(self, output: Output) -> Outcome {
        let secret = Secret::generate()
            .map_err(|error| Failure::failed(format_args!("the system gives no random numbers: {error}")))?;
        let (hash, now) = (secret.hash(), SystemTime::now());
        let Self { name, role, zones, expires: lasts, file } = self;
        let token = Kept::new(NewToken { name, hash, role, zones, now, lasts }).map_err(Failure::usage)?;
        let shown = Shown { token: Some(secret.reveal().into()), ..shown(&token, now) };
        TokenFile::update(&file, |file| file.add(token)).map_err(failure)?;
        output.show(&shown, |_, out| writeln!(out, "{}", secret.reveal()))?;
        Ok(())
    }
}

impl List {
    fn run(self, output: Output) -> Outcome {
        let (file, now) = (TokenFile::read(&self.file).map_err(failure)?, SystemTime::now());
        let all: Vec<Shown> = file.tokens().iter().map(|token| shown(token, now)).collect();
        output.show(&all, |all, out| all.iter().try_for_each(|token| writeln!(out, "{}", line(token))))?;
        Ok(())
    }
}

impl Revoke {
    fn run(self, output: Output) -> Outcome {
        let Self { file, name } = self;
        let revoked = TokenFile::update(&file, |tokens| {
            tokens.remove(&name).ok_or_else(|| no_token(&file, &name)).map_err(NotRevoked::None)
        });
        let revoked = revoked.map_err(|refused| match refused {
            NotRevoked::None(failure) => failure,
            NotRevoked::File(error) => failure(error),
        })?;
        output.show(&shown(&revoked, SystemTime::now()), |token, out| writeln!(out, "{} is revoked", token.name))?;
        Ok(())
    }
}

/// Why no token was revoked.
enum NotRevoked {
    None(Failure),
    File(TokenFileError),
}

impl From<TokenFileError> for NotRevoked {
    fn from(error: TokenFileError) -> Self {
        Self::File(error)
    }
}

fn no_token(file: &Path, name: &str) -> Failure {
    Failure::failed(format_args!("token file {}: there is no token {name:?}", file.display()))
}

fn failure(error: TokenFileError) -> Failure {
    let code = match &error {
        TokenFileError::Write { source, .. } if zonecast_service::exit::is_disk_full(source) => Code::Disk,
        TokenFileError::Write { .. } | TokenFileError::Private(_) => Code::Unreadable,
        _ => Code::Failed,
    };
    Failure::new(code, error)
}

fn shown(token: &Kept, now: SystemTime) -> Shown {
    Shown {
        name: token.name().into(),
        token: None,
        role: token.role(),
        zones: token.zones(),
        expires: token.expires(),
        expired: token.is_expired(now),
    }
}

/// `ci<TAB>write<TAB>example.com.<TAB>expires 2027-02-21`
fn line(token: &Shown) -> String {
    let zones = if token.zones.is_empty() { "all zones".into() } else { token.zones.join(" ") };
    let ends = match (token.expires, token.expired) {
        (None, _) => "never expires".into(),
        (Some(at), false) => format!("expires {}", day(at)),
        (Some(at), true) => format!("expired {}", day(at)),
    };
    format!("{}\t{}\t{zones}\t{ends}", token.name, token.role)
}

/// Reads `90d`, `12h`, `30m` or `45s`.
fn parse_lasts(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a time such as 90d, 12h or 30m, at most ten years");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let unit = match unit {
        "d" => DAY,
        "h" => 60 * 60,
        "m" => 60,
        "s" => 1,
        _ => return Err(wrong()),
    };
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = number.parse().ok().filter(|_| digits).and_then(|number: u64| number.checked_mul(unit));
    seconds.filter(|seconds| (1..=LONGEST).contains(seconds)).map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_how_long_a_token_lasts() {
        assert_eq!(parse_lasts("90d"), Ok(Duration::from_secs(90 * DAY)));
        assert_eq!(parse_lasts("12h"), Ok(Duration::from_secs(12 * 3600)));
        assert_eq!(parse_lasts("1s"), Ok(Duration::from_secs(1)));
        for wrong in ["", "d", "90", "0d", "-1d", "+1d", "1w", "4000d", "99999999999999999999d", "1ä", "1 d"] {
            assert!(parse_lasts(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_token_is_made_listed_and_revoked() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens.toml");
        let output = Output { json: true };
        let create = |name: &str, role, zones: &[&str]| {
            let zones = zones.iter().map(|zone| (*zone).to_owned()).collect();
            let create = Create { file: file.clone(), name: name.into(), role, zones, expires: None };
            create.run(output).map_err(|failure| failure.code)
        };
        create("ci", TokenRole::Write, &["example.com"]).unwrap();
        assert_eq!(create("ci", TokenRole::Read, &[]), Err(Code::Failed));
        assert_eq!(create("a b", TokenRole::Read, &[]), Err(Code::Usage));
        assert_eq!(create("root", TokenRole::Admin, &["example.com"]), Err(Code::Usage));
        let tokens = TokenFile::read(&file).unwrap();
        assert_eq!(line(&shown(&tokens.tokens()[0], SystemTime::now())), "ci\twrite\texample.com.\tnever expires");
        let revoke = |name: &str| Revoke { file: file.clone(), name: name.into() }.run(output);
        assert_eq!(revoke("other").unwrap_err().code, Code::Failed);
        revoke("ci").unwrap();
        assert!(TokenFile::read(&file).unwrap().tokens().is_empty());
        let nowhere = List { file: folder.path().join("nowhere") };
        assert_eq!(nowhere.run(output).unwrap_err().code, Code::Unreadable);
    }
}
