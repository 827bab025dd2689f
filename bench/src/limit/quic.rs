//! A raw QUIC stream on loopback: what no snapshot can be sent faster than, and no change be told sooner than.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use quinn::{ClientConfig, Endpoint, ServerConfig};
use rustls::pki_types::PrivateKeyDer;
use zonecast_kv_transport::{Ca, Identity, Role};

use crate::samples::Samples;

/// What is sent in one call.
const CHUNK: usize = 1 << 20;

/// Bytes of a small message: about what a change of one record takes.
const MESSAGE: usize = 256;

/// Bytes a second over one stream between two tasks of this process, with the certificates and the ciphers of ours.
pub(crate) fn stream(folder: &std::path::Path, bytes: u64) -> anyhow::Result<f64> {
    let identity = Ca::create(folder)?.issue(Role::Core, "localhost")?;
    tokio::runtime::Runtime::new()?.block_on(run(&identity, bytes))
}

/// Milliseconds from the writing of a small message until the other end has read it, one at a time.
pub(crate) fn message(folder: &std::path::Path, count: usize) -> anyhow::Result<Samples> {
    let identity = Ca::create(folder)?.issue(Role::Core, "localhost")?;
    tokio::runtime::Runtime::new()?.block_on(messages(&identity, count))
}

async fn messages(identity: &Identity, count: usize) -> anyhow::Result<Samples> {
    let server = Endpoint::server(server(identity)?, SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let address = server.local_addr()?;
    let (tell, mut told) = tokio::sync::mpsc::channel(1);
    let receiving = tokio::spawn(async move {
        let connection = server.accept().await.context("closed")?.await?;
        let mut stream = connection.accept_uni().await?;
        let mut message = [0; MESSAGE];
        for _ in 0..count {
            stream.read_exact(&mut message).await?;
            tell.send(Instant::now()).await?;
        }
        anyhow::Ok(())
    });
    let mut client = Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    client.set_default_client_config(client_config(identity)?);
    let connection = client.connect(address, &Role::Core.server_name())?.await?;
    let mut stream = connection.open_uni().await?;
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let started = Instant::now();
        stream.write_all(&[7; MESSAGE]).await?;
        times.push(told.recv().await.context("the other end is gone")?.saturating_duration_since(started));
    }
    receiving.await??;
    Ok(Samples::new(&times))
}

async fn run(identity: &Identity, bytes: u64) -> anyhow::Result<f64> {
    let server = Endpoint::server(server(identity)?, SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let address = server.local_addr()?;
    let sending = tokio::spawn(async move {
        let connection = server.accept().await.context("closed")?.await?;
        let mut stream = connection.open_uni().await?;
        let chunk = bytes::Bytes::from(vec![7; CHUNK]);
        let mut left = bytes;
        while left > 0 {
            let length = left.min(CHUNK as u64);
            stream.write_chunk(chunk.slice(..usize::try_from(length)?)).await?;
            left -= length;
        }
        stream.finish()?;
        connection.closed().await;
        anyhow::Ok(())
    });
    let mut client = Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    client.set_default_client_config(client_config(identity)?);
    let connection = client.connect(address, &Role::Core.server_name())?.await?;
    let mut stream = connection.accept_uni().await?;
    let (mut received, started) = (0_u64, Instant::now());
    while let Some(chunk) = stream.read_chunk(CHUNK, true).await? {
        received += chunk.bytes.len() as u64;
    }
    let took = started.elapsed().as_secs_f64();
    connection.close(0_u32.into(), b"done");
    sending.await??;
    anyhow::ensure!(received == bytes, "{received} of {bytes} bytes came");
    #[allow(clippy::cast_precision_loss, reason = "bytes of a measurement")]
    Ok(received as f64 / took)
}

fn server(identity: &Identity) -> anyhow::Result<ServerConfig> {
    let key: PrivateKeyDer<'static> = identity.key();
    Ok(ServerConfig::with_single_cert(vec![identity.certificate()], key)?)
}

fn client_config(identity: &Identity) -> anyhow::Result<ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(identity.root())?;
    Ok(ClientConfig::with_root_certificates(Arc::new(roots))?)
}
