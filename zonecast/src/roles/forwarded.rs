//! Requests that other cores hand on to this one, which leads.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use zonecast_kv_proto::Peer;
use zonecast_kv_transport::{CoreService, CoreStream};

use crate::http::{CLIENT, Forwarded, Gate};

/// Answers them as if the client had asked here.
#[derive(Debug)]
pub(super) struct ForwardedRequests {
    router: Router,
    gate: Gate,
}

impl ForwardedRequests {
    pub(super) fn new(router: Router, gate: Gate) -> Arc<Self> {
        Arc::new(Self { router, gate })
    }
}

impl CoreService for ForwardedRequests {
    fn serve(&self, peer: &Peer, _kind: u8, stream: CoreStream) -> BoxFuture<'static, ()> {
        let (service, gate, peer) = (TowerToHyperService::new(self.router.clone()), self.gate.clone(), peer.clone());
        async move {
            let answer = service_fn(|mut request: Request<Incoming>| {
                let client = client(&request);
                gate.introduce(&mut request, client);
                request.extensions_mut().insert(Forwarded);
                let answered = service.call(request.map(Body::new));
                async move {
                    let Ok(response) = answered.await;
                    Ok::<_, Infallible>(response)
                }
            });
            let mut serving = http1::Builder::new();
            serving.keep_alive(false);
            if let Err(error) = serving.serve_connection(TokioIo::new(stream.into_io()), answer).await {
                tracing::debug!(%peer, %error, "a request that was handed on has ended");
            }
        }
        .boxed()
    }
}

/// Who has asked the other core, as that says.
fn client(request: &Request<Incoming>) -> IpAddr {
    let said = request.headers().get(CLIENT).and_then(|client| client.to_str().ok()?.parse().ok());
    said.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}
