//! Who asks, and how.

use crate::{Cookies, Transport};

/// Longest name of a server in an answer, so that what an answer begins and ends with fits the smallest one.
pub const MAX_NSID_LEN: usize = 128;

/// What an answer depends on beside the query. [`Transport`] alone will do: then there are no cookies
/// and no NSID.
#[derive(Clone, Copy, Debug)]
pub struct Client<'c> {
    /// How the answer travels.
    pub transport: Transport,
    /// To give and check DNS cookies with, RFC 7873.
    pub cookies: Option<Cookies<'c>>,
    /// Which server this is, for clients that ask, RFC 5001; what is over [`MAX_NSID_LEN`] is left out.
    pub nsid: Option<&'c [u8]>,
}

impl From<Transport> for Client<'static> {
    fn from(transport: Transport) -> Self {
        Self { transport, cookies: None, nsid: None }
    }
}
