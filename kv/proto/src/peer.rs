//! The identity of a node: a role and a name. The same name in another role is another node.

use std::fmt;

use crate::{MAX_NAME_LEN, Role};

/// A node, as its certificate says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer {
    /// Role of the node.
    pub role: Role,
    /// The name of the node; nodes of one role have different names.
    pub name: String,
}

impl Peer {
    /// The edge of this name.
    #[must_use]
    pub fn edge(name: &str) -> Self {
        Self { role: Role::Edge, name: name.to_owned() }
    }

    /// Short name for people: the name of an edge, or the name and role of another node.
    #[must_use]
    pub fn label(&self) -> String {
        match self.role {
            Role::Edge => self.name.clone(),
            _ => self.to_string(),
        }
    }
}

/// Whether text is the name of a node: one lower-case label of a domain name.
#[must_use]
pub fn is_node_name(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let outside_is_dash = name.starts_with('-') || name.ends_with('-');
    !name.is_empty() && name.len() <= MAX_NAME_LEN && !outside_is_dash && name.bytes().all(good)
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.role, self.name)
    }
}
