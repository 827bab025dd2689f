//! The tokens of a running listener: as the store or the file has them now, without a restart.

use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use zonecast_service::{Secret, Token, TokenTable};

use super::{Grant, TokenFile, TokenFileError, Watched};

/// Why a token gives nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadToken {
    /// Nobody has it, or has it any more.
    Unknown,
    /// It was good once.
    Expired,
}

/// One moment, on the clock that only goes on and on that of the day.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) steady: Instant,
    pub(crate) wall: SystemTime,
}

impl Moment {
    pub(crate) fn now() -> Self {
        Self { steady: Instant::now(), wall: SystemTime::now() }
    }
}

/// Where the tokens of a listener are.
#[derive(Debug)]
pub(crate) enum Tokens {
    /// In a file, which is read again when it has changed: those of an edge.
    File(Watched<TokenFile>),
    /// In the store, the same ones at every core.
    Stored(Arc<TokenTable>),
}

impl Tokens {
    /// Of a file. Once it has been read, a change that makes it unusable is logged, and what was read last stays.
    ///
    /// # Errors
    /// The file cannot be used.
    pub(crate) fn open(path: &Path) -> Result<Self, TokenFileError> {
        let file = path.to_owned();
        let load = move || TokenFile::read(&file);
        Ok(Self::File(Watched::open("token file", vec![path.into()], load)?))
    }

    /// Reads the file again, if there is one.
    ///
    /// # Errors
    /// It cannot be used; the tokens before stay.
    pub(crate) fn reload(&self) -> Option<Result<(), String>> {
        match self {
            Self::File(file) => Some(file.reload()),
            Self::Stored(_) => None,
        }
    }

    /// What the holder of a token may do.
    ///
    /// # Errors
    /// Nothing.
    pub(crate) fn grant(&self, token: &str, now: Moment) -> Result<Grant, BadToken> {
        match self {
            Self::File(file) => {
                let hash = Secret::parse(token).ok_or(BadToken::Unknown)?.hash();
                let file = file.current(now.steady);
                granted(file.tokens().iter().find(|token| *token.hash() == hash), now)
            }
            Self::Stored(table) => granted(table.find(token).as_deref(), now),
        }
    }
}

fn granted(found: Option<&Token>, now: Moment) -> Result<Grant, BadToken> {
    match found {
        None => Err(BadToken::Unknown),
        Some(token) if token.is_expired(now.wall) => Err(BadToken::Expired),
        Some(token) => Ok(Grant::of(token)),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;
    use crate::auth::TokenRole;
    use zonecast_service::TokenDraft;

    struct Book {
        _folder: tempfile::TempDir,
        path: PathBuf,
        begin: Instant,
    }

    impl Book {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("tokens.toml");
            Self { _folder: folder, path, begin: Instant::now() }
        }

        fn create(&self, name: &str, lasts: Option<Duration>) -> String {
            let secret = Secret::generate().unwrap();
            let (hash, role, zones) = (secret.hash(), TokenRole::Read, vec![]);
            let new = TokenDraft { name: name.into(), hash, role, zones, now: SystemTime::UNIX_EPOCH, lasts };
            let token = Token::new(new).unwrap();
            TokenFile::update(&self.path, |file| file.add(token)).unwrap();
            secret.reveal().to_owned()
        }

        fn at(&self, seconds: u64) -> Moment {
            let since = Duration::from_secs(seconds);
            Moment { steady: self.begin + since, wall: SystemTime::UNIX_EPOCH + since }
        }
    }

    #[test]
    fn only_a_token_of_the_file_is_good_and_only_while_it_lasts() {
        let book = Book::new();
        let (one, ending) = (book.create("one", None), book.create("two", Some(Duration::from_secs(9))));
        let tokens = Tokens::open(&book.path).unwrap();
        assert!(tokens.grant(&one, book.at(0)).unwrap().may(TokenRole::Read));
        assert!(!tokens.grant(&one, book.at(0)).unwrap().may(TokenRole::Write));
        tokens.grant(&ending, book.at(8)).unwrap();
        assert_eq!(tokens.grant(&ending, book.at(9)).unwrap_err(), BadToken::Expired);
        for wrong in ["", "zc_", &one[..66], Secret::generate().unwrap().reveal()] {
            assert_eq!(tokens.grant(wrong, book.at(0)).unwrap_err(), BadToken::Unknown);
        }
    }

    #[test]
    fn changes_of_the_file_count_a_second_later() {
        let book = Book::new();
        let one = book.create("one", None);
        let tokens = Tokens::open(&book.path).unwrap();
        tokens.grant(&one, book.at(10)).unwrap();
        TokenFile::update(&book.path, |file| Ok::<_, TokenFileError>(file.remove("one"))).unwrap();
        let two = book.create("two", None);
        tokens.grant(&one, book.at(10)).unwrap();
        assert_eq!(tokens.grant(&one, book.at(11)).unwrap_err(), BadToken::Unknown);
        tokens.grant(&two, book.at(11)).unwrap();
    }

    #[test]
    fn a_file_that_broke_leaves_what_was_read_last() {
        let book = Book::new();
        let one = book.create("one", None);
        let tokens = Tokens::open(&book.path).unwrap();
        std::fs::write(&book.path, "nonsense").unwrap();
        tokens.grant(&one, book.at(10)).unwrap();
        std::fs::remove_file(&book.path).unwrap();
        tokens.grant(&one, book.at(20)).unwrap();
        assert!(Tokens::open(&book.path).is_err());
        // It is read again as soon as it is good.
        let two = book.create("two", None);
        tokens.grant(&two, book.at(30)).unwrap();
        assert_eq!(tokens.grant(&one, book.at(30)).unwrap_err(), BadToken::Unknown);
    }
}
