//! SIGHUP: what a node reads from files while it runs is read again at once, and the log says what came of it.
//!
//! A node looks at these files by itself every few seconds; the signal is for who wants to know now. Whoever sends it
//! to a service does not want it to end, which is what SIGHUP does to a process that knows nothing of it.

use std::io::IsTerminal as _;

use std::sync::Arc;

use tokio::task::JoinHandle;
use zonecast_edge::HeldKeyspaces;
use zonecast_kv_transport::Identity;
use zonecast_service::exit::Outcome;

use super::Stop;
use crate::config::EdgeFile;
use crate::http::Gate;

/// Reads the configuration of a node again.
pub(crate) type ReadAgain = Box<dyn Fn() -> Outcome<EdgeFile> + Send + Sync>;

/// The keyspaces that an edge or relay holds, and the file that says which.
pub(crate) struct KeyspaceChoice {
    /// Where they are chosen.
    pub held: Arc<HeldKeyspaces>,
    /// The file.
    pub read_again: ReadAgain,
}

impl KeyspaceChoice {
    /// What the file says holds from now on.
    fn take(&self) -> Result<(), String> {
        let selection = (self.read_again)().and_then(|file| file.selection());
        self.held.choose(selection.map_err(|failure| failure.to_string())?);
        Ok(())
    }
}

/// Reads certificate, tokens, and which keyspaces to hold again at every SIGHUP, until aborted or the runtime ends.
pub(crate) fn on_hangup(
    stop: &Stop,
    identity: Identity,
    gate: Gate,
    keyspaces: Option<KeyspaceChoice>,
) -> JoinHandle<()> {
    let keyspaces = keyspaces.map(Arc::new);
    let mut hangups = stop.hangups();
    tokio::spawn(async move {
        while hangups.changed().await.is_ok() {
            let certificate = said(identity.reload().await.map_err(|error| error.to_string()));
            let gate = gate.clone();
            // It reads a file.
            let tokens = tokio::task::spawn_blocking(move || gate.reload()).await.ok().flatten();
            let tokens = tokens.map_or("none in a file".to_owned(), said);
            let chosen = keyspaces.clone().map(|keyspaces| tokio::task::spawn_blocking(move || keyspaces.take()));
            let keyspaces = match chosen {
                Some(chosen) => chosen.await.map_or_else(|error| error.to_string(), said),
                None => "all of a core".to_owned(),
            };
            tracing::info!(
                certificate,
                tokens,
                keyspaces,
                "SIGHUP: the rest of the configuration is read at a start only"
            );
        }
    })
}

/// What runs in a terminal ends with it, in good order; what does not has nothing that it could read again.
pub(crate) fn end_with_terminal(stop: &Stop) -> JoinHandle<()> {
    let (mut hangups, stop, in_terminal) = (stop.hangups(), stop.clone(), std::io::stdin().is_terminal());
    tokio::spawn(async move {
        while hangups.changed().await.is_ok() {
            if in_terminal {
                tracing::info!("SIGHUP: the terminal is gone; stopping");
                stop.ask();
            } else {
                tracing::info!("SIGHUP: there is nothing to read again");
            }
        }
    })
}

fn said(read: Result<(), String>) -> String {
    read.map_or_else(|error| format!("not used, the one before stays: {error}"), |()| "read again".to_owned())
}
