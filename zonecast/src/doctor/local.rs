//! What a configuration points at on this machine: looks at files and ports, changes nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{StatVfsMountFlags, statfs, statvfs};
use zonecast_kv_transport::Identity;

use super::facts::{
    CertificateFacts, DataFacts, FileFacts, FileState, IdentityFacts, LocalFacts, PortFacts, Protocol, TokensFacts,
};
use super::listeners::{is_here, listener};
use crate::auth::TokenFile;
use crate::config::{HttpSection, RoleFile};
use zonecast_service::{disk_space, free_space};

/// The private key in an identity folder.
const KEY: &str = "node.key";

/// Kinds of file systems that are gone with the machine: tmpfs and ramfs, as statfs(2) numbers them.
const IN_MEMORY: [i128; 2] = [0x0102_1994, 0x8584_58f6];

/// What a node of this configuration has here.
pub(super) fn look(config: &RoleFile) -> LocalFacts {
    let (role, data, identity, http) = match config {
        RoleFile::Core(core) => ("core", &core.data, &core.identity, &core.http),
        RoleFile::Relay(relay) => ("relay", &relay.data, &relay.identity, &relay.http),
        // An edge that others follow is a relay, and so says its certificate.
        RoleFile::Edge(edge) if edge.downstream.is_some() => ("relay", &edge.data, &edge.identity, &edge.http),
        RoleFile::Edge(edge) => ("edge", &edge.data, &edge.identity, &edge.http),
    };
    let loaded = Identity::load(identity);
    let hosts = loaded.as_ref().map(Identity::hosts).unwrap_or_default();
    LocalFacts {
        role,
        url: url(http, &hosts),
        identity: IdentityFacts {
            folder: file(identity),
            key: file(&identity.join(KEY)),
            certificate: loaded.as_ref().map(certificate).map_err(ToString::to_string),
        },
        tokens: http.token_file().map(|path| TokensFacts {
            file: file(path),
            count: TokenFile::read(path).map(|file| file.tokens().len()).map_err(|error| error.to_string()),
        }),
        secrets: match config {
            RoleFile::Core(_) | RoleFile::Relay(_) => None,
            RoleFile::Edge(edge) => edge.cookie_secrets.as_deref().map(file),
        },
        data: data_folder(data),
        ports: ports(config, http.listen),
    }
}

/// Where the HTTP side of a node is asked from here; empty if it takes any port. TLS wants a host that the certificate
/// names.
fn url(http: &HttpSection, hosts: &[String]) -> String {
    let (address, port) = (reachable(http.listen), http.listen.port());
    let ip = address.ip().to_string();
    match (port, http.tls) {
        (0, _) => String::new(),
        (_, false) => format!("http://{address}"),
        (_, true) => match hosts.first() {
            Some(host) if !hosts.contains(&ip) => match host.parse::<IpAddr>() {
                Ok(ip) => format!("https://{}", SocketAddr::new(ip, port)),
                Err(_) => format!("https://{host}:{port}"),
            },
            _ => format!("https://{address}"),
        },
    }
}

/// Where something is reached from here that listens there.
pub(super) fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => (Ipv4Addr::LOCALHOST, address.port()).into(),
        IpAddr::V6(ip) if ip.is_unspecified() => (Ipv6Addr::LOCALHOST, address.port()).into(),
        _ => address,
    }
}

fn certificate(identity: &Identity) -> CertificateFacts {
    let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    CertificateFacts {
        role: identity.peer().role.to_string(),
        name: identity.peer().name.clone(),
        serial: identity.serial().to_string(),
        not_before: seconds(identity.not_before()),
        not_after: seconds(identity.not_after()),
        revoked: identity.is_revoked(),
    }
}

fn file(path: &Path) -> FileFacts {
    let state = std::fs::metadata(path).ok().map(|metadata| FileState {
        mode: metadata.mode() & 0o777,
        owner: metadata.uid(),
        is_folder: metadata.is_dir(),
    });
    FileFacts { path: path.display().to_string(), state }
}

fn data_folder(path: &Path) -> DataFacts {
    // A folder that is still to be made takes room where its parent is.
    let existing = path.ancestors().find(|path| path.exists());
    let flags = existing.and_then(|path| statvfs(path).ok()).map(|disk| disk.f_flag);
    let disk = existing.and_then(|existing| if existing == path { disk_space(path) } else { free_space(existing) });
    DataFacts {
        folder: file(path),
        disk,
        read_only: flags.is_some_and(|flags| flags.contains(StatVfsMountFlags::RDONLY)),
        in_memory: existing
            .and_then(|path| statfs(path).ok())
            .is_some_and(|disk| IN_MEMORY.contains(&disk.f_type.into())),
    }
}

/// Those that the node is to listen on; it chooses the others itself.
fn ports(config: &RoleFile, http: SocketAddr) -> Vec<PortFacts> {
    let mut wanted = vec![("HTTP", Protocol::Tcp, http)];
    match config {
        RoleFile::Core(core) => wanted.push(("QUIC", Protocol::Udp, core.quic)),
        RoleFile::Relay(relay) => wanted.push(("QUIC", Protocol::Udp, relay.downstream.quic)),
        RoleFile::Edge(edge) => {
            for address in &edge.dns {
                wanted.extend([("DNS", Protocol::Udp, *address), ("DNS", Protocol::Tcp, *address)]);
            }
            wanted.extend(edge.downstream.iter().map(|downstream| ("QUIC", Protocol::Udp, downstream.quic)));
        }
    }
    let fixed = wanted.into_iter().filter(|(_, _, address)| address.port() != 0);
    let looked = |(what, protocol, address)| {
        let (is_here, listener) = (is_here(address), listener(address, protocol));
        PortFacts { what, protocol, address, is_here, listener }
    };
    fixed.map(looked).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_asked_by_a_name_of_its_certificate() {
        let http = |listen: &str, tls| HttpSection { listen: listen.parse().unwrap(), tls, tokens: None };
        let hosts = |hosts: &[&str]| hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>();
        assert_eq!(url(&http("127.0.0.1:8053", false), &[]), "http://127.0.0.1:8053");
        assert_eq!(url(&http("[::]:8053", false), &[]), "http://[::1]:8053");
        assert_eq!(url(&http("0.0.0.0:1", true), &hosts(&["core.example", "127.0.0.1"])), "https://127.0.0.1:1");
        assert_eq!(url(&http("0.0.0.0:1", true), &hosts(&["core.example"])), "https://core.example:1");
        assert_eq!(url(&http("0.0.0.0:1", true), &hosts(&["2001:db8::1"])), "https://[2001:db8::1]:1");
        assert_eq!(url(&http("127.0.0.1:0", false), &[]), "");
    }
}
