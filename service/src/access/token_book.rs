//! Tokens as they stand in the store.
//!
//! # Format
//! A key is the keyspace `8002`, `t` and the name of a token. The value is the positional MessagePack array `[format,
//! role, hash of the secret, created, expires, zones]`. All of them are one section, of partition 0.

use std::ops::ControlFlow;

use bytes::Bytes;
use serde_bytes::ByteBuf;
use thiserror::Error;
use zonecast_api::types::TokenRole;
use zonecast_kv_proto::{Key, KeyspaceId, Op, SectionId, Value, View, ViewError, positional, read_whole};

use super::token::TokenRecord;
use super::{SecretHash, Token};

/// The section of everything about access.
pub(crate) const ACCESS: SectionId = SectionId { keyspace: KeyspaceId::ACCESS, partition: 0 };

const FORMAT: u8 = 1;

/// After the keyspace in the key of a token.
const TOKEN: u8 = b't';

positional! {
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    struct StoredToken {
        format: u8,
        /// Its place in [`TokenRole::ALL`].
        role: u8,
        hash: ByteBuf,
        created: u64,
        expires: Option<u64>,
        zones: Vec<String>,
    }
}

/// Why tokens cannot be read.
#[derive(Debug, Error)]
pub(crate) enum TokenBookError {
    /// The store could not be read.
    #[error(transparent)]
    View(#[from] ViewError),
    /// Damage, or the work of a later release.
    #[error("token at key {key}: {what}")]
    Entry { key: String, what: String },
}

/// Keeps a token, in the place of one of its name.
pub(crate) fn put_token(token: &Token) -> Op {
    let TokenRecord { name, role, zones, blake3, created, expires } = token.record();
    let role = TokenRole::ALL.iter().position(|one| *one == role).unwrap_or_default();
    let role = u8::try_from(role).unwrap_or_default();
    let hash = ByteBuf::from(blake3.as_bytes());
    let stored = StoredToken { format: FORMAT, role, hash, created, expires, zones };
    let value = rmp_serde::to_vec(&stored).expect("plain data always encodes");
    Op::Put { key: key(&name), value: Value::new(value).expect("a thousand names are within the limits of values") }
}

/// Keeps no token of this name.
pub(crate) fn delete_token(name: &str) -> Op {
    Op::Delete { key: key(name) }
}

/// All tokens, by name.
pub(crate) fn read_tokens(view: &(impl View + ?Sized)) -> Result<Vec<Token>, TokenBookError> {
    let [high, low] = KeyspaceId::ACCESS.get().to_be_bytes();
    let (mut tokens, mut bad) = (Vec::new(), None);
    view.scan(&[high, low, TOKEN], &[high, low, TOKEN + 1], &mut |key, value| match read(key, value) {
        Ok(token) => {
            tokens.push(token);
            ControlFlow::Continue(())
        }
        Err(what) => {
            bad = Some(TokenBookError::Entry { key: key.escape_ascii().to_string(), what });
            ControlFlow::Break(())
        }
    })?;
    bad.map_or(Ok(tokens), Err)
}

fn key(name: &str) -> Key {
    let [high, low] = KeyspaceId::ACCESS.get().to_be_bytes();
    let key = [&[high, low, TOKEN], name.as_bytes()].concat();
    Key::new(Bytes::from(key)).expect("the name of a token is short")
}

fn read(key: &[u8], value: &[u8]) -> Result<Token, String> {
    let name = key.get(3..).and_then(|name| std::str::from_utf8(name).ok()).ok_or("not a name")?.to_owned();
    let stored: StoredToken = read_whole(value).map_err(|error| error.to_string())?;
    let StoredToken { format, role, hash, created, expires, zones } = stored;
    if format != FORMAT {
        return Err(format!("format {format} is not known to this release"));
    }
    let role = TokenRole::ALL.get(usize::from(role)).copied().ok_or("a role that is not known to this release")?;
    let blake3 = SecretHash::from_slice(&hash).ok_or("not a hash")?;
    Token::checked(TokenRecord { name, role, zones, blake3, created, expires }).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use zonecast_kv_proto::{Batch, MemoryView, Section};

    use super::*;
    use crate::access::{Secret, TokenDraft};

    fn token(name: &str, role: TokenRole, zones: &[&str], lasts: Option<Duration>) -> Token {
        let zones = zones.iter().map(|zone| (*zone).to_owned()).collect();
        let (hash, now) = (Secret::generate().unwrap().hash(), SystemTime::UNIX_EPOCH + Duration::from_secs(7));
        Token::new(TokenDraft { name: name.into(), hash, role, zones, now, lasts }).unwrap()
    }

    fn store(ops: Vec<Op>) -> MemoryView {
        let mut view = MemoryView::new();
        view.apply(&Batch { preconditions: vec![], sections: vec![Section { id: ACCESS, ops }] });
        view
    }

    #[test]
    fn reads_what_it_wrote() {
        let all = [
            token("admin", TokenRole::Admin, &[], None),
            token("ci", TokenRole::Write, &["example.com", "example.net"], Some(Duration::from_secs(60))),
            token("look", TokenRole::Read, &[], None),
        ];
        let mut ops: Vec<Op> = all.iter().map(put_token).collect();
        let read = read_tokens(&store(ops.clone())).unwrap();
        let described = |tokens: &[Token]| -> Vec<_> {
            tokens.iter().map(|token| (token.describe(SystemTime::UNIX_EPOCH), *token.hash())).collect()
        };
        assert_eq!(described(&read), described(&all));
        ops.push(delete_token("ci"));
        let left: Vec<_> = read_tokens(&store(ops)).unwrap().iter().map(|token| token.name().to_owned()).collect();
        assert_eq!(left, ["admin", "look"]);
    }

    #[test]
    fn damage_is_said_and_no_edge_holds_it() {
        assert!(!ACCESS.keyspace.is_published());
        let Op::Put { key, value } = put_token(&token("ci", TokenRole::Write, &["example.com"], None)) else {
            panic!("not a put")
        };
        for cut in 0..value.as_bytes().len() {
            let value = Value::new(value.as_bytes()[..cut].to_vec()).unwrap();
            let error = read_tokens(&store(vec![Op::Put { key: key.clone(), value }])).unwrap_err();
            assert!(error.to_string().contains("tci"), "{error}");
        }
    }
}
