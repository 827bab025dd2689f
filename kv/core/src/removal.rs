//! How a voter learns that it was removed while it was away: the others tell it when it asks for their votes.

use std::sync::Arc;

use tokio::sync::watch;

use crate::member::Member;

/// Shared by all who may hear of it.
#[derive(Clone, Debug)]
pub(crate) struct Removal {
    heard: Arc<watch::Sender<Option<Removed>>>,
}

/// What was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Removed {
    /// Who said it.
    pub(crate) by: Member,
    /// The index of the committed membership without this voter, or a later one.
    pub(crate) index: u64,
}

impl Removal {
    pub(crate) fn new() -> Self {
        Self { heard: Arc::new(watch::Sender::new(None)) }
    }

    /// A member says that this voter is in no membership that it knows up to this index, and its node id is older. Node
    /// ids are indexes of the log and each membership is later than the ids it adds, so it never will be in one again.
    pub(crate) fn heard(&self, by: &Member, index: u64) {
        self.heard.send_if_modified(|heard| {
            let is_first = heard.is_none();
            heard.get_or_insert_with(|| Removed { by: by.clone(), index });
            is_first
        });
    }

    /// Waits until it is heard.
    pub(crate) async fn wait(&self) -> Removed {
        let mut heard = self.heard.subscribe();
        let found = heard.wait_for(Option::is_some).await.ok().and_then(|heard| heard.clone());
        match found {
            Some(removed) => removed,
            None => std::future::pending().await,
        }
    }
}
