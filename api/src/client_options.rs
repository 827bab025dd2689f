//! Credentials of a [`Client`](crate::Client): its token, and the CA that it trusts.

use std::io::{self, Read as _};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use ureq::Agent;
use ureq::http::{HeaderValue, Uri, header};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};

/// Largest file of CA certificates: all those of an operating system are a quarter of it.
const MAX_CA: u64 = 1024 * 1024;

/// To reach the core.
const CONNECT: Duration = Duration::from_secs(10);

/// Token and CA of a client. The default has no token, and no CA, so https URLs do not work.
#[derive(Clone, Debug, Default)]
pub struct ClientOptions {
    token: Option<HeaderValue>,
    ca: Option<Vec<Certificate<'static>>>,
    patience: Option<Duration>,
}

/// What is wrong with the options of a client.
#[derive(Debug, Error)]
pub enum ClientOptionsError {
    /// A file cannot be read, or has the wrong content.
    #[error("{0}")]
    File(String),
    /// The token cannot be sent in a header.
    #[error("the token must be one word of printable ASCII characters")]
    Token,
    /// The URL is not the URL of an API.
    #[error("{0:?} is not a URL such as http://127.0.0.1:8053 or https://core.example.net:8053")]
    Url(String),
    /// The token would be sent unencrypted, so anyone on the path could use it.
    #[error("a token is not sent to {0} in the clear: use https, and --ca FILE with the CA of its certificate")]
    Clear(String),
    /// The URL is `https` and no CA is given; there is no default CA.
    #[error("{0} needs --ca FILE, the CA of its certificate")]
    NoCa(String),
}

impl ClientOptions {
    /// Sets the token.
    ///
    /// # Errors
    /// It is not one word.
    pub fn token(self, token: &str) -> Result<Self, ClientOptionsError> {
        let token = token.trim();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ClientOptionsError::Token);
        }
        let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| ClientOptionsError::Token)?;
        value.set_sensitive(true);
        Ok(Self { token: Some(value), ..self })
    }

    /// Trusts the CA certificates in this file (PEM), and no others.
    ///
    /// # Errors
    /// It cannot be read, or holds none.
    pub fn ca_file(self, path: &Path) -> Result<Self, ClientOptionsError> {
        let file =
            |reason: &dyn std::fmt::Display| ClientOptionsError::File(format!("CA file {}: {reason}", path.display()));
        let mut pem = Vec::new();
        let read = std::fs::File::open(path).and_then(|file| file.take(MAX_CA).read_to_end(&mut pem));
        read.map_err(|error: io::Error| file(&error))?;
        let certificate = |item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(Ok(certificate)),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        };
        let ca: Vec<_> =
            parse_pem(&pem).filter_map(certificate).collect::<Result<_, _>>().map_err(|error| file(&error))?;
        if ca.is_empty() {
            return Err(file(&"holds no certificate"));
        }
        Ok(Self { ca: Some(ca), ..self })
    }

    /// Trusts the CA certificates in this file, unless other certificates are trusted already.
    ///
    /// # Errors
    /// As [`ClientOptions::ca_file`].
    pub fn or_ca_file(self, path: &Path) -> Result<Self, ClientOptionsError> {
        if self.ca.is_some() { Ok(self) } else { self.ca_file(path) }
    }

    /// Sets a time limit for every request that has none of its own.
    pub fn within(self, patience: Duration) -> Self {
        Self { patience: Some(patience), ..self }
    }

    /// Checks that a client of the core at this URL can work, and that it would not send its token unencrypted.
    pub fn check(&self, core: &str) -> Result<(), ClientOptionsError> {
        let wrong = || ClientOptionsError::Url(core.into());
        let url: Uri = core.parse().map_err(|_| wrong())?;
        let local = is_loopback(url.host().ok_or_else(wrong)?);
        match url.scheme_str() {
            Some("http") if self.token.is_some() && !local => Err(ClientOptionsError::Clear(core.into())),
            Some("https") if self.ca.is_none() => Err(ClientOptionsError::NoCa(core.into())),
            Some("http" | "https") => Ok(()),
            _ => Err(wrong()),
        }
    }

    /// Connections to the core at this URL.
    pub(crate) fn agent(self, core: &str) -> Agent {
        let host = core.parse().ok().and_then(|url: Uri| url.host().map(is_loopback));
        let local = host.unwrap_or_default();
        let trusted = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .root_certs(RootCerts::new_with_certs(&self.ca.unwrap_or_default()));
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_global(self.patience)
            // The API sends nobody elsewhere; a token must not go there.
            .max_redirects(0)
            .tls_config(trusted.build());
        let config = if local { config.proxy(None) } else { config };
        let Some(token) = self.token else { return config.build().new_agent() };
        let show = move |mut request: ureq::http::Request<ureq::SendBody<'_>>,
                         next: ureq::middleware::MiddlewareNext<'_>| {
            request.headers_mut().insert(header::AUTHORIZATION, token.clone());
            next.handle(request)
        };
        config.middleware(show).build().new_agent()
    }
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(options: &ClientOptions, core: &str) -> Option<String> {
        options.check(core).err().map(|error| error.to_string())
    }

    #[test]
    fn a_token_goes_out_in_the_clear_to_this_machine_only() {
        let with_token = &ClientOptions::default().token("zc_x").unwrap();
        for local in ["http://127.0.0.1:8053", "http://[::1]:8053", "http://localhost:1/"] {
            assert_eq!(refused(with_token, local), None);
        }
        for other in ["http://192.0.2.1:8053", "http://core.example.net", "http://localhost.example.net"] {
            assert!(refused(with_token, other).unwrap().contains("in the clear"));
            assert_eq!(refused(&ClientOptions::default(), other), None);
        }
    }

    #[test]
    fn nobody_is_trusted_by_default() {
        assert!(refused(&ClientOptions::default(), "https://127.0.0.1:8053").unwrap().contains("--ca FILE"));
        for wrong in ["", "127.0.0.1:8053", "ftp://127.0.0.1", "/v1"] {
            assert!(refused(&ClientOptions::default(), wrong).unwrap().contains("is not a URL"), "{wrong}");
        }
    }

    #[test]
    fn options_that_are_none_are_refused_and_secrets_are_not_shown() {
        for wrong in ["", " ", "a b", "a\nb", "ä"] {
            assert!(ClientOptions::default().token(wrong).is_err(), "{wrong}");
        }
        let options = ClientOptions::default().token(" zc_secret\n").unwrap();
        assert!(!format!("{options:?}").contains("secret"));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "zc_x").unwrap();
        let error = ClientOptions::default().ca_file(&file).unwrap_err().to_string();
        assert!(error.contains("holds no certificate"), "{error}");
        assert!(ClientOptions::default().ca_file(&folder.path().join("none")).is_err());
    }
}
