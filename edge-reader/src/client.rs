//! Who asks, and how.

use crate::{Cookies, Transport};

/// Longest name of a server in an answer, so that what an answer begins and ends with fits the smallest one.
pub const MAX_NSID_LEN: usize = 128;

/// What an answer depends on beside the query. [`Transport`] alone will do: then there are no cookies
/// and no NSID.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Client<'c> {
    /// How the answer travels.
    pub transport: Transport,
    /// To give and check DNS cookies with, RFC 7873.
    pub cookies: Option<Cookies<'c>>,
    /// Which server this is, for clients that ask, RFC 5001; what is over [`MAX_NSID_LEN`] is left out.
    pub nsid: Option<&'c [u8]>,
}

impl<'c> Client<'c> {
    /// Over this transport, without cookies and NSID.
    #[must_use]
    pub const fn new(transport: Transport) -> Self {
        Self { transport, cookies: None, nsid: None }
    }

    /// With these cookies, or without.
    #[must_use]
    pub const fn with_cookies(self, cookies: Option<Cookies<'c>>) -> Self {
        Self { cookies, ..self }
    }

    /// With this name of the server, or without.
    #[must_use]
    pub const fn with_nsid(self, nsid: Option<&'c [u8]>) -> Self {
        Self { nsid, ..self }
    }
}

impl From<Transport> for Client<'static> {
    fn from(transport: Transport) -> Self {
        Self::new(transport)
    }
}
