//! Sees all that happens, shows it to the invariants, and keeps what clients were told.

use std::fmt;
use std::sync::{Mutex, MutexGuard};

use super::commits::Commits;
use super::event::Event;
use super::history::{History, Operation};
use super::invariants::{Invariant, all, check_history};
use super::run::now;
use super::trace::Trace;

/// See the module.
pub(crate) struct Witness(Mutex<Seen>);

struct Seen {
    trace: Trace,
    invariants: Vec<Box<dyn Invariant>>,
    commits: Commits,
    history: History,
    broken: Vec<String>,
}

/// What came of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) trace: u64,
    pub(crate) lines: u64,
    pub(crate) operations: usize,
    pub(crate) revisions: u64,
}

impl Witness {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Seen {
            trace: Trace::default(),
            invariants: all(),
            commits: Commits::default(),
            history: History::default(),
            broken: Vec::new(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap()
    }

    pub(crate) fn see(&self, event: &Event<'_>) {
        let line = line(event);
        let mut seen = self.lock();
        seen.trace.note(now(), &line);
        let Seen { invariants, commits, broken, .. } = &mut *seen;
        let seeing = invariants.iter_mut().map(|invariant| invariant.see(event));
        broken.extend(seeing.chain([commits.see(event)]).filter_map(Result::err));
    }

    pub(crate) fn note(&self, what: &str) {
        self.lock().trace.note(now(), what);
    }

    /// Something that must not be.
    pub(crate) fn broken(&self, what: String) {
        let mut seen = self.lock();
        seen.trace.note(now(), &what);
        seen.broken.push(what);
    }

    pub(crate) fn told(&self, operation: Operation) {
        let mut seen = self.lock();
        let Operation { id, told, .. } = &operation;
        // Not what was read: a store id drawn at random has no part in the trace.
        seen.trace.note(now(), &format!("operation {id}: {told:?}"));
        seen.history.add(operation);
    }

    pub(crate) fn commits<T>(&self, look: impl FnOnce(&Commits) -> T) -> T {
        look(&self.lock().commits)
    }

    /// What came of it, or what was wrong.
    pub(crate) fn end(&self) -> Result<Summary, String> {
        let seen = self.lock();
        let history = check_history(seen.history.operations(), &seen.commits);
        let broken: Vec<String> = seen.broken.iter().cloned().chain(history.err()).take(5).collect();
        if !broken.is_empty() {
            return Err(format!("{}\nafter\n{}", broken.join("\n"), seen.trace.last()));
        }
        Ok(Summary {
            trace: seen.trace.hash(),
            lines: seen.trace.lines(),
            operations: seen.history.operations().len(),
            revisions: seen.commits.last().get(),
        })
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Witness")
    }
}

/// An event in the trace: without anything that the store id, which is drawn at random, goes into.
fn line(event: &Event<'_>) -> String {
    match event {
        Event::Admitted { id, disk } => format!("disk {disk} is node {id}"),
        Event::Opened { run, head } => format!("{run:?} begins at version {}", head.position.version),
        Event::Appended { run, entry, is_own, .. } => {
            format!("{run:?} appends {}{}", entry.log_id, if *is_own { ", its own" } else { "" })
        }
        Event::Truncated { run, entry } => format!("{run:?} truncates {}", entry.log_id),
        Event::Applied { run, log_id, verdict, .. } => format!("{run:?} applies {log_id}: {verdict:?}"),
        Event::Published { run, position } => format!("{run:?} publishes {}", position.version),
    }
}
