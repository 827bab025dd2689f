//! DNS cookies (RFC 7873) in the form of RFC 9018, so that servers that share a secret accept each other's cookies.
//!
//! A client that sends a valid cookie has received it at its address, so the address is not forged. No query is refused
//! for a missing cookie: rate limiting uses cookies to exempt clients.
//!
//! The `domain` crate has the format and the hash; this module decides the age, the accepted secrets and the renewal of
//! cookies.

use core::net::IpAddr;

use domain::base::Serial;
use domain::base::opt::cookie::{ClientCookie, StandardServerCookie};

/// Length of a client cookie.
const CLIENT_LEN: usize = 8;

/// Length of a server cookie of RFC 9018. Others may have 8 to 32 bytes.
const SERVER_LEN: usize = 16;

/// Lengths of server cookies, RFC 7873 section 4.
const SERVER_LENS: std::ops::RangeInclusive<usize> = 8..=32;

/// The version of RFC 9018.
const VERSION: u8 = 1;

/// Bytes of one secret.
pub const COOKIE_SECRET_LEN: usize = 16;

/// Most secrets at a time: a present one, its successor and predecessor while servers change over, and one to spare.
/// Checking a cookie costs a hash for each.
pub const MAX_COOKIE_SECRETS: usize = 4;

/// How old a cookie may be, and how far ahead the clock of the server that gave it, RFC 9018 section 4.3.
const MAX_AGE: u32 = 3_600;
const MAX_AHEAD: u32 = 300;

/// Age from which on a good cookie is replaced, RFC 9018 section 4.3.
const RENEWED_AFTER: u32 = 1_800;

/// Secrets of a server, RFC 9018 section 5: it makes cookies with the first secret and accepts cookies of all.
#[derive(Clone)]
pub struct CookieSecrets {
    secrets: Vec<[u8; COOKIE_SECRET_LEN]>,
}

/// The inputs to make and check the cookies of one client.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Cookies<'c> {
    /// Secrets of this server and of all servers that share its address.
    pub secrets: &'c CookieSecrets,
    /// Address of the client.
    pub address: IpAddr,
    /// Seconds of Unix time; only their lower 32 bits count.
    pub now: u32,
}

/// The COOKIE option of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CookieOption {
    client: ClientCookie,
    /// If it has the length of ours.
    server: Option<StandardServerCookie>,
}

/// The COOKIE option of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CookieAnswer {
    option: [u8; CookieAnswer::LEN],
    /// The query had a good one.
    pub(crate) proven: bool,
}

/// What a good server cookie is.
#[derive(Clone, Copy)]
struct Good {
    /// Seconds since it was made; 0 for one from the future.
    age: u32,
    /// Made with the newest secret.
    is_newest: bool,
}

impl CookieSecrets {
    /// Makes the set from secrets in order, newest first; `None` if there are none, or more than
    /// [`MAX_COOKIE_SECRETS`].
    #[must_use]
    pub fn new(secrets: Vec<[u8; COOKIE_SECRET_LEN]>) -> Option<Self> {
        (1..=MAX_COOKIE_SECRETS).contains(&secrets.len()).then_some(Self { secrets })
    }
}

/// Secrets are not for logs.
impl std::fmt::Debug for CookieSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CookieSecrets").field("secrets", &self.secrets.len()).finish()
    }
}

impl CookieOption {
    /// `None` for lengths that are FORMERR, RFC 7873 section 5.2.2.
    pub(crate) fn read(data: &[u8]) -> Option<Self> {
        let (client, server) = data.split_first_chunk::<CLIENT_LEN>()?;
        let is_well_formed = server.is_empty() || SERVER_LENS.contains(&server.len());
        is_well_formed.then(|| Self { client: ClientCookie::from_octets(*client), server: standard(server) })
    }
}

impl CookieAnswer {
    /// Both cookies.
    pub(crate) const LEN: usize = CLIENT_LEN + SERVER_LEN;

    pub(crate) fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.option
    }
}

impl<'c> Cookies<'c> {
    /// The cookies of a client at this address, at a time in seconds of Unix time.
    #[must_use]
    pub const fn new(secrets: &'c CookieSecrets, address: IpAddr, now: u32) -> Self {
        Self { secrets, address, now }
    }

    /// The cookie to answer with.
    pub(crate) fn answer(&self, option: &CookieOption) -> CookieAnswer {
        let good = option.server.and_then(|server| self.check(option.client, server));
        let server = match (option.server, good) {
            (Some(server), Some(Good { age: ..RENEWED_AFTER, is_newest: true })) => server,
            _ => self.make(option.client),
        };
        let (client, server) = (option.client.into_octets(), as_bytes(server));
        let mut both = [0; CookieAnswer::LEN];
        for (place, byte) in both.iter_mut().zip(client.iter().chain(&server)) {
            *place = *byte;
        }
        CookieAnswer { option: both, proven: good.is_some() }
    }

    fn make(&self, client: ClientCookie) -> StandardServerCookie {
        let secret = self.secrets.secrets.first().expect("there is always one");
        StandardServerCookie::calculate(client, Serial(self.now), self.address, secret)
    }

    fn check(&self, client: ClientCookie, server: StandardServerCookie) -> Option<Good> {
        if server.version() != VERSION {
            return None;
        }
        // RFC 1982: differences of serial numbers.
        let age = self.now.wrapping_sub(server.timestamp().into_int());
        let age = if age <= MAX_AGE {
            age
        } else if age.wrapping_neg() <= MAX_AHEAD {
            0
        } else {
            return None;
        };
        let is_ours = |secret| server.check_hash(client, self.address, secret);
        let secret = self.secrets.secrets.iter().position(is_ours)?;
        Some(Good { age, is_newest: secret == 0 })
    }
}

