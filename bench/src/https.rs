//! A connection to the API over TLS that costs its client little, so that what is measured is the core.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use futures_util::FutureExt as _;
use hyper::body::Body as _;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, header};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// What trusts the certificates in a file, and no others.
pub(crate) fn trusting(ca: &Path) -> anyhow::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca)? {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

/// What is to be written.
pub(crate) struct HttpsWrite {
    pub(crate) method: Method,
    pub(crate) path: String,
    /// Media type of the body.
    pub(crate) kind: &'static str,
    pub(crate) body: String,
}

/// One connection, for one request at a time.
pub(crate) struct HttpsConnection {
    sender: SendRequest<String>,
    host: String,
}

impl HttpsConnection {
    /// Connects; to be called in a runtime, which then carries it.
    pub(crate) async fn open(address: SocketAddr, trust: Arc<ClientConfig>) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        let name = ServerName::from(address.ip());
        let stream = TlsConnector::from(trust).connect(name, stream).await.context("no TLS handshake")?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection.map(drop));
        Ok(Self { sender, host: address.to_string() })
    }

    /// Sends a write and waits for the whole answer, which must be a good one.
    pub(crate) async fn send(&mut self, HttpsWrite { method, path, kind, body }: HttpsWrite) -> anyhow::Result<()> {
        let request = Request::builder().method(method).uri(&path).header(header::HOST, &self.host);
        let request = request.header(header::CONTENT_TYPE, kind).body(body)?;
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        let mut body = response.into_body();
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            frame?;
        }
        ensure!(status.is_success(), "{path}: {status}");
        Ok(())
    }
}
