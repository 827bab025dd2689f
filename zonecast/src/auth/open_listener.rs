//! Beyond loopback nothing listens that anybody may ask, or that says secrets aloud.

use std::net::SocketAddr;

use zonecast_service::exit::{Failure, Outcome};

/// Refuses an address beyond this machine without both TLS and tokens.
///
/// # Errors
/// What is wanting, as a [usage](zonecast_service::exit::Code::Usage) failure.
pub(crate) fn refuse_open_listener(address: SocketAddr, tls: bool, tokens: bool) -> Outcome {
    let wanting = match (tls, tokens) {
        _ if address.ip().to_canonical().is_loopback() => return Ok(()),
        (true, true) => return Ok(()),
        (true, false) => "`tokens`, so that not everybody may ask it for anything",
        (false, true) => "`tls = true`, so that tokens are not sent in the clear",
        (false, false) => "`tls = true` and `tokens`",
    };
    Err(Failure::usage(format_args!(
        "HTTP beyond loopback, on {address}, needs in [http] of a configuration: {wanting}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use zonecast_service::exit::Code;

    #[test]
    fn only_loopback_may_be_open() {
        let refused = |address: &str, tls, tokens| refuse_open_listener(address.parse().unwrap(), tls, tokens).err();
        for local in ["127.0.0.1:8053", "127.1.2.3:0", "[::1]:8053", "[::ffff:127.0.0.1]:8053"] {
            assert!(refused(local, false, false).is_none(), "{local}");
        }
        for open in ["0.0.0.0:8053", "[::]:8053", "192.0.2.1:8053", "[::ffff:192.0.2.1]:0", "[2001:db8::1]:1"] {
            for (tls, tokens) in [(false, false), (true, false), (false, true)] {
                let failure = refused(open, tls, tokens).unwrap();
                assert_eq!(failure.code, Code::Usage, "{failure}");
                assert_eq!(failure.message.contains("`tls"), !tls, "{failure}");
                assert_eq!(failure.message.contains("`tokens`"), !tokens, "{failure}");
            }
            assert!(refused(open, true, true).is_none(), "{open}");
        }
    }
}
