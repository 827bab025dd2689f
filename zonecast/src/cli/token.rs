//! `zonecast token create|list|revoke`: the tokens of the cores, over their API, or the token file of an edge.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};

use crate::auth::{TokenFile, TokenFileError};
use crate::output::Output;
use zonecast_api::Client;
use zonecast_api::types::{NewToken, TokenInfo, TokenRole};
use zonecast_service::day;
use zonecast_service::exit::{Code, Failure, Outcome};
use zonecast_service::{Secret, Token as Kept, TokenDraft};

const DAY: u64 = 24 * 60 * 60;

/// Longest lifetime that a token can be given, in seconds; a longer one is taken for a typing mistake.
const LONGEST: u64 = 10 * 366 * DAY;

/// See `zonecast token --help`.
#[derive(Debug, Subcommand)]
pub(super) enum Token {
    /// Create a token and print it. It cannot be shown again, because only its hash is kept. Every core accepts it as
    /// soon as it has applied that; an edge within a second.
    Create(Create),
    /// List the tokens.
    List(List),
    /// Revoke a token. Every core refuses it as soon as it has applied that; an edge within a second.
    Revoke(Revoke),
}

#[derive(Debug, Args)]
pub(super) struct Create {
    #[command(flatten)]
    kept: KeptIn,
    /// Name of the token: letters, digits, `.`, `_` and `-`.
    name: String,
    /// Role of the token: read, write or admin; each includes the rights of the roles before it.
    #[arg(long)]
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
    #[command(flatten)]
    kept: KeptIn,
}

#[derive(Debug, Args)]
pub(super) struct Revoke {
    #[command(flatten)]
    kept: KeptIn,
    /// Name of the token.
    name: String,
}

/// Where the tokens are that a command is about.
#[derive(Debug, Args)]
pub(super) struct KeptIn {
    /// Token file of an edge on this machine. Without this option, the tokens are those of the cores, and the command
    /// asks the core at `--core`. If the file is missing, `create` makes it for its owner only; the user of the edge must
    /// be able to read it.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Token {
    /// `client` is the way to the core, for those who ask it.
    pub(super) fn run(self, output: Output, client: impl FnOnce() -> Outcome<Client>) -> Outcome {
        match self {
            Self::Create(create) => create.run(output, client),
            Self::List(list) => list.run(output, client),
            Self::Revoke(revoke) => revoke.run(output, client),
        }
    }
}

impl Create {
    fn run(self, output: Output, client: impl FnOnce() -> Outcome<Client>) -> Outcome {
        let Self { name, role, zones, expires: lasts, kept } = self;
        let created = match kept.file {
            Some(file) => in_file(&file, NewInFile { name, role, zones, lasts })?,
            None => {
                let new = NewToken { name, role, zones, lasts_s: lasts.map(|lasts| lasts.as_secs()) };
                client()?.create_token(&new)?
            }
        };
        output.show(&created, |created, out| writeln!(out, "{}", created.token.as_deref().unwrap_or_default()))?;
        Ok(())
    }
}

impl List {
    fn run(self, output: Output, client: impl FnOnce() -> Outcome<Client>) -> Outcome {
        let all = match self.kept.file {
            Some(file) => {
                let (file, now) = (TokenFile::read(&file).map_err(failure)?, SystemTime::now());
                file.tokens().iter().map(|token| token.describe(now)).collect()
            }
            None => client()?.tokens()?.tokens,
        };
        output.show(&all, |all, out| all.iter().try_for_each(|token| writeln!(out, "{}", line(token))))?;
        Ok(())
    }
}

impl Revoke {
    fn run(self, output: Output, client: impl FnOnce() -> Outcome<Client>) -> Outcome {
        let Self { name, kept } = self;
        let revoked = match kept.file {
            Some(file) => revoke_in_file(&file, &name)?,
            None => client()?.revoke_token(&name)?,
        };
        output.show(&revoked, |token, out| writeln!(out, "{} is revoked", token.name))?;
        Ok(())
    }
}

/// A token that a file is to have.
struct NewInFile {
    name: String,
    role: TokenRole,
    zones: Vec<String>,
    lasts: Option<Duration>,
}

fn in_file(file: &Path, new: NewInFile) -> Outcome<TokenInfo> {
    let secret = Secret::generate()
        .map_err(|error| Failure::failed(format_args!("the system gives no random numbers: {error}")))?;
    let NewInFile { name, role, zones, lasts } = new;
    let (hash, now) = (secret.hash(), SystemTime::now());
    let token = Kept::new(TokenDraft { name, hash, role, zones, now, lasts }).map_err(Failure::usage)?;
    let created = TokenInfo { token: Some(secret.reveal().into()), ..token.describe(now) };
    TokenFile::update(file, |file| file.add(token)).map_err(failure)?;
    Ok(created)
}

fn revoke_in_file(file: &Path, name: &str) -> Outcome<TokenInfo> {
    let revoked = TokenFile::update(file, |tokens| {
        tokens.remove(name).ok_or_else(|| no_token(file, name)).map_err(NotRevoked::None)
    });
    let revoked = revoked.map_err(|refused| match refused {
        NotRevoked::None(failure) => failure,
        NotRevoked::File(error) => failure(error),
    })?;
    Ok(revoked.describe(SystemTime::now()))
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

/// `ci<TAB>write<TAB>example.com.<TAB>expires 2027-02-21`
fn line(token: &TokenInfo) -> String {
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
    fn a_token_of_an_edge_is_made_listed_and_revoked_in_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens.toml");
        let output = Output { json: true };
        let no_client = || panic!("a file needs no core");
        let kept = || KeptIn { file: Some(file.clone()) };
        let create = |name: &str, role, zones: &[&str]| {
            let zones = zones.iter().map(|zone| (*zone).to_owned()).collect();
            let create = Create { kept: kept(), name: name.into(), role, zones, expires: None };
            create.run(output, no_client).map_err(|failure| failure.code)
        };
        create("ci", TokenRole::Write, &["example.com"]).unwrap();
        assert_eq!(create("ci", TokenRole::Read, &[]), Err(Code::Failed));
        assert_eq!(create("a b", TokenRole::Read, &[]), Err(Code::Usage));
        assert_eq!(create("root", TokenRole::Admin, &["example.com"]), Err(Code::Usage));
        let tokens = TokenFile::read(&file).unwrap();
        let described = tokens.tokens()[0].describe(SystemTime::now());
        assert_eq!(line(&described), "ci\twrite\texample.com.\tnever expires");
        let revoke = |name: &str| Revoke { kept: kept(), name: name.into() }.run(output, no_client);
        assert_eq!(revoke("other").unwrap_err().code, Code::Failed);
        revoke("ci").unwrap();
        assert!(TokenFile::read(&file).unwrap().tokens().is_empty());
        let nowhere = List { kept: KeptIn { file: Some(folder.path().join("nowhere")) } };
        assert_eq!(nowhere.run(output, no_client).unwrap_err().code, Code::Unreadable);
    }
}
