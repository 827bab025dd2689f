//! The client of a query: transport, cookies and server name.

use crate::{Cookies, Transport};

/// Longest NSID in an answer, so that the header, question and OPT record fit the smallest message.
pub const MAX_NSID_LEN: usize = 128;

/// The inputs of an answer besides the query. A [`Transport`] converts into a client without cookies and NSID.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Client<'c> {
    /// Transport of the answer.
    pub transport: Transport,
    /// Secrets and address to make and check DNS cookies with, RFC 7873.
    pub cookies: Option<Cookies<'c>>,
    /// NSID of this server, RFC 5001; an NSID over [`MAX_NSID_LEN`] is not sent.
    pub nsid: Option<&'c [u8]>,
}

impl<'c> Client<'c> {
    /// Makes a client with this transport, without cookies and NSID.
    #[must_use]
    pub const fn new(transport: Transport) -> Self {
        Self { transport, cookies: None, nsid: None }
    }

    /// Sets the cookies.
    #[must_use]
    pub const fn with_cookies(self, cookies: Option<Cookies<'c>>) -> Self {
        Self { cookies, ..self }
    }

    /// Sets the NSID.
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
