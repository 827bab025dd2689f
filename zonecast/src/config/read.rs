//! From a file to a checked configuration, with errors that say what to do.

use std::io;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{CoreFile, EdgeFile, RelayFile};
use zonecast_service::exit::{Failure, Outcome};

/// Largest file that is read, in bytes: a thousand edges by name are a tenth of it.
const MAX_FILE: u64 = 1024 * 1024;

/// Names at least so alike are offered instead of an unknown one (Jaro-Winkler, 0 to 1).
const ALIKE: f64 = 0.75;

/// A configuration of whichever role it says.
#[derive(Clone, Debug)]
pub(crate) enum RoleFile {
    /// `role = "core"`.
    Core(CoreFile),
    /// `role = "relay"`.
    Relay(RelayFile),
    /// `role = "edge"`.
    Edge(EdgeFile),
}

/// A file of one role.
pub(crate) trait Checked: DeserializeOwned {
    /// What `role` says in it.
    const ROLE: &'static str;

    /// Refuses what types cannot.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    fn checked(&self) -> Outcome;
}

impl Checked for CoreFile {
    const ROLE: &'static str = "core";

    fn checked(&self) -> Outcome {
        self.check()
    }
}

impl Checked for EdgeFile {
    const ROLE: &'static str = "edge";

    fn checked(&self) -> Outcome {
        self.check()
    }
}

impl Checked for RelayFile {
    const ROLE: &'static str = "relay";

    fn checked(&self) -> Outcome {
        self.check()
    }
}

#[derive(Deserialize)]
struct OnlyRole {
    role: Option<String>,
}

/// Reads the file of one role.
///
/// # Errors
/// It cannot be read, is no TOML, or says what makes no sense.
pub(crate) fn read<T: Checked>(path: &Path) -> Outcome<T> {
    parse(path, &text(path, MAX_FILE)?)
}

/// Reads the file of any role.
///
/// # Errors
/// As [`read`], or it names no role.
pub(crate) fn read_any(path: &Path) -> Outcome<RoleFile> {
    let text = text(path, MAX_FILE)?;
    let role = role(path, &text)?;
    match role.as_deref() {
        Some("core") => parse(path, &text).map(RoleFile::Core),
        Some("relay") => parse(path, &text).map(RoleFile::Relay),
        Some("edge") => parse(path, &text).map(RoleFile::Edge),
        _ => Err(Failure::usage(format_args!("{}: `role` must be \"core\", \"relay\" or \"edge\"", path.display()))),
    }
}

/// The text of a file of at most so many bytes.
///
/// # Errors
/// It is larger, or cannot be read.
fn text(path: &Path, max_len: u64) -> Outcome<String> {
    let read = || {
        if std::fs::metadata(path)?.len() > max_len {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "too large for what it is to be"));
        }
        std::fs::read_to_string(path)
    };
    read().map_err(|error| {
        Failure::new(zonecast_service::exit::Code::Unreadable, format_args!("{}: {error}", path.display()))
    })
}

fn role(path: &Path, text: &str) -> Outcome<Option<String>> {
    let OnlyRole { role } = toml::from_str(text).map_err(|error| refused(path, text, &error))?;
    Ok(role)
}

fn parse<T: Checked>(path: &Path, text: &str) -> Outcome<T> {
    // First of all: everything else would be complained about as well.
    if let Some(role) = role(path, text)?.filter(|role| role != T::ROLE) {
        let wanted = T::ROLE;
        return Err(Failure::usage(format_args!(
            "{}: `role` is \"{role}\", but this is to be \"{wanted}\"",
            path.display()
        )));
    }
    let file: T = toml::from_str(text).map_err(|error| refused(path, text, &error))?;
    file.checked().map_err(|failure| Failure::usage(format_args!("{}: {failure}", path.display())))?;
    Ok(file)
}

fn refused(path: &Path, text: &str, error: &toml::de::Error) -> Failure {
    let line = error.span().map(|span| text.get(..span.start).map_or(0, |before| before.matches('\n').count()) + 1);
    let line = line.map(|line| format!(":{line}")).unwrap_or_default();
    let message = error.message();
    let hint = nearest(message).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
    Failure::usage(format_args!("{}{line}: {message}{hint}", path.display()))
}

