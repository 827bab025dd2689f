//! HTTP connections within limits: how many there are, how long a head may take, how long a body may pause or trickle,
//! and how long a client may read nothing of its answer, or trickle.
//!
//! ```text
//! accept ─▶ idle ─ head ─▶ busy ─ answer sent ─▶ idle ...
//!            │ longest idle goes when a new one comes and there are too many
//!            └ a head that takes too long
//! ```
//! Whoever opens connections and says little loses them to whoever comes next, so that health checks and clients get
//! in at any time. A connection with a request under way is never given up for another.

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse as _;
use axum::serve::Listener;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::admission::{Admission, Places};
use super::http_bodies::{Answer, PacedBody};
use super::idle::{IdleBook, Seat};
use super::paced_stream::PacedStream;
use zonecast_service::Who;

/// Longest head of a request in bytes; browsers and proxies stay under 16 KiB.
const MAX_HEAD: usize = 64 * 1024;

/// Says whose a request from this address is, and tells the router in its extensions.
pub(super) type Introduce = Arc<dyn Fn(&mut Request<Incoming>, IpAddr) -> Who + Send + Sync>;

/// What requests are answered with, and who says whose they are.
#[derive(Clone)]
pub(super) struct RequestHandler {
    pub(super) router: Router,
    pub(super) introduce: Introduce,
}

/// What connections may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct HttpLimits {
    /// At a time. Each holds some ten KiB and a file descriptor, of which a process often has no more than 1024.
    pub(super) connections: usize,
    /// Requests under way; fewer than connections, so that one that is refused hears so.
    pub(super) places: Places,
    /// From the first byte, or from the last answer, to the end of a head; clients forget idle connections sooner.
    pub(super) head_within: Duration,
    /// Longest pause of a body: who sends nothing for so long is gone.
    pub(super) body_pause: Duration,
    /// Longest pause of a client that reads its answer: who takes nothing for so long is gone.
    pub(super) write_pause: Duration,
    /// All of a body, of a request or an answer: the largest zone file in it at half a MiB a second.
    pub(super) body_within: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connections: 896,
            places: Places::default(),
            head_within: Duration::from_secs(30),
            body_pause: Duration::from_secs(15),
            write_pause: Duration::from_secs(15),
            body_within: Duration::from_mins(10),
        }
    }
}

/// Serves until `stopped`, then waits for the requests under way. Dropped, it drops all connections.
pub(super) async fn serve<L: Listener<Addr = SocketAddr>>(
    mut listener: L,
    book: Arc<IdleBook>,
    handler: RequestHandler,
    limits: HttpLimits,
    stopped: impl Future<Output = ()>,
) {
    let admission = Arc::new(Admission::new(limits.places));
    let stopping = watch::Sender::new(false);
    let mut connections = JoinSet::new();
    let mut stopped = pin!(stopped);
    loop {
        tokio::select! {
            (stream, address) = listener.accept() => {
                while connections.try_join_next().is_some() {}
                if connections.len() >= limits.connections && !book.close_oldest() {
                    tracing::debug!("an HTTP connection was not taken: all are busy");
                    continue;
                }
                let seat = book.sit();
                let stream = PacedStream::new(stream, limits.write_pause);
                let (address, admission) = (address.ip(), Arc::clone(&admission));
                let served = Served { handler: handler.clone(), address, admission, limits };
                connections.spawn(connection(stream, seat, served, stopping.subscribe()));
            }
            Some(_) = connections.join_next() => {}
            () = &mut stopped => break,
        }
    }
    drop(listener);
    stopping.send_replace(true);
    // hyper would wait for the first request of a connection that has sent none.
    while book.close_oldest() {}
    while connections.join_next().await.is_some() {}
}

/// What a connection is served with.
struct Served {
    handler: RequestHandler,
    address: IpAddr,
    admission: Arc<Admission>,
    limits: HttpLimits,
}

