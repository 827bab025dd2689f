//! What can be wrong with a stored value.

use thiserror::Error;

/// Bytes that are not the value that their key promises: damage. Such a value is never served.
#[derive(Debug, Error)]
pub enum ValueError {
    /// Not the MessagePack of this value, or it ends early.
    #[error("value is malformed: {0}")]
    Syntax(#[from] rmp_serde::decode::Error),
    /// A format this release does not know.
    #[error("value format {0} is not known to this release")]
    Format(u8),
    /// A field whose bytes do not fit together.
    #[error("field {0} is malformed")]
    Field(&'static str),
}
