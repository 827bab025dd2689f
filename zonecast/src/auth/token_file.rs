//! The file of tokens of an edge: TOML, for its owner only, with hashes instead of tokens.
//!
//! # Format
//! ```toml
//! [[token]]
//! name = "ci"
//! role = "write"
//! zones = ["example.com."]        # and those below; left out: all
//! blake3 = "64 hexadecimal digits"
//! created = 1790000000            # seconds since 1970
//! expires = 1797776000            # left out: never
//! ```

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use zonecast_kv_transport::{PrivateFileError, read_private};
use zonecast_service::{Token, TokenError, TokenRecord};

use super::private_file::{folder_of, replace_private};

/// Largest file in bytes: that many tokens, each with some zones.
const MAX_FILE: u64 = 1024 * 1024;

/// Most tokens: each request is compared with all of them, some microseconds.
const MAX_TOKENS: usize = 1000;

const HEADER: &str = "# Tokens of the zonecast API, as hashes. Written by `zonecast token`.\n\n";

/// Why a file of tokens is not used.
#[derive(Debug, Error)]
pub(crate) enum TokenFileError {
    /// Cannot be read, or others can read it.
    #[error("token file {0}")]
    Private(#[from] PrivateFileError),
    /// Cannot be written; it is as it was.
    #[error("token file {}: cannot be written: {source}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Not what the module says.
    #[error("token file {}{}: {reason}", path.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Where, counted from 1.
        line: Option<usize>,
        /// Why.
        reason: String,
    },
    /// Makes no sense.
    #[error("token file {}: {source}", path.display())]
    Token {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: TokenError,
    },
    /// Two of one name, or two with one secret.
    #[error("token file {}: token {name:?} is there already", path.display())]
    Twice {
        /// Which.
        path: PathBuf,
        /// Of which token.
        name: String,
    },
    /// Over [`MAX_TOKENS`].
    #[error("token file {}: over {MAX_TOKENS} tokens", path.display())]
    Many {
        /// Which.
        path: PathBuf,
    },
}

/// A file of tokens in memory.
#[derive(Clone, Debug)]
pub(crate) struct TokenFile {
    path: PathBuf,
    tokens: Vec<Token>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    #[serde(default)]
    token: Vec<TokenRecord>,
}

impl TokenFile {
    /// Reads it.
    ///
    /// # Errors
    /// It cannot be read, others can read it, or it is not what the module says.
    pub(crate) fn read(path: &Path) -> Result<Self, TokenFileError> {
        Self::parse(path, &read_private(path, MAX_FILE)?)
    }

    /// Reads it, changes it and writes it back, as one step to others who do the same; a missing one is empty.
    ///
    /// # Errors
    /// As [`TokenFile::read`], it cannot be written, or whatever `change` says.
    pub(crate) fn update<T, E: From<TokenFileError>>(
        path: &Path,
        change: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let write_error = |source| TokenFileError::Write { path: path.into(), source };
        // The folder, as the file itself is replaced. Released when dropped.
        let folder = File::open(folder_of(path)).map_err(write_error)?;
        folder.lock().map_err(write_error)?;
        let mut file = match Self::read(path) {
            Err(TokenFileError::Private(PrivateFileError::Io { source, .. }))
                if source.kind() == io::ErrorKind::NotFound =>
            {
                Self { path: path.into(), tokens: vec![] }
            }
            read => read?,
        };
        let changed = change(&mut file)?;
        replace_private(path, &file.text()?).map_err(write_error)?;
        Ok(changed)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, TokenFileError> {
        let malformed = |error: toml::de::Error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.map(|before| before.matches('\n').count() + 1);
            TokenFileError::Malformed { path: path.into(), line, reason: error.message().replace('\n', " ") }
        };
        let stored: Stored = toml::from_str(text).map_err(malformed)?;
        let mut file = Self { path: path.into(), tokens: vec![] };
        for token in stored.token {
            file.add(Token::checked(token).map_err(|source| TokenFileError::Token { path: path.into(), source })?)?;
        }
        Ok(file)
    }

    fn text(&self) -> Result<String, TokenFileError> {
        let stored = Stored { token: self.tokens.iter().map(Token::record).collect() };
        let malformed = |reason: String| TokenFileError::Malformed { path: self.path.clone(), line: None, reason };
        let text = toml::to_string(&stored).map_err(|error| malformed(error.to_string()))?;
        match u64::try_from(text.len() + HEADER.len()) {
            Ok(length) if length <= MAX_FILE => Ok(format!("{HEADER}{text}")),
            _ => Err(malformed(format!("would grow over {MAX_FILE} bytes"))),
        }
    }