/// The valid name nearest to an unknown one. serde names them all: ``unknown field `x`, expected one of `a`, `b```.
fn nearest(message: &str) -> Option<&str> {
    let names = message.strip_prefix("unknown field").or_else(|| message.strip_prefix("unknown variant"))?;
    let mut names = names.split('`').skip(1).step_by(2);
    let unknown = names.next()?;
    let alike = |name: &str| strsim::jaro_winkler(unknown, name);
    names.filter(|name| alike(name) >= ALIKE).max_by(|one, other| alike(one).total_cmp(&alike(other)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CORE: &str = "role = \"core\"\ndata = \"/d\"\nidentity = \"/i\"\nquic = \"127.0.0.1:0\"\n";

    fn core(more: &str) -> Outcome<CoreFile> {
        parse(Path::new("core.toml"), &format!("{CORE}{more}"))
    }

    #[test]
    fn an_unknown_key_is_refused_with_line_and_nearest_name() {
        let message = core("edgs = []\n").unwrap_err().message;
        assert!(message.starts_with("core.toml:5: unknown field `edgs`"), "{message}");
        assert!(message.ends_with("did you mean `edges`?"), "{message}");
        let message = core("[http]\nlisten = \"127.0.0.1:1\"\ntoken = \"x\"\n").unwrap_err().message;
        assert!(message.contains(":7:") && message.ends_with("did you mean `tokens`?"), "{message}");
        let message = core("xyz = 1\n").unwrap_err().message;
        assert!(!message.contains("did you mean"), "{message}");
    }

    #[test]
    fn nothing_listens_beyond_loopback_unguarded() {
        core("[http]\nlisten = \"[::1]:8053\"\n").unwrap();
        for wanting in ["", "tls = true\n", "tokens = true\n", "tls = true\ntokens = false\n"] {
            let message = core(&format!("[http]\nlisten = \"0.0.0.0:8053\"\n{wanting}")).unwrap_err().message;
            assert!(message.contains("beyond loopback"), "{message}");
        }
        core("[http]\nlisten = \"0.0.0.0:8053\"\ntls = true\ntokens = true\n").unwrap();
    }

    #[test]
    fn tokens_of_a_core_are_in_its_store_and_those_of_an_edge_in_a_file() {
        let message = core("[http]\nlisten = \"127.0.0.1:1\"\ntokens = \"/t\"\n").unwrap_err().message;
        assert!(message.contains("true or false"), "{message}");
        let edge = "role = \"edge\"\ndata = \"/d\"\nidentity = \"/i\"\ndns = [\"127.0.0.1:53\"]\nupstreams = [\"192.0.2.1:1\"]\n";
        let edge = |tokens: &str| {
            parse::<EdgeFile>(Path::new("e"), &format!("{edge}[http]\nlisten = \"127.0.0.1:1\"\ntokens = {tokens}\n"))
        };
        assert_eq!(edge("\"/t\"").unwrap().http.token_file(), Some(Path::new("/t")));
        let message = edge("true").unwrap_err().message;
        assert!(message.contains("zonecast token create --file"), "{message}");
    }

    #[test]
    fn an_upstream_may_have_a_host_name_if_another_one_has_an_address() {
        let edge = "role = \"edge\"\ndata = \"/d\"\nidentity = \"/i\"\ndns = [\"127.0.0.1:53\"]\n";
        let read =
            |upstreams: &str| parse::<EdgeFile>(Path::new("edge.toml"), &format!("{edge}upstreams = [{upstreams}]\n"));
        let both = "\"core-1.example.net:8054\", \"192.0.2.1:8054\"";
        let file = read(both).unwrap();
        assert_eq!(
            file.upstreams.iter().map(ToString::to_string).collect::<Vec<_>>().join("\", \""),
            both.trim_matches('"')
        );
        assert_eq!(read("\"[2001:db8::1]:8054\"").unwrap().upstreams, ["[2001:db8::1]:8054".parse().unwrap()]);
        assert!(toml::to_string(&file).unwrap().contains(&format!("upstreams = [{both}]")));

        let message = read("\"core-1.example.net:8054\"").unwrap_err().message;
        assert!(message.contains("a DNS that may be itself") && message.contains("\"192.0.2.1:8054\""), "{message}");
        let message = read("\"192.0.2.1\"").unwrap_err().message;
        assert!(message.starts_with("edge.toml:5: ") && message.contains("has no port"), "{message}");
    }

    #[test]
    fn a_file_of_another_role_is_told_so() {
        let message = parse::<EdgeFile>(Path::new("e"), CORE).unwrap_err().message;
        assert!(message.contains("core") && message.contains("edge"), "{message}");
    }
}
