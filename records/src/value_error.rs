//! What can be wrong with a stored value.

use thiserror::Error;

/// Bytes that are not the value that their key promises: damage. Such a value is never served.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ValueError {
    /// Not the MessagePack of this value, or it ends early.
    #[error("value is malformed: {0}")]
    Syntax(String),
    /// A format this release does not know.
    #[error("value format {0} is not known to this release")]
    Format(u8),
    /// A field whose bytes do not fit together.
    #[error("field {0} is malformed")]
    Field(&'static str),
}

/// Kept as text: what reads values is not for whoever handles the error.
impl From<rmp_serde::decode::Error> for ValueError {
    fn from(error: rmp_serde::decode::Error) -> Self {
        Self::Syntax(error.to_string())
    }
}