    /// Those in it.
    #[must_use]
    pub(crate) fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// Puts one more in.
    ///
    /// # Errors
    /// One of its name is in it, or too many are.
    pub(crate) fn add(&mut self, token: Token) -> Result<(), TokenFileError> {
        let path = || self.path.clone();
        if self.tokens.len() == MAX_TOKENS {
            return Err(TokenFileError::Many { path: path() });
        }
        if self.tokens.iter().any(|other| other.name() == token.name() || other.hash() == token.hash()) {
            return Err(TokenFileError::Twice { path: path(), name: token.name().into() });
        }
        self.tokens.push(token);
        Ok(())
    }

    /// Takes the one of this name out, if it is in it.
    pub(crate) fn remove(&mut self, name: &str) -> Option<Token> {
        let at = self.tokens.iter().position(|token| token.name() == name)?;
        Some(self.tokens.remove(at))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::auth::TokenRole;
    use zonecast_service::{Secret, TokenDraft};

    const HASH: &str = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";

    fn token(name: &str) -> Token {
        let hash = Secret::generate().unwrap().hash();
        let (role, zones) = (TokenRole::Write, vec!["Example.com".into()]);
        let (now, lasts) = (SystemTime::now(), Some(Duration::from_secs(60)));
        Token::new(TokenDraft { name: name.into(), hash, role, zones, now, lasts }).unwrap()
    }

    fn refused(text: &str) -> String {
        let error = TokenFile::parse(Path::new("tokens.toml"), text).unwrap_err().to_string();
        assert!(error.starts_with("token file tokens.toml") && !error.contains('\n'), "{error}");
        error
    }

    #[test]
    fn what_is_written_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.toml");
        let add = |name: &str| TokenFile::update(&path, |file| file.add(token(name)));
        add("one").unwrap();
        add("two").unwrap();
        assert!(matches!(add("two"), Err(TokenFileError::Twice { .. })));
        let read = TokenFile::read(&path).unwrap();
        let names: Vec<_> = read.tokens().iter().map(Token::name).collect();
        assert_eq!(names, ["one", "two"]);
        assert_eq!(read.tokens()[1].zones(), ["Example.com."]);
        assert_eq!(read.tokens()[1].role(), TokenRole::Write);
        assert!(read.tokens()[1].expires().is_some());
        let removed = TokenFile::update(&path, |file| Ok::<_, TokenFileError>(file.remove("one"))).unwrap();
        assert_eq!(removed.unwrap().name(), "one");
        assert_eq!(TokenFile::read(&path).unwrap().tokens().len(), 1);
        assert!(!std::fs::read_to_string(&path).unwrap().contains("zc_"));
    }

    #[test]
    fn a_file_that_others_can_read_is_neither_used_nor_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.toml");
        TokenFile::update(&path, |file| file.add(token("one"))).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let error = TokenFile::read(&path).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
        TokenFile::update(&path, |file| file.add(token("two"))).unwrap_err();
    }

    #[test]
    fn malformed_files_are_refused_with_line_and_reason() {
        let good = format!("[[token]]\nname = \"a\"\nrole = \"read\"\nblake3 = \"{HASH}\"\ncreated = 1\n");
        assert_eq!(TokenFile::parse(Path::new("x"), &good).unwrap().tokens().len(), 1);
        assert!(TokenFile::parse(Path::new("x"), "").unwrap().tokens().is_empty());
        for (text, part) in [
            (format!("{good}zone = \"a\"\n"), ":6: unknown field `zone`"),
            (format!("{good}expires = -1\n"), ":6"),
            (good.replace("read", "root"), ":3: unknown variant `root`"),
            (good.replace("af13", "zz13"), ":4: not a hash"),
            (good.replace("af13", ""), ":4: not a hash"),
            (good.replace("\"a\"", "\"a b\""), "not a name for a token"),
            (format!("{good}zones = [\"a..b\"]\n"), "zone \"a..b\""),
            (format!("{}zones = [\"b\"]\n", good.replace("read", "admin")), "takes no zones"),
            (format!("{good}{good}"), "there already"),
            (format!("{good}{}", good.replace("\"a\"", "\"b\"")), "there already"),
            ("tokens = []\n".into(), ":1: unknown field `tokens`"),
            ("[[token]\n".into(), ":1"),
            ("\u{0}".into(), ":1"),
            ("[".repeat(100_000), ":1"),
            (format!("x = {}", "[".repeat(100_000)), ":1"),
        ] {
            let error = refused(&text);
            assert!(error.contains(part), "{error}: no {part}");
        }
        let many: String = (0..=MAX_TOKENS)
            .map(|number| {
                good.replace("\"a\"", &format!("\"a{number}\"")).replace("af1349b9", &format!("{number:08x}"))
            })
            .collect();
        assert!(refused(&many).contains("over 1000 tokens"));
    }
}
