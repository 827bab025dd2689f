//! A node of the tree: the core, a relay or an edge.

use std::time::Duration;

use super::disk::Disk;
use super::hub::Hub;
use super::wire::Wire;
use crate::{Filter, Follower, FollowerInput, FollowerState, Path, Peer, Position, Role};

pub(super) struct Node {
    pub(super) peer: Peer,
    /// Places of the nodes that it may follow, in order; none for the core.
    pub(super) upstreams: Vec<usize>,
    pub(super) disk: Disk,
    /// What it is to hold, if not everything.
    pub(super) filter: Option<Filter>,
    pub(super) follower: Follower,
    pub(super) hub: Option<Hub>,
    pub(super) wire: Option<Wire>,
    incarnation: u64,
    /// Fewest edges that it tells of together.
    pub(super) folds_from: usize,
    /// Whether its present upstream is being told of the edges below.
    pub(super) tells: bool,
    /// It does nothing before then.
    pub(super) hangs_until: Duration,
    /// The furthest that it has ever stood at, and that was on its disk.
    pub(super) ever_applied: Option<Position>,
    pub(super) ever_durable: Option<Position>,
}

impl Node {
    pub(super) fn new(peer: Peer, upstreams: Vec<usize>, folds_from: usize) -> Self {
        let follower = Follower::new(Duration::ZERO, peer.name.clone(), 0, None);
        let disk = Disk::default();
        let mut node = Self {
            peer,
            upstreams,
            disk,
            filter: None,
            follower,
            hub: None,
            wire: None,
            incarnation: 0,
            folds_from,
            tells: false,
            hangs_until: Duration::ZERO,
            ever_applied: None,
            ever_durable: None,
        };
        node.start(Duration::ZERO);
        node
    }

    pub(super) fn is_relay(&self) -> bool {
        self.peer.role == Role::Relay
    }

    /// Its process starts, with what is on its disk: RocksDB writes out and syncs its log when it is opened.
    pub(super) fn start(&mut self, now: Duration) {
        self.disk.sync();
        self.stands();
        self.incarnation += 1;
        let (name, incarnation, position) = (self.peer.name.clone(), self.incarnation, self.disk.state.position);
        let passes_on_as = self.is_relay().then(|| self.peer.clone());
        self.follower = Follower::new(now, name, incarnation, position)
            .with_upstreams(self.upstreams.len().max(1))
            .with_filter(self.filter.clone(), self.disk.state.filter.as_ref())
            .passing_on_as(passes_on_as);
        self.hub = None;
        self.tells = false;
        if let Some(position) = position.filter(|_| self.is_relay()) {
            self.hub = Some(Hub::new(position, Path::default(), self.folds_from));
        }
    }

    /// It is to hold something else.
    pub(super) fn hold(&mut self, now: Duration, filter: Option<Filter>) {
        self.filter.clone_from(&filter);
        self.follower.handle(now, FollowerInput::Filter(filter));
    }

    /// Notes how far it has come.
    pub(super) fn stands(&mut self) {
        let further = |ever: Option<Position>, now: Option<Position>| {
            ever.into_iter().chain(now).max_by_key(|position| position.order())
        };
        self.ever_applied = further(self.ever_applied, self.disk.state.position);
        self.ever_durable = further(self.ever_durable, self.disk.durable.position);
    }

    /// Begins to tell each new upstream of the edges below.
    pub(super) fn follow_upstream(&mut self) {
        let is_away = self.follower.state() == FollowerState::Away;
        if let Some(hub) = self.hub.as_mut().filter(|_| !is_away && !self.tells) {
            hub.book.tell_all();
            self.tells = true;
        }
        self.tells &= !is_away;
    }
}
