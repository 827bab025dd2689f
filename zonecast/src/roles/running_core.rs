//! A running core with its API. The same in a process of its own and beside edges in `zonecast dev`.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use zonecast_kv_core::Core;
use zonecast_kv_transport::{CoreService, Publisher};
use zonecast_service::exit::Outcome;
use zonecast_service::{RunningService, Service, ServiceSetup, Shares, StoppedService};

use super::forwarded::ForwardedRequests;
use super::http::HttpServer;
use crate::auth::Tokens;
use crate::http::{ApiState, Gate, ZONE_BODIES, router};
use crate::metrics::MetricsRegistry;

/// What a core is started with.
#[derive(Debug)]
pub(crate) struct CoreSetup {
    /// Everything but the API.
    pub service: ServiceSetup,
    /// Where the API listens.
    pub http: TcpListener,
    /// With which certificate it speaks TLS, if it does.
    pub tls: Option<rustls::ServerConfig>,
    /// What `/metrics` shows.
    pub metrics: Arc<MetricsRegistry>,
}

/// A started core: its HTTP server, its service, and the gate that checks the tokens of requests.
#[derive(Debug)]
pub(crate) struct RunningCore {
    http: HttpServer,
    running: RunningService,
    gate: Gate,
    /// What answers requests that other cores hand on.
    forwarded: Arc<ForwardedRequests>,
    name: String,
}

impl RunningCore {
    /// Starts it; it leads when this returns, and is not ready before [`Service::set_ready`].
    ///
    /// # Errors
    /// A store cannot be opened, or a listener not be used.
    pub(crate) async fn start(setup: CoreSetup) -> Outcome<Self> {
        let CoreSetup { service, http, tls, metrics } = setup;
        let (fault, asks_for_tokens) = (service.fault.clone(), service.first_token.is_some());
        let name = service.identity.peer().name.clone();
        let running = RunningService::start(service).await?;
        let tokens = asks_for_tokens.then(|| Tokens::Stored(Arc::clone(running.service().token_table())));
        let gate = Gate::new(tokens, metrics.registry(), fault)?;
        let zone_bodies = Shares::new(ZONE_BODIES);
        let state = ApiState { service: Arc::clone(running.service()), zone_bodies, metrics };
        let router = router(state, gate.clone());
        let forwarded = ForwardedRequests::new(router.clone(), gate.clone());
        running.answer_requests(&(Arc::clone(&forwarded) as Arc<dyn CoreService>));
        let http = HttpServer::start(http, router, gate.clone(), tls)?;
        Ok(Self { http, running, gate, forwarded, name })
    }

    /// What it is called, from its certificate.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Zones and records.
    pub(crate) fn service(&self) -> &Arc<Service> {
        self.running.service()
    }

    /// Who has what.
    pub(crate) fn publisher(&self) -> &Publisher {
        self.running.publisher()
    }

    /// The voter.
    pub(crate) fn core(&self) -> &Core {
        self.running.core()
    }

    /// Who may pass to its API.
    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Where the API listens.
    pub(crate) fn http(&self) -> SocketAddr {
        self.http.address()
    }

    /// Where edges connect.
    pub(crate) fn quic(&self) -> SocketAddr {
        self.running.quic()
    }

    /// Takes no more requests, answers those it has and ends what writes they left. What follows is
    /// [`StoppedService::close`].
    pub(crate) async fn stop_api(self) -> StoppedService {
        drop(self.forwarded);
        let ending = self.running.end().await;
        self.http.stop().await;
        ending.stop().await
    }
}
