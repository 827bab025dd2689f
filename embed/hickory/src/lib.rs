//! A zonecast edge as a request handler of hickory-server.
//!
//! ```no_run
//! use hickory_server::Server;
//! use tokio::net::UdpSocket;
//! use zonecast_edge::{DnsEdge, DnsEdgeConfig};
//! use zonecast_hickory::EdgeHandler;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let config: DnsEdgeConfig = unimplemented!();
//! let edge = DnsEdge::open(config, &prometheus::Registry::new())?;
//! edge.caught_up().await?;
//! let mut server = Server::new(EdgeHandler::new(edge.states().clone()));
//! server.register_socket(UdpSocket::bind("127.0.0.1:5353").await?);
//! server.block_until_done().await?;
//! # Ok(())
//! # }
//! ```
//! hickory-server brings DNS over TLS, HTTPS and QUIC, too; answers are the same everywhere.

mod handler;

pub use handler::EdgeHandler;