/// A cookie of the length that ours have.
fn standard(server: &[u8]) -> Option<StandardServerCookie> {
    let [version, r0, r1, r2, t0, t1, t2, t3, hash @ ..] = <[u8; SERVER_LEN]>::try_from(server).ok()?;
    let time = Serial(u32::from_be_bytes([t0, t1, t2, t3]));
    Some(StandardServerCookie::new(version, [r0, r1, r2], time, hash))
}

fn as_bytes(server: StandardServerCookie) -> [u8; SERVER_LEN] {
    let [r0, r1, r2] = server.reserved();
    let [t0, t1, t2, t3] = server.timestamp().into_int().to_be_bytes();
    let [h0, h1, h2, h3, h4, h5, h6, h7] = server.hash();
    [server.version(), r0, r1, r2, t0, t1, t2, t3, h0, h1, h2, h3, h4, h5, h6, h7]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(secrets: &[u128]) -> CookieSecrets {
        CookieSecrets::new(secrets.iter().map(|secret| secret.to_be_bytes()).collect()).unwrap()
    }

    fn option(client: u64, server: Option<u128>) -> CookieOption {
        let server = server.map(u128::to_be_bytes);
        let bytes = client.to_be_bytes().into_iter().chain(server.into_iter().flatten());
        CookieOption::read(&bytes.collect::<Vec<_>>()).unwrap()
    }

    const SECRET: u128 = 0xe5e9_73e5_a6b2_a43f_48e7_dc84_9e37_bfcf;

    #[test]
    fn rfc_9018_appendix_a() {
        let (secrets, client) = (secrets(&[SECRET]), 0x2464_c4ab_cf10_c957_u64);
        let cookies = Cookies { secrets: &secrets, address: [198, 51, 100, 100].into(), now: 1_559_731_985 };
        let first = cookies.answer(&option(client, None));
        let server = 0x0100_0000_5cf7_9f11_1f81_30c3_eee2_9480_u128;
        assert_eq!((&first.option[..8], &first.option[8..]), (&client.to_be_bytes()[..], &server.to_be_bytes()[..]));
        assert!(!first.proven);

        // A.3: another client cookie, and a server cookie with reserved bytes that are not zero.
        let (client, server) = (0xfc93_fc62_807d_db86_u64, 0x01ab_cdef_5cf7_8f71_a314_227b_6679_ebf5_u128);
        let at = |now| Cookies { secrets: &secrets, address: [203, 0, 113, 203].into(), now };
        let asked = |now| at(now).answer(&option(client, Some(server)));
        assert!(asked(1_559_727_985).proven);
        let renewed = asked(1_559_734_700);
        assert!(!renewed.proven, "nearly two hours later");
        let expected = 0x0100_0000_5cf7_a9ac_f73a_7810_aca2_381e_u128;
        assert_eq!(renewed.option[8..], expected.to_be_bytes());
    }

    #[test]
    fn rfc_9018_appendix_a_with_ipv6_and_a_new_secret() {
        let old = 0xdd3b_df93_44b6_78b1_85a6_f5cb_60fc_a715_u128;
        let new = 0x4455_36bc_d251_3298_075a_5d37_9663_c962_u128;
        let (client, server) = (0x2268_1ab9_7d52_c298_u64, 0x0100_0000_5cf7_c579_2655_6bd0_934c_72f8_u128);
        let address = "2001:db8:220:1:59de:d0f4:8769:82b8".parse().unwrap();
        let secrets = secrets(&[new, old]);
        let cookies = Cookies { secrets: &secrets, address, now: 1_559_741_961 };
        let answer = cookies.answer(&option(client, Some(server)));
        assert!(answer.proven);
        assert_eq!(answer.option[8..], 0x0100_0000_5cf7_c609_a6bb_79d1_6625_507a_u128.to_be_bytes());
    }

    #[test]
    fn a_cookie_is_good_for_its_address_and_an_hour() {
        let secrets = secrets(&[SECRET]);
        let at = |address: [u8; 4], now| Cookies { secrets: &secrets, address: address.into(), now };
        let start = u32::MAX - 100;
        let given = at([192, 0, 2, 1], start).answer(&option(7, None));
        let option = CookieOption::read(&given.option).unwrap();
        let asked = |address, after: u32| at(address, start.wrapping_add(after)).answer(&option);
        assert_eq!(asked([192, 0, 2, 1], 1_799), CookieAnswer { proven: true, ..given });
        assert!(asked([192, 0, 2, 1], 3_600).proven, "renewed, across the end of 32 bits");
        assert_ne!(asked([192, 0, 2, 1], 3_600).option, given.option);
        assert!(asked([192, 0, 2, 1], 300_u32.wrapping_neg()).proven);
        assert!(!asked([192, 0, 2, 1], 301_u32.wrapping_neg()).proven);
        assert!(!asked([192, 0, 2, 1], 3_601).proven);
        assert!(!asked([192, 0, 2, 2], 1).proven);
        let other = CookieOption { client: ClientCookie::from_octets([8; 8]), ..option };
        assert!(!at([192, 0, 2, 1], start).answer(&other).proven);
    }

    #[test]
    fn odd_lengths_are_malformed() {
        let lengths = (0..=50).filter(|len| CookieOption::read(&vec![0; *len]).is_some());
        assert_eq!(lengths.collect::<Vec<_>>(), [8].into_iter().chain(16..=40).collect::<Vec<_>>());
    }
}
