//! Who listens where on this machine, as Linux tells in `/proc`: looking takes no port from anybody.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;

use super::facts::{Listener, ProcessName, Protocol};

/// State of a listening TCP socket, and of a UDP socket that takes from anybody, in `/proc/net`.
const TCP_LISTEN: &str = "0A";
const UDP_OPEN: &str = "07";

/// A socket that anybody can send to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Open {
    address: SocketAddr,
    inode: u64,
}

/// Whether an address is of this machine now.
pub(super) fn is_here(address: SocketAddr) -> bool {
    // Port 0 takes none away.
    let bound = UdpSocket::bind((address.ip(), 0));
    !bound.is_err_and(|error| error.kind() == std::io::ErrorKind::AddrNotAvailable)
}

/// Who listens on an address.
pub(super) fn listener(address: SocketAddr, protocol: Protocol) -> Listener {
    let (name, state) = match protocol {
        Protocol::Tcp => ("tcp", TCP_LISTEN),
        Protocol::Udp => ("udp", UDP_OPEN),
    };
    let mut open = Vec::new();
    let mut readable = false;
    for path in [format!("/proc/net/{name}"), format!("/proc/net/{name}6")] {
        // Without IPv6 there is no second one.
        if let Ok(text) = std::fs::read_to_string(&path) {
            readable = true;
            open.extend(sockets(&text, state));
        }
    }
    if !readable {
        return Listener::Unknown("/proc/net cannot be read".into());
    }
    let inodes: Vec<u64> = at(&open, address).map(|open| open.inode).collect();
    if inodes.is_empty() { Listener::Nobody } else { Listener::Somebody(holders(&inodes)) }
}

/// Open sockets of a table of `/proc/net`.
fn sockets(table: &str, state: &str) -> Vec<Open> {
    let socket = |line: &str| {
        let mut fields = line.split_whitespace();
        let address = fields.nth(1)?;
        if fields.nth(1)? != state {
            return None;
        }
        Some(Open { address: socket_address(address)?, inode: fields.nth(5)?.parse().ok()? })
    };
    table.lines().skip(1).filter_map(socket).collect()
}

/// `0100007F:1F90`: words of the address in the machine's byte order, port as a number, both hexadecimal.
fn socket_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| Some(u32::from_str_radix(address.get(at * 8..at * 8 + 8)?, 16).ok()?.to_ne_bytes());
    let ip = match address.len() {
        8 => IpAddr::from(word(0)?),
        32 => {
            let bytes: Vec<u8> = (0..4).map(word).collect::<Option<Vec<_>>>()?.concat();
            IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?)
        }
        _ => return None,
    };
    Some((ip, port).into())
}

/// Those that get what is sent to an address, or would be in the way of binding it.
fn at(open: &[Open], address: SocketAddr) -> impl Iterator<Item = &Open> {
    let meets = move |other: IpAddr| {
        let ip = address.ip();
        let any_4 = other == IpAddr::from(Ipv4Addr::UNSPECIFIED);
        // One for all of IPv6 may take IPv4 too.
        let any_6 = other == IpAddr::from(Ipv6Addr::UNSPECIFIED);
        let covers = any_6 || (any_4 && ip.is_ipv4());
        other == ip || covers || (ip.is_unspecified() && ip.is_ipv4() == other.is_ipv4())
    };
    let exact = open.iter().any(|open| open.address == address);
    open.iter().filter(move |open| {
        open.address.port() == address.port() && (open.address == address || (!exact && meets(open.address.ip())))
    })
}

/// Processes that have these sockets; those of other users only root sees.
fn holders(inodes: &[u64]) -> Vec<ProcessName> {
    let links: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if has_any(&entry.path(), &links) {
            let name = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            found.push(ProcessName { pid, name: name.trim().to_owned() });
        }
    }
    found
}

fn has_any(process: &Path, links: &[String]) -> bool {
    let files = std::fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    let mut targets = files.filter_map(|file| std::fs::read_link(file.path()).ok());
    targets.any(|target| target.to_str().is_some_and(|target| links.iter().any(|link| link == target)))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn tables_are_read_as_the_kernel_writes_them() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            \x20  0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 42 1 0 100\n\
            \x20  1: 0100007F:1F91 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 43 1 0 100\n\
            \x20  2: 00000000000000000000000001000000:0035 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 44 1\n\
            \x20  bad line\n";
        let expected = [("127.0.0.1:8080", 42), ("[::1]:53", 44)];
        let expected = expected.map(|(address, inode)| Open { address: address.parse().unwrap(), inode });
        assert_eq!(sockets(table, TCP_LISTEN), expected);
    }

    #[test]
    fn who_is_in_the_way_is_found_and_who_is_not_is_not() {
        let open = |address: &str| Open { address: address.parse().unwrap(), inode: 1 };
        let meets = |one: &str, other: &str| at(&[open(other)], one.parse().unwrap()).count() == 1;
        for (one, other) in [
            ("127.0.0.1:53", "127.0.0.1:53"),
            ("127.0.0.1:53", "0.0.0.0:53"),
            ("127.0.0.1:53", "[::]:53"),
            ("0.0.0.0:53", "127.0.0.53:53"),
            ("[::1]:53", "[::]:53"),
        ] {
            assert!(meets(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("127.0.0.1:53", "127.0.0.1:54"),
            ("127.0.0.1:53", "127.0.0.2:53"),
            ("[::1]:53", "0.0.0.0:53"),
            ("0.0.0.0:53", "[::1]:53"),
        ] {
            assert!(!meets(one, other), "{one} {other}");
        }
    }

    #[test]
    fn a_listener_of_this_process_is_named() {
        let listening = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listening.local_addr().unwrap();
        let Listener::Somebody(who) = listener(address, Protocol::Tcp) else { panic!("not found") };
        assert_eq!(who.iter().map(|process| process.pid).collect::<Vec<_>>(), [std::process::id()]);
        drop(listening);
        assert!(is_here(address) && !is_here("192.0.2.1:53".parse().unwrap()));
    }
}
