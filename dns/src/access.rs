//! Access lists of address prefixes.

use std::net::IpAddr;

use ipnet::IpNet;

/// Most prefixes in one list, because every query goes through the list.
pub const MAX_PREFIXES: usize = 256;

/// A list of address prefixes; an empty list contains no address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prefixes(Vec<IpNet>);

/// Access list of a server: the clients whose queries it answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Allowed clients; an empty list allows all.
    pub allow: Prefixes,
    /// Denied clients; overrides `allow`.
    pub deny: Prefixes,
}

impl Prefixes {
    /// Makes a list; `None` if there are more than [`MAX_PREFIXES`].
    #[must_use]
    pub fn new(prefixes: Vec<IpNet>) -> Option<Self> {
        (prefixes.len() <= MAX_PREFIXES).then_some(Self(prefixes))
    }

    /// Whether one of the prefixes contains the address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|prefix| prefix.contains(&address))
    }

    /// Whether the list is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Access {
    /// Whether queries from an address are answered.
    #[must_use]
    pub fn permits(&self, address: IpAddr) -> bool {
        !self.deny.contains(address) && (self.allow.is_empty() || self.allow.contains(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefixes(prefixes: &[&str]) -> Prefixes {
        Prefixes::new(prefixes.iter().map(|prefix| prefix.parse().unwrap()).collect()).unwrap()
    }

    #[test]
    fn deny_wins_and_an_empty_allow_is_everybody() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let open = Access::default();
        assert!(open.permits(address("192.0.2.1")) && open.permits(address("2001:db8::1")));
        let deny = prefixes(&["192.0.2.128/25", "2001:db8:bad::/48"]);
        let access = Access { deny: deny.clone(), ..Access::default() };
        assert!(access.permits(address("192.0.2.1")) && !access.permits(address("192.0.2.200")));
        assert!(access.permits(address("2001:db8::1")) && !access.permits(address("2001:db8:bad::1")));
        let access = Access { allow: prefixes(&["192.0.2.0/24"]), deny };
        assert!(access.permits(address("192.0.2.1")) && !access.permits(address("192.0.2.200")));
        assert!(!access.permits(address("198.51.100.1")) && !access.permits(address("2001:db8::1")));
        let every = vec!["::/0".parse().unwrap(); MAX_PREFIXES + 1];
        assert!(Prefixes::new(every).is_none());
    }
}
