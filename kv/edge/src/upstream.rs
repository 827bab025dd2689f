//! Where a node to follow is, as a configuration says: an address, or a host name that is looked up at each attempt.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use thiserror::Error;

/// Longest host name of DNS, as text without the last dot.
const MAX_HOST: usize = 253;

/// Longest label of one.
const MAX_LABEL: usize = 63;

/// A node that an edge may follow, a core or a relay: an IP address or a host name, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream(Place);

/// What there is to go by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Address(SocketAddr),
    Name { host: String, port: u16 },
}

/// Text that is not an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UpstreamError {
    /// Nothing says which port.
    #[error("{0:?} has no port between 1 and 65535: write \"HOST:PORT\"")]
    Port(String),
    /// An IPv6 address of which nobody can tell where it ends.
    #[error("{0:?} needs brackets around the address: write \"[ADDRESS]:PORT\"")]
    Brackets(String),
    /// Neither an address nor a host name.
    #[error("{0:?} is neither an IP address with a port, such as \"192.0.2.1:8054\", nor a host name with one")]
    Host(String),
}

impl Upstream {
    /// The address, unless it is a host name.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.0 {
            Place::Address(address) => Some(*address),
            Place::Name { .. } => None,
        }
    }

    pub(crate) fn place(&self) -> &Place {
        &self.0
    }
}

impl From<SocketAddr> for Upstream {
    fn from(address: SocketAddr) -> Self {
        Self(Place::Address(address))
    }
}

impl FromStr for Upstream {
    type Err = UpstreamError;

    fn from_str(text: &str) -> Result<Self, UpstreamError> {
        let (host, port) = text.rsplit_once(':').ok_or_else(|| UpstreamError::Port(text.to_owned()))?;
        let port = port.parse::<u16>().ok().filter(|port| *port != 0);
        let port = port.ok_or_else(|| UpstreamError::Port(text.to_owned()))?;
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(address.into());
        }
        if host.parse::<IpAddr>().is_ok() {
            return Err(UpstreamError::Brackets(text.to_owned()));
        }
        if !is_host_name(host) {
            return Err(UpstreamError::Host(text.to_owned()));
        }
        Ok(Self(Place::Name { host: host.to_owned(), port }))
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Address(address) => address.fmt(f),
            Place::Name { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

/// A last label of digits is a part of an address that was mistyped, which resolvers read in ways of their own.
fn is_host_name(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let is_inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let is_label = |label: &str| (1..=MAX_LABEL).contains(&label.len()) && label.bytes().all(is_inside);
    let last = host.rsplit('.').next().unwrap_or_default();
    host.len() <= MAX_HOST && host.split('.').all(is_label) && !last.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Upstream, UpstreamError> {
        text.parse()
    }

    #[test]
    fn addresses_and_host_names_are_read_and_written() {
        for text in ["192.0.2.1:8054", "[2001:db8::1]:8054"] {
            let upstream = read(text).unwrap();
            assert_eq!((upstream.address(), upstream.to_string().as_str()), (text.parse().ok(), text));
        }
        for text in ["core-1.example.net:8054", "localhost:1", "core_1.example.net.:65535", "1.a:1"] {
            let upstream = read(text).unwrap();
            assert_eq!((upstream.address(), upstream.to_string().as_str()), (None, text));
        }
    }

    #[test]
    fn what_is_neither_is_told_what_is_wrong() {
        for text in ["", "core-1", "192.0.2.1", "core-1:", "core-1:0", "192.0.2.1:0", "core-1:65536", "a:b"] {
            assert_eq!(read(text), Err(UpstreamError::Port(text.into())));
        }
        assert!(matches!(read("2001:db8::1:8054"), Err(UpstreamError::Brackets(_))));
        let long = format!("{}.a:1", "a".repeat(64));
        for text in [":1", "a..b:1", "https://a:1", "a b:1", "192.0.2:1", "192.0.2.256:1", "[a]:1", ".:1", &long] {
            assert_eq!(read(text), Err(UpstreamError::Host(text.into())));
        }
    }
}
