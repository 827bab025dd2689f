//! Why a request got no answer: what the error of its connection means, and whether the port speaks TLS at all.
//!
//! A port for TLS closes on plain HTTP in several ways (an alert, a reset, nothing), so the error does not tell. A second
//! connection does: it says hello in TLS, and looks whether TLS comes back.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, InvalidMessage, RootCertStore};
use ureq::Timeout;
use ureq::http::Uri;

/// For each step of looking: the port took a connection a moment ago.
const LOOK_WITHIN: Duration = Duration::from_secs(2);

/// Port of an `http` URL without one.
const HTTP: u16 = 80;

/// First bytes of a record of TLS: an alert or a handshake, and the version that all have.
const RECORDS: [[u8; 2]; 2] = [[0x15, 0x03], [0x16, 0x03]];

/// How far a request got before its connection failed; from this follows whether a write may be repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nobody has read the request.
    NotReached,
    /// Somebody may have read it, and may have done it.
    MayHaveArrived,
    /// TLS says this; it does so before anything is sent.
    Untrusted(String),
    /// The URL is `http`, and the port speaks TLS: it has read no request.
    SpeaksTls,
    /// The URL is `https`, and the port does not speak TLS: nothing was sent.
    SpeaksNoTls,
}

impl Trouble {
    /// Of a request to this URL that ended so.
    pub(crate) fn of(url: &str, error: &ureq::Error) -> Self {
        match tls_error(error) {
            Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => Self::SpeaksNoTls,
            Some(error) => Self::Untrusted(error.to_string()),
            None if !may_have_arrived(error) => Self::NotReached,
            None if !matches!(error, ureq::Error::Timeout(_)) && speaks_tls(url).unwrap_or_default() => Self::SpeaksTls,
            None => Self::MayHaveArrived,
        }
    }
}

/// What TLS says, if that is what went wrong.
fn tls_error(error: &ureq::Error) -> Option<&rustls::Error> {
    match error {
        ureq::Error::Rustls(error) => Some(error),
        ureq::Error::Io(error) => error.get_ref()?.downcast_ref(),
        _ => None,
    }
}

/// Whether a request over plain HTTP that ended so may have been read at the other end.
fn may_have_arrived(error: &ureq::Error) -> bool {
    use std::io::ErrorKind::{
        AddrNotAvailable, ConnectionRefused, HostUnreachable, InvalidInput, NetworkUnreachable, PermissionDenied,
    };
    match error {
        // Before there was a connection.
        ureq::Error::Io(error) => !matches!(
            error.kind(),
            ConnectionRefused
                | HostUnreachable
                | NetworkUnreachable
                | AddrNotAvailable
                | PermissionDenied
                | InvalidInput
        ),
        ureq::Error::Timeout(timeout) => !matches!(timeout, Timeout::Resolve | Timeout::Connect),
        ureq::Error::Protocol(_) => true,
        _ => false,
    }
}

/// Whether TLS is spoken where an `http` URL leads.
fn speaks_tls(url: &str) -> io::Result<bool> {
    let url: Uri = url.parse().map_err(io::Error::other)?;
    let Some(host) = url.host().filter(|_| url.scheme_str() == Some("http")) else { return Ok(false) };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let address = (host, url.port_u16().unwrap_or(HTTP)).to_socket_addrs()?.next();
    let mut stream = TcpStream::connect_timeout(&address.ok_or(io::ErrorKind::NotFound)?, LOOK_WITHIN)?;
    stream.set_read_timeout(Some(LOOK_WITHIN))?;
    stream.set_write_timeout(Some(LOOK_WITHIN))?;
    stream.write_all(&hello(host)?)?;
    let mut begin = [0; 2];
    stream.read_exact(&mut begin)?;
    Ok(RECORDS.contains(&begin))
}

/// What a client of TLS says first. Nobody is trusted, and nothing is asked.
fn hello(host: &str) -> io::Result<Vec<u8>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(io::Error::other)?.with_root_certificates(RootCertStore::empty());
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let connection = ClientConnection::new(Arc::new(config.with_no_client_auth()), name);
    let mut hello = vec![];
    connection.map_err(io::Error::other)?.write_tls(&mut hello)?;
    Ok(hello)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_was_given_up_once_it_could_be_sent_may_have_arrived() {
        use Timeout::{Connect, Global, RecvBody, RecvResponse, Resolve, SendBody, SendRequest};
        let early = [Resolve, Connect].map(|timeout| (timeout, Trouble::NotReached));
        let late = [SendRequest, SendBody, RecvResponse, RecvBody, Global];
        let late = late.map(|timeout| (timeout, Trouble::MayHaveArrived));
        for (timeout, trouble) in early.into_iter().chain(late) {
            let error = ureq::Error::Timeout(timeout);
            assert_eq!(Trouble::of("http://127.0.0.1:1", &error), trouble, "{error}");
        }
    }
}
