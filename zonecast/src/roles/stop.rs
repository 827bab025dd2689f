//! What signals ask for: to end (SIGTERM, SIGINT, or a test), or to read files again (SIGHUP).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use zonecast_service::exit::{Failure, Outcome};

/// Stopping takes no longer, whatever hangs: who asked us to stop kills us after 10 s.
pub(crate) const STOP_WITHIN: Duration = Duration::from_secs(9);

/// A second signal within this time is the first one told twice, by a service manager and by the parent process.
const SAME_SIGNAL: Duration = Duration::from_secs(1);

/// Cloning shares it.
#[derive(Clone, Debug)]
pub struct Stop {
    asked: Arc<AtomicBool>,
    tell: Arc<watch::Sender<bool>>,
    hangups: Arc<watch::Sender<u64>>,
}

impl Default for Stop {
    fn default() -> Self {
        let (tell, hangups) = (Arc::new(watch::Sender::new(false)), Arc::new(watch::Sender::new(0)));
        Self { asked: Arc::default(), tell, hangups }
    }
}

impl Stop {
    /// Nobody wishes to end yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The process is to end.
    pub fn ask(&self) {
        self.asked.store(true, Ordering::Relaxed);
        self.tell.send_replace(true);
    }

    /// Whether it is.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// For loops that do not wait.
    #[must_use]
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.asked)
    }

    /// Waits until it is to end.
    pub async fn asked(&self) {
        let mut told = self.tell.subscribe();
        // The sender lives as long as we do.
        let _ = told.wait_for(|asked| *asked).await;
    }

    /// Changes with every SIGHUP from now on.
    pub(crate) fn hangups(&self) -> watch::Receiver<u64> {
        self.hangups.subscribe()
    }

    /// Listens for SIGTERM and SIGINT: the first asks, one that comes more than a second later ends the process at once.
    /// SIGHUP, which would end it, asks to read files again.
    ///
    /// # Errors
    /// The system gives no signal handler.
    pub fn listen(&self) -> Outcome {
        let handler =
            |kind| signal(kind).map_err(|error| Failure::failed(format_args!("cannot receive signals: {error}")));
        let (mut terminate, mut interrupt) = (handler(SignalKind::terminate())?, handler(SignalKind::interrupt())?);
        let mut hangup = handler(SignalKind::hangup())?;
        let stop = self.clone();
        tokio::spawn(async move {
            let mut first = None;
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                    _ = hangup.recv() => {
                        stop.hangups.send_modify(|count| *count += 1);
                        continue;
                    }
                }
                match first {
                    None => {
                        tracing::info!("stopping; a second signal ends it at once");
                        first = Some(Instant::now());
                        stop.ask();
                    }
                    Some(first) if first.elapsed() < SAME_SIGNAL => {}
                    Some(_) => {
                        tracing::warn!("second signal: ending at once");
                        // Leaving by exit() would run destructors of RocksDB under its own threads, and abort.
                        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
                    }
                }
            }
        });
        Ok(())
    }
}
