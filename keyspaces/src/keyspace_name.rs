//! Names of keyspaces and groups: plain enough for a path, a file and a command line.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Longest name in bytes, as of a label in DNS.
pub const MAX_NAME_LEN: usize = 63;

/// Names that mean something else: keyspaces of zonecast itself.
const RESERVED: [&str; 5] = ["dns", "core", "nodes", "names", "catalog"];

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// Not of the letters of a name.
    #[error(
        "`{}` is not a name: a name has 1 to {MAX_NAME_LEN} characters of a to z, 0 to 9, `-`, `_` and `.`, and begins with \
         a letter or digit", .0.escape_debug()
    )]
    Malformed(String),
    /// The name of a keyspace of zonecast itself.
    #[error("`{0}` is a name that zonecast uses itself")]
    Reserved(String),
}

macro_rules! name {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The name.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// Name of a keyspace.
    KeyspaceName
}
name! {
    /// Name of a group: what stands before the first slash of its keys.
    GroupName
}

impl FromStr for KeyspaceName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if RESERVED.contains(&text) {
            return Err(NameError::Reserved(text.to_owned()));
        }
        checked(text).map(Self)
    }
}

impl FromStr for GroupName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        checked(text).map(Self)
    }
}

fn checked(text: &str) -> Result<String, NameError> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_inside = |byte: u8| is_plain(byte) || b"-_.".contains(&byte);
    let begins_well = text.bytes().next().is_some_and(is_plain);
    if begins_well && text.len() <= MAX_NAME_LEN && text.bytes().all(is_inside) {
        return Ok(text.to_owned());
    }
    Err(NameError::Malformed(text.chars().take(MAX_NAME_LEN + 1).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_a_path_and_a_file() {
        for good in ["rules", "eu-1.rules_2", "9", &"a".repeat(63)] {
            assert_eq!(good.parse::<KeyspaceName>().unwrap().as_str(), good);
        }
        for bad in ["", "Rules", "a/b", "-a", ".", "..", "a b", "ä", &"a".repeat(64), "a\0", "dns", "core"] {
            assert!(bad.parse::<KeyspaceName>().is_err(), "{bad}");
        }
        assert_eq!("dns".parse::<GroupName>().unwrap().as_str(), "dns");
        assert!("a/b".parse::<GroupName>().is_err());
        let error = "a\n\u{1b}[2Jb".parse::<GroupName>().unwrap_err().to_string();
        assert!(!error.contains(char::is_control), "a log and a terminal show it as it is: {error}");
    }
}
