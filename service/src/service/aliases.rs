//! Keeps the addresses current that stand for aliases at apexes: looks again at whoever a change concerns.
//!
//! What is to be looked at is only in memory: a process that ends in between looks at all of them when it starts.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Notify;
use zonecast_builder::{
    AliasEntry, ChangeError as BuildError, ChangeKind, ReadError, RecordBuild, Refreshed, aliases_through,
    aliases_within, flattened_build, refresh_alias, zone_info,
};
use zonecast_kv_core::{ChangeError, Pending};
use zonecast_kv_proto::View;
use zonecast_records::Name;

use super::Service;
use super::records::serial_time;
use crate::answer::Wrote;
use crate::error::ServiceError;
use crate::import::landed;

/// Author in the history of a zone, where what follows a target is not a part of somebody's change.
const ALIAS: &str = "target of the alias at the apex";

/// Pause when somebody works on the zone, or the core takes no more.
const AGAIN: Duration = Duration::from_millis(50);

/// Zones whose aliases are looked at side by side: they share the writes of the log, and a flood of them leaves room for
/// others.
const AT_ONCE: usize = 32;

/// What is to be looked at again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Look {
    /// An alias, because of a name on its way.
    Alias(Box<AliasEntry>),
    /// The alias of a zone.
    Zone(Box<Name>),
    /// The alias of a zone, and all that lead through it.
    Within(Box<Name>),
}

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Aliases {
    waiting: Mutex<BTreeSet<Look>>,
    wake: Notify,
}

impl Aliases {
    /// Adds some.
    pub(super) fn look(&self, looks: impl IntoIterator<Item = Look>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let before = waiting.len();
        waiting.extend(looks);
        if waiting.len() > before {
            self.wake.notify_one();
        }
    }

    fn next(&self) -> Option<Look> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_first()
    }
}

impl Service {
    /// Has all aliases looked at that lead through a zone, and that of the zone: it was replaced, rolled back or deleted.
    pub fn look_within(&self, apex: Name) {
        self.aliases.look([Look::Within(Box::new(apex))]);
    }

    /// What [`Service::look_within`] means. It looks ahead, at changes that are not applied yet, too: an alias that was
    /// made while the zone was replaced has seen the zone as it was.
    async fn find_within(&self, apex: Name) -> Result<(), ServiceError> {
        let found = self.core().ahead(move |view| {
            let flattens = zone_info(view, &apex)?.is_some_and(|zone| zone.settings.flatten);
            let aliases = aliases_within(view, &apex)?.into_iter().map(|entry| Look::Alias(Box::new(entry)));
            Ok::<_, ReadError>(aliases.chain(flattens.then(|| Look::Zone(Box::new(apex)))).collect::<Vec<_>>())
        });
        self.aliases.look(found.await?);
        Ok(())
    }

    /// Keeps aliases current for as long as the process lives; at first it looks at all of them.
    pub async fn keep_aliases_current(&self) {
        self.look_within(Name::ROOT);
        loop {
            let mut looking = FuturesUnordered::new();
            loop {
                while looking.len() < AT_ONCE
                    && let Some(look) = self.aliases.next()
                {
                    looking.push(self.look_again(look));
                }
                if looking.next().await.is_none() {
                    break;
                }
            }
            self.aliases.wake.notified().await;
        }
    }

    /// Looks at one, again and again while that is put off.
    async fn look_again(&self, look: Look) {
        loop {
            match self.look_at(&look).await {
                Ok(()) | Err(ServiceError::NoZone(_)) => return,
                Err(ServiceError::Busy(_) | ServiceError::Overtaken(_) | ServiceError::Overloaded) => {
                    tokio::time::sleep(AGAIN).await;
                }
                Err(error) => {
                    tracing::warn!(?look, %error, "the addresses of an alias may be out of date");
                    return;
                }
            }
        }
    }

    async fn look_at(&self, look: &Look) -> Result<(), ServiceError> {
        let apex = match look {
            Look::Alias(entry) => entry.apex,
            Look::Zone(apex) => **apex,
            Look::Within(apex) => return self.find_within(**apex).await,
        };
        let _guard = self.locks().change(apex).ok_or_else(|| ServiceError::busy(&apex))?;
        let (look, author) = (look.clone(), self.author(ALIAS));
        let build = move |view: &dyn View, _: &zonecast_kv_core::Editions<'_>| {
            let (mut batch, undo) = match &look {
                Look::Alias(entry) => {
                    let Refreshed { batch, undo } = refresh_alias(view, entry, serial_time())?;
                    (batch, undo)
                }
                Look::Zone(apex) | Look::Within(apex) => {
                    let RecordBuild { batch, undo, unchanged, .. } = flattened_build(view, apex, &[], serial_time())?;
                    (batch, (!unchanged).then_some(undo))
                }
            };
            if let Some(undo) = undo {
                undo.join_last(view, &mut batch, author.note(ChangeKind::Records))?;
            }
            let entries = aliases_through(view, &apex, &batch)?;
            Ok::<_, BuildError>((batch, entries))
        };
        let (entries, pending) = self.core().change(build).await.map_err(|error| match error {
            ChangeError::Build(error) => super::records::refused(&apex, error),
            ChangeError::Propose(error) => error.into(),
        })?;
        self.commit_and_look(pending, entries).await.map(|_| ())
    }

    /// Waits for a change and then looks at the aliases that it concerns, however it ended: they may have been built on it.
    pub async fn commit_and_look(
        &self,
        pending: Pending,
        entries: Vec<AliasEntry>,
    ) -> Result<Wrote<Option<zonecast_kv_proto::Version>>, ServiceError> {
        let landed = landed(pending.await);
        self.aliases.look(entries.into_iter().map(|entry| Look::Alias(Box::new(entry))));
        landed
    }
}
