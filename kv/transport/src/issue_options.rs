//! What a certificate is asked to say.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use rustls::pki_types::DnsName;

use crate::certificate::is_of_a_node;
use crate::{IdentityError, Role};

/// Until certificates renew themselves, an edge left alone must not fall silent.
pub const DEFAULT_VALIDITY: Duration = Duration::from_hours(5 * 365 * 24);

/// What a certificate is asked to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssueOptions {
    /// What the node may be.
    pub role: Role,
    /// Which one it is: one lower-case label.
    pub name: String,
    /// Where the node speaks HTTPS, so that its API can use the same certificate.
    pub hosts: Vec<Host>,
    /// From now on. It ends with the CA at the latest.
    pub valid_for: Duration,
}

impl IssueOptions {
    /// Without hosts, for five years.
    pub fn new(role: Role, name: impl Into<String>) -> Self {
        Self { role, name: name.into(), hosts: Vec::new(), valid_for: DEFAULT_VALIDITY }
    }
}

/// A DNS name or an IP address that a certificate is good for besides what it says about the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host(String);

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Host {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self(address.to_string()));
        }
        let name = text.to_ascii_lowercase();
        // With a name of ours, an edge could pass for a core.
        let good = DnsName::try_from(name.as_str()).is_ok() && !name.ends_with('.') && !is_of_a_node(&name);
        if good { Ok(Self(name)) } else { Err(IdentityError::Host(text.to_owned())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_cannot_say_what_a_node_is() {
        for good in ["core-1.example.com", "LOCALHOST", "192.0.2.1", "2001:db8::1", "notzonecast", "a.notzonecast"] {
            assert!(good.parse::<Host>().is_ok(), "{good}");
        }
        for bad in
            ["", "core.zonecast", "CORE.Zonecast", "x.edge.zonecast", "zonecast", "core.zonecast.", "*.a", "a b", "a."]
        {
            assert!(bad.parse::<Host>().is_err(), "{bad}");
        }
    }
}
