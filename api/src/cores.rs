//! The cores of one cluster, as a client knows them: it goes on to the next when one cannot be reached.

use std::sync::atomic::{AtomicUsize, Ordering};

use ureq::Agent;

use crate::client_error::ClientError;

/// One core, and the connections to it.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Its URL.
    pub(crate) core: String,
    pub(crate) agent: Agent,
}

/// Whether the core that was asked may have lost the others, or its life.
fn is_cut_off(error: &ClientError) -> bool {
    match error {
        ClientError::Unknown { .. } => true,
        ClientError::Refused { detail, .. } => matches!(detail.code.as_str(), "not_leader" | "no_leader"),
        _ => false,
    }
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Cores {
    targets: Vec<Target>,
    /// The one that answered last.
    present: AtomicUsize,
}

impl Cores {
    pub(crate) fn new(targets: Vec<Target>) -> Self {
        Self { targets, present: AtomicUsize::new(0) }
    }

    /// Asks one after the other, until one is reached. A request that may have arrived is not sent again here, unless it is
    /// a read: the errors after which the next one is asked say that nothing was done.
    pub(crate) fn ask<T>(&self, ask: impl Fn(Target) -> Result<T, ClientError>) -> Result<T, ClientError> {
        let first = self.present.load(Ordering::Relaxed);
        let mut last = None;
        let numbered = self.targets.iter().enumerate();
        for (number, target) in numbered.clone().skip(first).chain(numbered.take(first)) {
            match ask(target.clone()) {
                Err(error @ (ClientError::Unreachable { .. } | ClientError::Silent { .. })) => last = Some(error),
                // Asked again, the next one may know more.
                Err(error) if is_cut_off(&error) => {
                    self.present.store((number + 1) % self.targets.len(), Ordering::Relaxed);
                    return Err(error);
                }
                answered => {
                    self.present.store(number, Ordering::Relaxed);
                    return answered;
                }
            }
        }
        let error =
            last.ok_or_else(|| ClientError::Foreign { core: String::new(), reason: "no core is named".into() })?;
        Err(self.by_all(error))
    }

    /// The error of the last one, said of all.
    fn by_all(&self, error: ClientError) -> ClientError {
        let cores: Vec<&str> = self.targets.iter().map(|target| target.core.as_str()).collect();
        let core = cores.join(", ");
        match error {
            ClientError::Unreachable { source, .. } => ClientError::Unreachable { core, source },
            ClientError::Silent { within, .. } => ClientError::Silent { core, within },
            error => error,
        }
    }
}