async fn connection<S>(stream: S, seat: Seat, served: Served, mut stopping: watch::Receiver<bool>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let Served { handler: RequestHandler { router, introduce }, address, admission, limits } = served;
    let seat = Arc::new(seat);
    let service = TowerToHyperService::new(router);
    let answer = service_fn(|mut request: Request<Incoming>| {
        let busy = seat.busy();
        let who = introduce(&mut request, address);
        let admitted = admission.admit(request.uri(), &who);
        let request = request.map(|body| Body::new(PacedBody::new(body, limits.body_pause, limits.body_within)));
        let answered = admitted.map(|place| (service.call(request), place));
        async move {
            let (response, place) = match answered {
                Ok((answered, place)) => {
                    let Ok(response) = answered.await;
                    (response, Some(place))
                }
                Err(full) => (full.into_response(), None),
            };
            Ok::<_, Infallible>(response.map(|body| Answer::new(body, busy, place, limits.body_within)))
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.head_within).max_buf_size(MAX_HEAD);
    let mut served = pin!(builder.serve_connection(TokioIo::new(stream), answer));
    let mut told = false;
    loop {
        tokio::select! {
            result = served.as_mut() => {
                if let Err(error) = result {
                    tracing::debug!(%error, "an HTTP connection ended early");
                }
                return;
            }
            () = seat.closed() => return,
            _ = stopping.wait_for(|stopping| *stopping), if !told => {
                told = true;
                served.as_mut().graceful_shutdown();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::routing::{get, post};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::{Notify, oneshot};
    use tokio::task::JoinHandle;

    use super::*;

    /// A test that takes so long has failed.
    const PATIENCE: Duration = Duration::from_secs(30);

    /// An answer that no socket holds.
    const LARGE: usize = 64 * 1024 * 1024;

    /// A name that requests may have.
    const NAME: &str = "x-name";

    fn introduce(request: &mut Request<Incoming>, address: IpAddr) -> Who {
        let name = request.headers().get(NAME).and_then(|name| name.to_str().ok());
        name.map_or_else(|| Who::at(address), |name| Who::Token(name.into()))
    }

    struct World {
        address: SocketAddr,
        go_on: Arc<Notify>,
        entered: Arc<tokio::sync::Semaphore>,
        stop: oneshot::Sender<()>,
        task: JoinHandle<()>,
    }

    impl World {
        async fn new(limits: HttpLimits) -> Self {
            let (go_on, entered) = (Arc::new(Notify::new()), Arc::new(tokio::sync::Semaphore::new(0)));
            let (wait, enter) = (Arc::clone(&go_on), Arc::clone(&entered));
            let slow = get(move || async move {
                // Before others know of it, so that it hears of whatever they do then.
                let told = wait.notified();
                enter.add_permits(1);
                told.await;
                "slow"
            });
            let echo = post(|body: Result<String, axum::extract::rejection::StringRejection>| async move {
                body.unwrap_or_else(|_| "broken off".into())
            });
            let (wait, enter) = (Arc::clone(&go_on), Arc::clone(&entered));
            let late = post(move |body: Body| async move {
                let told = wait.notified();
                enter.add_permits(1);
                told.await;
                axum::body::to_bytes(body, LARGE).await.unwrap_or_else(|_| "broken off".into())
            });
            let large = get(|| async { vec![b'x'; LARGE] });
            let router = Router::new().route("/healthz", get(|| async { "healthy" })).route("/slow", slow);
            let router = router.route("/echo", echo).route("/late", late).route("/large", large);
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let (stop, stopped) = oneshot::channel();
            let book = Arc::new(IdleBook::default());
            let handler = RequestHandler { router, introduce: Arc::new(introduce) };
            let task = tokio::spawn(serve(listener, book, handler, limits, async move { drop(stopped.await) }));
            Self { address, go_on, entered, stop, task }
        }

        async fn say(&self, what: &str) -> TcpStream {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            stream.write_all(what.as_bytes()).await.unwrap();
            stream
        }

        async fn ask(&self, path: &str) -> String {
            hear(self.say(&format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await).await
        }
    }

    /// Everything until the connection ends.
    async fn hear(mut stream: TcpStream) -> String {
        let mut heard = Vec::new();
        let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut heard)).await.expect("it is still open");
        // A reset is an end too.
        let _ = ended;
        String::from_utf8(heard).unwrap()
    }

    fn limits() -> HttpLimits {
        let long = Duration::from_hours(1);
        let places = Places { watching: 8, waiting: 8, working: 8 };
        HttpLimits { connections: 4, places, head_within: long, body_pause: long, write_pause: long, body_within: long }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn many_that_drip_their_heads_keep_nobody_out() {
        let world = World::new(limits()).await;
        let mut dripping = Vec::new();
        for _ in 0..40 {
            dripping.push(world.say("GET /healthz HT").await);
        }
        let answer = world.ask("/healthz").await;
        assert!(answer.ends_with("healthy"), "{answer}");
        // All but the last few have lost their connection.
        for stream in dripping.drain(..36) {
            assert_eq!(hear(stream).await, "");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_request_under_way_is_not_given_up_for_another() {
        let world = World::new(limits()).await;
        let request = "GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let mut slow = Vec::new();
        for _ in 0..4 {
            slow.push(world.say(request).await);
        }
        let entered = tokio::time::timeout(PATIENCE, world.entered.acquire_many(4)).await;
        entered.expect("some request has not begun").unwrap().forget();
        assert_eq!(world.ask("/healthz").await, "", "there is no place for it");
        world.go_on.notify_waiters();
        for stream in slow {
            assert!(hear(stream).await.ends_with("slow"));
        }
        assert!(world.ask("/healthz").await.ends_with("healthy"));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn health_is_answered_and_waiting_goes_on_when_all_other_places_are_taken() {
        let places = Places { watching: 1, waiting: 3, working: 3 };
        let world = World::new(HttpLimits { connections: 6, places, ..limits() }).await;
        let mut under_way = Vec::new();
        for path in ["/slow", "/slow", "/slow?wait=all", "/slow?timeout=1m&wait=1"] {
            under_way.push(world.say(&format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await);
        }
        let entered = tokio::time::timeout(PATIENCE, world.entered.acquire_many(4)).await;
        entered.expect("some request has not begun").unwrap().forget();
        for _ in 0..3 {
            assert!(world.ask("/healthz").await.ends_with("healthy"));
            for path in ["/slow", "/slow?wait=edge"] {
                let answer = world.ask(path).await;
                assert!(answer.starts_with("HTTP/1.1 429") && answer.contains("overloaded"), "{path}: {answer}");
            }
        }
        world.go_on.notify_waiters();
        for stream in under_way {
            assert!(hear(stream).await.ends_with("slow"));
        }
        assert!(world.ask("/large").await.len() > LARGE, "the places are free again");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn no_name_keeps_out_another() {
        let places = Places { watching: 1, waiting: 4, working: 4 };
        let world = World::new(HttpLimits { connections: 9, places, ..limits() }).await;
        let ask = async |name: &str, path: &str| {
            let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{NAME}: {name}\r\n\r\n");
            world.say(&head).await
        };
        let mut under_way = Vec::new();
        for path in ["/slow", "/slow", "/slow?wait=all", "/slow?wait=all"] {
            under_way.push(ask("greedy", path).await);
        }
        let entered = tokio::time::timeout(PATIENCE, world.entered.acquire_many(4)).await;
        entered.expect("some request has not begun").unwrap().forget();
        for path in ["/slow", "/slow?wait=all"] {
            let refused = hear(ask("greedy", path).await).await;
            assert!(refused.starts_with("HTTP/1.1 429"), "{path}: {refused}");
            under_way.push(ask("modest", path).await);
        }
        let entered = tokio::time::timeout(PATIENCE, world.entered.acquire_many(2)).await;
        entered.expect("another name found no place").unwrap().forget();
        world.go_on.notify_waiters();
        for stream in under_way {
            assert!(hear(stream).await.ends_with("slow"));
        }
    }

    /// An upload that waits for its turn is not late: the client waits for us.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_body_is_waited_for_from_when_it_is_wanted() {
        let pause = Duration::from_millis(300);
        let world = World::new(HttpLimits { body_pause: pause, ..limits() }).await;
        let head =
            "POST /late HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
        let mut upload = world.say(head).await;
        tokio::time::timeout(PATIENCE, world.entered.acquire()).await.expect("it has not begun").unwrap().forget();
        let begun = std::time::Instant::now();
        while begun.elapsed() < 2 * pause {
            assert!(world.ask("/healthz").await.ends_with("healthy"));
        }
        world.go_on.notify_waiters();
        let mut wanted = [0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
        tokio::time::timeout(PATIENCE, upload.read_exact(&mut wanted)).await.expect("it is not wanted").unwrap();
        upload.write_all(b"whole").await.unwrap();
        let heard = hear(upload).await;
        assert!(heard.ends_with("whole"), "{heard:?}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_reads_nothing_loses_the_connection_and_its_place() {
        let places = Places { watching: 1, waiting: 1, working: 1 };
        let short = Duration::from_millis(50);
        let world = World::new(HttpLimits { places, write_pause: short, ..limits() }).await;
        let stuck = world.say("GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let freed = async { while !world.ask("/large").await.starts_with("HTTP/1.1 200") {} };
        tokio::time::timeout(PATIENCE, freed).await.expect("its place is still taken");
        assert!(hear(stuck).await.len() < LARGE);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_head_and_a_body_must_come_in_time() {
        let short = Duration::from_millis(50);
        let world = World::new(HttpLimits { head_within: short, ..limits() }).await;
        assert!(!hear(world.say("GET /healthz HTTP/1.1\r\nHost:").await).await.contains("healthy"));

        let part = "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 100\r\n\r\nonly this";
        for limits in [HttpLimits { body_pause: short, ..limits() }, HttpLimits { body_within: short, ..limits() }] {
            let world = World::new(limits).await;
            let heard = hear(world.say(part).await).await;
            assert!(heard.ends_with("broken off"), "{heard:?}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn stopping_lets_requests_end_and_idle_connections_not_wait() {
        let world = World::new(limits()).await;
        let idle = world.say("").await;
        let slow = world.say("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await;
        tokio::time::timeout(PATIENCE, world.entered.acquire()).await.expect("it has not begun").unwrap().forget();
        world.stop.send(()).unwrap();
        assert_eq!(hear(idle).await, "");
        world.go_on.notify_waiters();
        assert!(hear(slow).await.ends_with("slow"));
        tokio::time::timeout(PATIENCE, world.task).await.expect("it still serves").unwrap();
    }
}
