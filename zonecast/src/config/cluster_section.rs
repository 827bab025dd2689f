//! `[cluster]` of a core.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};
use zonecast_service::ClusterSetup;
use zonecast_service::exit::{Failure, Outcome};

/// Longest address: a DNS name and a port are shorter.
const MAX_ADDRESS: usize = 255;

/// How a core and the other cores of its cluster reach each other. A core that is alone needs none of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClusterSection {
    /// Host and port at which the other cores reach the `quic` port of this one. The default is the address in `quic`,
    /// if it is not `0.0.0.0` or `::`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Hosts and ports of cores of a cluster that this core asks to let it in, at its first start only. Without it, a
    /// core with an empty data folder founds a cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub join: Vec<String>,
}

impl ClusterSection {
    /// Whether it says nothing.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Checks the rules that the types do not express.
    pub(super) fn check(&self, quic: SocketAddr) -> Outcome {
        for address in self.address.iter().chain(&self.join) {
            check_address(address).map_err(|why| Failure::usage(format_args!("[cluster]: {address:?} {why}")))?;
        }
        if !self.join.is_empty() && self.address.is_none() && quic.ip().is_unspecified() {
            return Err(Failure::usage(format_args!(
                "[cluster]: `join` needs `address`, where the other cores reach this one, because `quic` ({quic}) does \
                 not say it"
            )));
        }
        Ok(())
    }

    /// For the service.
    pub(crate) fn setup(self) -> ClusterSetup {
        ClusterSetup { address: self.address, join: self.join }
    }
}

/// A host and a port that somebody else can dial.
fn check_address(address: &str) -> Result<(), &'static str> {
    let (host, port) = address.rsplit_once(':').ok_or("has no port: write \"HOST:PORT\"")?;
    if port.parse::<u16>().is_ok_and(|port| port != 0) {
        let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        return match ip {
            Ok(ip) if ip.is_unspecified() => Err("is no address that another core can reach"),
            Ok(IpAddr::V6(_)) if !host.starts_with('[') => Err("needs brackets around the address: \"[HOST]:PORT\""),
            Err(_) if host.is_empty() || host.contains([':', '/', ' ']) => Err("is not a host with a port"),
            _ if address.len() > MAX_ADDRESS => Err("is too long"),
            _ => Ok(()),
        };
    }
    Err("has no port between 1 and 65535: write \"HOST:PORT\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(quic: &str, section: &str) -> Result<ClusterSection, String> {
        let section: ClusterSection = toml::from_str(section).map_err(|error| error.to_string())?;
        section.check(quic.parse().unwrap()).map(|()| section).map_err(|failure| failure.message)
    }

    #[test]
    fn addresses_are_what_others_can_dial() {
        for good in ["core-1.example.net:8054", "192.0.2.1:8054", "[2001:db8::1]:8054", "localhost:1"] {
            check("0.0.0.0:8054", &format!("address = {good:?}\njoin = [{good:?}]\n")).unwrap();
        }
        for wrong in [
            "",
            "core-1",
            "core-1:",
            "core-1:0",
            "core-1:65536",
            ":8054",
            "0.0.0.0:1",
            "[::]:1",
            "2001:db8::1:8054",
            "https://a:1",
        ] {
            let message = check("0.0.0.0:8054", &format!("address = {wrong:?}\n")).unwrap_err();
            assert!(message.contains(wrong), "{message}");
        }
    }

    #[test]
    fn who_joins_says_where_it_is_reached() {
        let join = "join = [\"192.0.2.1:8054\"]\n";
        let message = check("0.0.0.0:8054", join).unwrap_err();
        assert!(message.contains("`join` needs `address`"), "{message}");
        check("192.0.2.2:8054", join).unwrap();
        assert!(check("0.0.0.0:8054", "").unwrap().is_empty());
        assert!(check("0.0.0.0:8054", "jion = []\n").unwrap_err().contains("unknown field"));
    }
}
