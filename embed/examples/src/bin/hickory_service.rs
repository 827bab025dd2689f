//! A zonecast edge behind hickory-server.
//!
//! ```text
//! cargo run -p zonecast-embed-examples --bin hickory_service -- IDENTITY CORE:PORT DATA 127.0.0.1:5353
//! dig @127.0.0.1 -p 5353 www.example.com
//! ```
#![allow(clippy::print_stdout, reason = "an example")]

use std::time::Duration;

use hickory_server::Server;
use tokio::net::{TcpListener, UdpSocket};
use zonecast_hickory::EdgeHandler;

/// A TCP connection that says nothing for so long is closed.
const IDLE: Duration = Duration::from_secs(10);

/// Answers that wait to be sent on one TCP connection.
const PIPELINED: usize = 32;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (edge, listen) = zonecast_embed_examples::open_edge().await?;
    let mut server = Server::new(EdgeHandler::new(edge.states().clone()));
    server.register_socket(UdpSocket::bind(&listen).await?);
    server.register_listener(TcpListener::bind(&listen).await?, IDLE, PIPELINED);
    println!("ready");
    server.block_until_done().await?;
    Ok(())
}
