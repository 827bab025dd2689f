//! The way that versions take to a publisher: who passes them on, from a core to the publisher itself.
//!
//! Relays that follow each other in a circle would pass nothing on and find each other in good order. So every publisher
//! tells its downstreams the path, and a relay that finds itself in the path of its upstream leaves it.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Peer, is_node_name};

/// Most nodes of a path: far more than any tree needs, and few enough for one small frame.
pub const MAX_PATH: usize = 16;

/// Nodes from a core to a publisher, both included. Empty where it is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(Vec<Peer>);

impl Path {
    /// Of a core: nobody is above it.
    #[must_use]
    pub fn of_core(core: Peer) -> Self {
        Self(vec![core])
    }

    /// The path of a node that follows whoever has this one; nothing where that would be too long.
    #[must_use]
    pub fn to(&self, next: Peer) -> Option<Self> {
        (self.0.len() < MAX_PATH).then(|| Self(self.0.iter().cloned().chain([next]).collect()))
    }

    /// Whether a node is on it.
    #[must_use]
    pub fn contains(&self, node: &Peer) -> bool {
        self.0.contains(node)
    }

    /// The nodes, from the core on.
    #[must_use]
    pub fn nodes(&self) -> &[Peer] {
        &self.0
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.0.iter().map(Peer::to_string).collect();
        f.write_str(&names.join(" > "))
    }
}

impl Serialize for Path {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|node| (node.role.label(), &node.name)))
    }
}

impl<'de> Deserialize<'de> for Path {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::DeserializeSeed as _;
        let wire = crate::AtMost::<(String, String)>::new(MAX_PATH).deserialize(deserializer)?;
        let node = |(role, name): (String, String)| match role.parse() {
            Ok(role) if is_node_name(&name) => Ok(Peer { role, name }),
            _ => Err(D::Error::custom(format_args!("{role:?} {name:?} is no node"))),
        };
        wire.into_iter().map(node).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Role;

    fn relay(name: &str) -> Peer {
        Peer { role: Role::Relay, name: name.into() }
    }

    fn read(wire: &impl Serialize) -> Result<Path, rmp_serde::decode::Error> {
        rmp_serde::from_slice(&rmp_serde::to_vec(wire).unwrap())
    }

    #[test]
    fn grows_by_a_node_at_a_time_up_to_its_limit() {
        let core = Path::of_core(Peer { role: Role::Core, name: "core-1".into() });
        let path = core.to(relay("a")).unwrap().to(relay("b")).unwrap();
        assert_eq!(path.to_string(), "core core-1 > relay a > relay b");
        assert!(path.contains(&relay("a")) && !path.contains(&Peer::edge("a")));
        assert_eq!(read(&path).unwrap(), path);
        let mut longest = core;
        while let Some(longer) = longest.to(relay("x")) {
            longest = longer;
        }
        assert_eq!(longest.nodes().len(), MAX_PATH);
        assert_eq!(read(&longest).unwrap(), longest);
    }

    #[test]
    fn what_is_no_path_is_an_error() {
        assert!(read(&vec![("relay", "a"); MAX_PATH + 1]).is_err());
        assert!(read(&[("sun", "a")]).is_err());
        assert!(read(&[("relay", "No.Name")]).is_err());
        assert!(read(&[("relay",)]).is_err());
    }
}
