//! The author of a request: it decides with which requests it shares [places](crate::shares), and the history of a zone
//! names it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// The author of a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// Somebody with the good token of this name.
    Token(Arc<str>),
    /// Somebody without one: an address, or a /64 of IPv6, which is what one host has to choose from.
    Address(IpAddr),
}

impl Who {
    /// Whoever sends from this address.
    pub fn at(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        })
    }

    /// For the history and log lines: name of the token, empty without one.
    pub fn name(&self) -> &str {
        match self {
            Self::Token(name) => name,
            Self::Address(_) => "",
        }
    }
}

impl Default for Who {
    fn default() -> Self {
        Self::at(Ipv4Addr::LOCALHOST.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_one_whatever_it_calls_itself() {
        let who = |text: &str| Who::at(text.parse().unwrap());
        assert_eq!(who("2001:db8::1"), who("2001:db8::ffff:1"));
        assert_ne!(who("2001:db8::1"), who("2001:db8:0:1::1"));
        assert_eq!(who("::ffff:192.0.2.1"), who("192.0.2.1"));
        assert_ne!(who("192.0.2.1"), who("192.0.2.2"));
    }
}
