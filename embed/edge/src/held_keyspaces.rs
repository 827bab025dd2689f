//! Keeps an edge to the keyspaces that were chosen for it: finds their ids in its copy, whenever that has changed.

use tokio::sync::watch;
use tokio::task::JoinHandle;
use zonecast_keyspaces::{KeyspaceError, Selection};
use zonecast_kv_edge::{Edge, EdgeStatus, Holder, Holds};
use zonecast_kv_proto::Filter;

use crate::states::WeakStates;
use crate::{EdgeStates, Reading};

/// The choice for one edge, which can change while it runs. Dropped, it leaves the edge with what it holds.
#[derive(Debug)]
pub struct HeldKeyspaces {
    chosen: watch::Sender<Option<Selection>>,
    states: WeakStates,
    task: JoinHandle<()>,
}

impl HeldKeyspaces {
    /// What an edge is started with for a choice.
    #[must_use]
    pub fn at_start(chosen: Option<&Selection>) -> Holds {
        chosen.map_or(Holds::Everything, |chosen| Holds::Chosen(chosen.at_first()))
    }

    /// Keeps an edge to the choice that it was started with. Call within a tokio runtime.
    #[must_use]
    pub fn keep(edge: &Edge, states: &EdgeStates, chosen: Option<Selection>) -> Self {
        let (sender, receiver) = watch::channel(chosen);
        let states = states.downgrade();
        let keeper = Keeper { holder: edge.holder(), states: states.clone(), chosen: receiver, status: edge.watch() };
        Self { chosen: sender, states, task: tokio::spawn(keeper.run()) }
    }

    /// Ends it. Nothing of it reads the copy any more then: RocksDB aborts a process that ends while somebody does.
    pub async fn end(&self) {
        self.task.abort();
        // The task has the only receiver.
        self.chosen.closed().await;
    }

    /// The edge is to hold these keyspaces from now on, or everything. It answers from what it has until a snapshot of
    /// that has come.
    pub fn choose(&self, selection: Option<Selection>) {
        self.chosen.send_replace(selection);
    }

    /// What was chosen; `None` for everything.
    #[must_use]
    pub fn chosen(&self) -> Option<Selection> {
        self.chosen.borrow().clone()
    }

    /// Whether a copy that holds this holds what was chosen, as far as that exists. One that cannot be read does not.
    #[must_use]
    pub fn is_kept(&self, holds: Option<&Filter>) -> bool {
        match self.chosen() {
            None => holds.is_none(),
            Some(chosen) => wanted(&chosen, &self.states).is_ok_and(|wanted| wanted.as_ref() == holds),
        }
    }
}

impl Drop for HeldKeyspaces {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Keeper {
    holder: Holder,
    states: WeakStates,
    chosen: watch::Receiver<Option<Selection>>,
    status: watch::Receiver<EdgeStatus>,
}

impl Keeper {
    /// Runs until the edge or the choice is gone.
    async fn run(mut self) {
        loop {
            // Before the copy is read, so that what comes in between wakes us.
            self.status.borrow_and_update();
            let chosen = self.chosen.borrow_and_update().clone();
            match &chosen {
                None => self.holder.hold(None),
                // A copy that cannot be read is fetched again, and what it is to hold stays until then.
                Some(chosen) => drop(wanted(chosen, &self.states).map(|filter| self.holder.hold(filter))),
            }
            tokio::select! {
                changed = self.chosen.changed() => if changed.is_err() { return },
                changed = self.status.changed(), if chosen.is_some() => if changed.is_err() { return },
            }
        }
    }
}

/// What an edge with these states is to hold.
fn wanted(chosen: &Selection, states: &WeakStates) -> Result<Option<Filter>, KeyspaceError> {
    let reading = states.read().unwrap_or_else(Reading::not_ready);
    let found = reading.with_view(|state, view| state.seen_keys(chosen.filter(view)));
    found.transpose().map(|filter| Some(filter.unwrap_or_else(|| chosen.at_first())))
}
