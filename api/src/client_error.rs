//! Why a request of a [`Client`](crate::Client) has no result.

use std::time::Duration;

use thiserror::Error;

use crate::types::ErrorDetail;

/// Why a request has no result.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The core cannot be reached. A write was not done.
    #[error("no core answers at {core}: {source}")]
    Unreachable {
        /// The address of the core.
        core: String,
        /// Why the connection failed.
        source: Box<ureq::Error>,
    },
    /// The core accepts connections but sends no response.
    #[error("{core} accepted a request but did not answer it within {} s: it hangs or is overloaded", within.as_secs())]
    Silent {
        /// The address of the core.
        core: String,
        /// How long the client waited.
        within: Duration,
    },
    /// A write was sent, and its result is not known because the connection failed.
    #[error(
        "{core} got the request, and {reason}: it is not known whether the write was done; read the zone before \
         you repeat it"
    )]
    Unknown {
        /// The address of the core.
        core: String,
        /// What came instead of an answer.
        reason: String,
    },
    /// The certificate of the server is not trusted.
    #[error("{core} is not trusted: {reason}")]
    Untrusted {
        /// The address of the core.
        core: String,
        /// What is wrong with its certificate.
        reason: String,
    },
    /// The URL is `http` but the port speaks TLS. Nothing was done.
    #[error("the port of {core} speaks TLS: use `https://`")]
    SpeaksTls {
        /// The address of the core.
        core: String,
    },
    /// The URL is `https` but the port does not speak TLS. Nothing was done.
    #[error("the port of {core} does not speak TLS: use `http://`, or turn `tls` on there")]
    SpeaksNoTls {
        /// The address of the core.
        core: String,
    },
    /// The response ended too early and is incomplete.
    #[error("the response of {core} ended early and is incomplete: {reason}")]
    BrokenOff {
        /// The address of the core.
        core: String,
        /// What ended the response.
        reason: String,
    },
    /// The core refused the request.
    #[error("{}", detail.message)]
    Refused {
        /// The HTTP status of the response.
        status: u16,
        /// The error in the body of the response.
        detail: Box<ErrorDetail>,
    },
    /// The response is not as docs/api.md specifies.
    #[error("{core} does not answer as a zonecast core: {reason}")]
    Foreign {
        /// The address of the core.
        core: String,
        /// How the response differs from the API.
        reason: String,
    },
}
