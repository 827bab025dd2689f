//! Addresses to listen on, bound before anything else is done.

use std::net::{SocketAddr, TcpListener};

use zonecast_service::exit::{Failure, Outcome};

/// Binds the API's listener.
///
/// # Errors
/// The port is taken, or the address is not of this machine.
pub(crate) fn bind_http(address: SocketAddr) -> Outcome<TcpListener> {
    let listener = TcpListener::bind(address).map_err(|error| Failure::bind("HTTP", address, &error))?;
    // tokio takes only such.
    listener.set_nonblocking(true).map_err(|error| Failure::bind("HTTP", address, &error))?;
    Ok(listener)
}

/// The DNS address of each edge: counted up from the first; with port 0 each takes a free one.
///
/// # Errors
/// There are not so many ports above the first.
pub(crate) fn dns_addresses(first: SocketAddr, edges: usize) -> Outcome<Vec<SocketAddr>> {
    let address = |number: usize| {
        if first.port() == 0 {
            return Some(first);
        }
        let port = u16::try_from(number).ok().and_then(|number| first.port().checked_add(number))?;
        Some(SocketAddr::new(first.ip(), port))
    };
    let addresses: Option<Vec<_>> = (0..edges).map(address).collect();
    addresses.ok_or_else(|| {
        Failure::usage(format_args!("there are no {edges} ports from {first} on: choose a lower port or fewer edges"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use zonecast_service::exit::Code;

    #[test]
    fn ports_count_up_and_zero_stays() {
        let ports = |first: &str, edges| -> Vec<u16> {
            dns_addresses(first.parse().unwrap(), edges).unwrap().iter().map(SocketAddr::port).collect()
        };
        assert_eq!(ports("127.0.0.1:5300", 3), [5300, 5301, 5302]);
        assert_eq!(ports("127.0.0.1:0", 2), [0, 0]);
        assert_eq!(dns_addresses("[::1]:65535".parse().unwrap(), 2).unwrap_err().code, Code::Usage);
    }

    #[test]
    fn a_taken_port_is_told_apart() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(bind_http(taken.local_addr().unwrap()).unwrap_err().code, Code::Port);
    }
}
