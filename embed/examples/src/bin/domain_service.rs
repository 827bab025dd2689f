//! A zonecast edge as a service of NLnet Labs `domain`.
//!
//! ```text
//! cargo run -p zonecast-embed-examples --bin domain_service -- IDENTITY CORE:PORT DATA 127.0.0.1:5353
//! dig @127.0.0.1 -p 5353 www.example.com
//! ```
#![allow(clippy::print_stdout, reason = "an example")]

use std::cell::RefCell;
use std::future::{Ready, ready};
use std::sync::Arc;

use domain::base::message_builder::{AdditionalBuilder, PushError};
use domain::base::question::ComposeQuestion;
use domain::base::record::ComposeRecord;
use domain::base::wire::Composer;
use domain::base::{Message, StreamTarget};
use domain::net::server::buf::VecBufSource;
use domain::net::server::dgram::DgramServer;
use domain::net::server::message::Request;
use domain::net::server::service::{CallResult, Service, ServiceError, ServiceResult};
use domain::net::server::stream::StreamServer;
use domain::net::server::util::mk_builder_for_target;
use futures_util::stream::{Once, once};
use tokio::net::{TcpListener, UdpSocket};
use zonecast_edge::{EdgeStates, Scratch, Transport};

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::with_cache(4 << 20));
}

/// Answers from the present state of an edge.
#[derive(Clone, Debug)]
struct EdgeService {
    states: EdgeStates,
}

impl Service<Vec<u8>, ()> for EdgeService {
    type Target = Vec<u8>;
    type Stream = Once<Ready<ServiceResult<Vec<u8>>>>;
    type Future = Ready<Self::Stream>;

    fn call(&self, request: Request<Vec<u8>, ()>) -> Self::Future {
        ready(once(ready(self.answer(&request))))
    }
}

impl EdgeService {
    fn answer(&self, request: &Request<Vec<u8>, ()>) -> ServiceResult<Vec<u8>> {
        let transport = if request.transport_ctx().is_udp() { Transport::UDP } else { Transport::Tcp };
        let mut wire = Vec::new();
        SCRATCH.with_borrow_mut(|scratch| {
            self.states.read().answer(scratch, request.message().as_slice(), transport, &mut wire);
        });
        let message = Message::from_octets(wire.as_slice()).map_err(|_| ServiceError::FormatError)?;
        copied(&message).map(CallResult::new).map_err(|_| ServiceError::InternalError)
    }
}

/// The message in the builder that a service returns, byte for byte.
fn copied(message: &Message<&[u8]>) -> Result<AdditionalBuilder<StreamTarget<Vec<u8>>>, PushError> {
    let counts = message.header_counts();
    // Everything behind the header comes with whatever is first, so that compressed names stay what they are.
    let mut rest = Part(message.as_slice().get(HEADER..).unwrap_or_default());
    let mut builder = mk_builder_for_target();
    *builder.header_mut() = message.header();
    let mut question = builder.question();
    (0..counts.qdcount()).try_for_each(|_| question.push(rest.take()))?;
    let mut answer = question.answer();
    (0..counts.ancount()).try_for_each(|_| answer.push(rest.take()))?;
    let mut authority = answer.authority();
    (0..counts.nscount()).try_for_each(|_| authority.push(rest.take()))?;
    let mut additional = authority.additional();
    (0..counts.arcount()).try_for_each(|_| additional.push(rest.take()))?;
    Ok(additional)
}

/// Length of a header, RFC 1035 section 4.1.1.
const HEADER: usize = 12;

/// Bytes that are composed already.
struct Part<'a>(&'a [u8]);

impl Part<'_> {
    fn take(&mut self) -> Self {
        Self(std::mem::take(&mut self.0))
    }
}

impl ComposeQuestion for Part<'_> {
    fn compose_question<Target: Composer + ?Sized>(&self, target: &mut Target) -> Result<(), Target::AppendError> {
        target.append_slice(self.0)
    }
}

impl ComposeRecord for Part<'_> {
    fn compose_record<Target: Composer + ?Sized>(&self, target: &mut Target) -> Result<(), Target::AppendError> {
        target.append_slice(self.0)
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (edge, listen) = zonecast_embed_examples::open_edge().await?;
    let service = EdgeService { states: edge.states().clone() };
    let udp = UdpSocket::bind(&listen).await?;
    let tcp = TcpListener::bind(&listen).await?;
    let udp = Arc::new(DgramServer::new(udp, VecBufSource, service.clone()));
    let tcp = Arc::new(StreamServer::new(tcp, VecBufSource, service));
    println!("ready");
    tokio::join!(udp.run(), tcp.run());
    Ok(())
}
