//! A core as the membership of its cluster names it.

use std::fmt;

/// Most bytes of a name or an address: DNS names and textual socket addresses are shorter.
pub(crate) const MAX_TEXT: usize = 255;

/// A core in the membership. Its node id stands beside it: the id belongs to one disk for ever, the name to whoever has
/// the certificate for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// The name in its certificate.
    pub name: String,
    /// Where the others reach it: an address with a port, or a host name with one.
    pub address: String,
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.as_str() {
            "" => f.write_str(&self.address),
            name => write!(f, "{name} at {}", self.address),
        }
    }
}
