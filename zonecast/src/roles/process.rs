//! What every role's process does: threads, signals, the end; and beginning anew when a disk works again.

use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::Stop;
use zonecast_service::exit::{Failure, Outcome};

/// Where there is no highest limit of open files.
const ENOUGH_FILES: u64 = 1024 * 1024;

/// At the end, what still blocks or is being dropped has so long. Mostly nothing is.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// How a role ends well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It was asked to.
    Stopped,
    /// To open its stores anew.
    Restart,
}

/// Runs a role until it ends. On [`Ended::Restart`] the program replaces itself: same arguments, same process id.
///
/// # Errors
/// The role's, or the system gives no thread.
pub(crate) fn run(role: impl AsyncFnOnce(Stop) -> Outcome<Ended>) -> Outcome {
    raise_file_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::failed(format_args!("cannot start threads: {error}")))?;
    let ended = runtime.block_on(async {
        let stop = Stop::new();
        stop.listen()?;
        role(stop).await
    });
    // RocksDB aborts a process that ends while a thread still uses a database.
    runtime.shutdown_timeout(LAST_WAIT);
    match ended? {
        Ended::Stopped => Ok(()),
        Ended::Restart => Err(restart()),
    }
}

/// Takes as many files as it may have at most: shells and old service managers set a limit for programs that use
/// `select`, far below what connections and table files need.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum.or(Some(ENOUGH_FILES)), ..limit };
    if limit.current.is_some()
        && let Err(error) = setrlimit(Resource::Nofile, raised)
    {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

/// Returns only when it fails.
fn restart() -> Failure {
    tracing::info!("restarting this process");
    let error = match std::env::current_exe() {
        Ok(program) => Command::new(program).args(std::env::args_os().skip(1)).exec(),
        Err(error) => error,
    };
    Failure::failed(format_args!("cannot start again: {error}"))
}

/// Tells the service manager, if one started us, that we are ready or about to end (sd_notify(3)).
pub(crate) fn notify(state: sd_notify::NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!(%error, "the service manager was not told");
    }
}
