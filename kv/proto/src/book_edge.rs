//! One edge in the book of acks: its connections, and what it has.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::fold_group::{FoldGroup, GroupId};
use crate::{AcceptedLink, Ack, CopyCheck, EdgeLink, EdgeNews, EdgeReport, Epoch, FoldLevel, Peer, Version};

/// Most open connections of an edge: far more than an edge that moves has by mistake.
const MAX_OPEN: usize = 16;

/// Those who speak for many edges at once, by their number.
pub(crate) type Groups = BTreeMap<GroupId, FoldGroup>;

/// That an edge has a version, and all before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) version: Version,
    pub(crate) at: Duration,
    /// From its arrival at the edge to its application, as the edge says.
    pub(crate) apply: Duration,
}

/// A connection that is open as far as is known, and what came over it last.
#[derive(Debug)]
struct OpenLink {
    link: AcceptedLink,
    ack: Option<Ack>,
    /// Who speaks for the edge since then, if somebody does.
    group: Option<GroupId>,
}

/// What came last over a connection that begins to count.
#[derive(Debug)]
pub(crate) struct Resumed {
    pub(crate) session: u64,
    pub(crate) ack: Option<Ack>,
    pub(crate) group: Option<GroupId>,
}

#[derive(Debug)]
pub(crate) struct Edge {
    pub(crate) is_expected: bool,
    /// A restart does not change that it is expected.
    pub(crate) is_on_record: bool,
    pub(crate) link: EdgeLink,
    /// The connection that counts, or did last.
    pub(crate) current: AcceptedLink,
    /// All that are open, with what each said last.
    open: Vec<OpenLink>,
    /// Who speaks for it, if somebody does: it has what the group has, and what it had before.
    group: Option<GroupId>,
    /// What it said itself, or was said to have when a group stopped speaking for it.
    applied: Option<Version>,
    durable: Option<Version>,
    last_ack: Option<Duration>,
    /// What its process has said last of its copy at a marker, and whether whoever is above is still to hear that.
    check: Option<CopyCheck>,
    pub(crate) is_check_untold: bool,
    /// Ascending in version and time.
    pub(crate) arrivals: VecDeque<Arrival>,
    /// It is one of those of whom whoever is above is told together.
    pub(crate) is_member: bool,
    /// Not before then.
    pub(crate) joins_at: Duration,
    /// Whoever is above has been told that it is in step over this connection.
    pub(crate) told: Option<u64>,
}

/// Where an edge counts. Whoever changes an edge keeps the counts of the book in step with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) follows: Option<GroupId>,
    pub(crate) counts: Counts,
    /// It is told of together with others, for itself and not with the group that it follows.
    pub(crate) member: Option<FoldLevel>,
    /// It is served here or below.
    pub(crate) is_served: bool,
    /// Nobody waits for it and it is not here.
    pub(crate) is_over: bool,
}

/// Among which of the expected it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counts {
    /// It is not expected.
    Not,
    /// At what it said itself, if that counts.
    Alone(Option<Version>),
    /// At what it said itself, which its group has not yet reached.
    Ahead(GroupId, Version),
    /// At what its group has.
    InGroup(GroupId),
}

impl Edge {
    pub(crate) fn new(since: Duration) -> Self {
        Self {
            is_expected: false,
            is_on_record: false,
            link: EdgeLink::Away(since),
            current: AcceptedLink::default(),
            open: Vec::new(),
            group: None,
            applied: None,
            durable: None,
            last_ack: None,
            check: None,
            is_check_untold: false,
            arrivals: VecDeque::new(),
            is_member: false,
            joins_at: Duration::ZERO,
            told: None,
        }
    }

    pub(crate) fn place(&self, groups: &Groups) -> Place {
        let group = self.group.and_then(|id| Some((id, groups.get(&id)?)));
        let counts = match (group, self.applied) {
            _ if !self.is_expected => Counts::Not,
            _ if !self.is_on_record => Counts::Alone(None),
            (Some((id, group)), Some(applied)) if Some(applied) > group.applied() => Counts::Ahead(id, applied),
            (Some((id, _)), _) => Counts::InGroup(id),
            (None, applied) => Counts::Alone(applied),
        };
        Place {
            follows: group.map(|(id, _)| id),
            counts,
            member: self.own_level().filter(|_| self.is_member && group.is_none()),
            is_served: self.is_served(),
            is_over: !self.is_on_record && self.open.is_empty() && self.told.is_none(),
        }
    }

    /// It is connected here or below, which whoever is above is told of.
    pub(crate) fn is_served(&self) -> bool {
        self.link == EdgeLink::Connected && self.current.is_below
    }

    /// What it said itself, as those say it who are told of together.
    fn own_level(&self) -> Option<FoldLevel> {
        Some(FoldLevel { applied: self.applied?, durable: self.durable.unwrap_or_default() })
    }

    fn group<'g>(&self, groups: &'g Groups) -> Option<&'g FoldGroup> {
        groups.get(&self.group?)
    }

    pub(crate) fn group_id(&self) -> Option<GroupId> {
        self.group
    }

    /// The version that its readers see, as far as is known.
    pub(crate) fn applied(&self, groups: &Groups) -> Option<Version> {
        self.applied.max(self.group(groups).and_then(FoldGroup::applied))
    }

    pub(crate) fn durable(&self, groups: &Groups) -> Option<Version> {
        self.durable.max(self.group(groups).and_then(|group| Some(group.level()?.durable)))
    }

    /// What it has, where that counts.
    pub(crate) fn counted(&self, groups: &Groups) -> Option<Version> {
        self.applied(groups).filter(|_| self.is_on_record)
    }

    /// Whether whoever is above may be told of it together with others, as it stands now.
    pub(crate) fn is_in_fold(&self, groups: &Groups) -> bool {
        self.is_served() && self.group(groups).map_or(self.is_member, FoldGroup::is_in_fold)
    }

    /// Whether it may become one of those who have come to `level` together.
    pub(crate) fn may_join(&self, now: Duration, level: Option<FoldLevel>) -> bool {
        let own = self.own_level().filter(|own| level.is_none_or(|level| level.is_within(own)));
        let has_caught_up = own.is_some_and(|own| own.applied >= self.current.goal);
        self.is_served() && self.group.is_none() && now >= self.joins_at && has_caught_up
    }

    /// Whether it has less than one of those has who have come to `level`.
    pub(crate) fn is_below(&self, level: FoldLevel) -> bool {
        self.own_level().is_none_or(|own| !level.is_within(&own))
    }

    pub(crate) fn report(&self, peer: &Peer, groups: &Groups) -> EdgeReport {
        EdgeReport {
            peer: peer.clone(),
            is_expected: self.is_expected,
            is_on_record: self.is_on_record,
            link: self.link,
            via: self.current.via.clone(),
            incarnation: self.current.incarnation,
            applied: self.applied(groups),
            durable: self.durable(groups),
            last_ack: self.last_ack.max(self.group(groups).map(FoldGroup::said_at)),
            check: self.check.clone(),
        }
    }

    /// How it stands, for whoever is above.
    pub(crate) fn news(&self, peer: &Peer, epoch: Epoch, groups: &Groups) -> EdgeNews {
        let AcceptedLink { session, incarnation, connection, goal, via, is_below } = self.current.clone();
        let is_unseen = matches!(self.link, EdgeLink::LastKnown(_));
        let durable = self.durable(groups).unwrap_or_default();
        let apply = self.arrivals.back().map_or(Duration::ZERO, |arrival| arrival.apply);
        let apply_us = u64::try_from(apply.as_micros()).unwrap_or(u64::MAX);
        let ack = self.applied(groups).map(|applied| {
            let durable = durable.min(applied);
            let check = self.check.clone();
            Ack { incarnation, epoch, applied, durable, two_clock_us: 0, apply_us, check }
        });
        let news = EdgeNews {
            peer: peer.clone(),
            session,
            connection,
            incarnation,
            goal,
            is_gone: self.link != EdgeLink::Connected,
            is_unseen,
            via,
            ack,
            is_in_step: self.is_in_fold(groups),
        };
        match self.told {
            // It is elsewhere now, as somebody else says to whoever is above.
            Some(told) if !is_below => EdgeNews { session: told, is_gone: true, ack: None, is_in_step: false, ..news },
            _ => news,
        }
    }

    /// One more connection is open.
    pub(crate) fn open(&mut self, link: AcceptedLink, groups: &Groups) {
        self.open.retain(|open| open.link.session != link.session);
        if self.open.len() == MAX_OPEN {
            self.open.remove(0);
        }
        // There is hardly ever a second one, and there are many edges.
        self.open.reserve_exact(1);
        self.open.push(OpenLink { link, ack: None, group: None });
        self.choose(groups);
    }

    /// A connection is not open any more.
    pub(crate) fn close(&mut self, session: u64) {
        self.open.retain(|open| open.link.session != session);
    }

    /// Notes what came over a connection, whether or not it counts.
    pub(crate) fn said(&mut self, session: u64, ack: Option<&Ack>, group: Option<GroupId>) {
        if let Some(open) = self.open.iter_mut().find(|open| open.link.session == session) {
            if let Some(ack) = ack {
                open.ack = Some(ack.clone().with_check_of(open.ack.take()));
            }
            open.group = group;
        }
    }

    /// Lets the newest of the open connections count. If that is another one than before, its session, and what came over
    /// it last.
    pub(crate) fn choose(&mut self, groups: &Groups) -> Option<Resumed> {
        let newest = self.open.iter().max_by_key(|open| open.link.order())?;
        if self.link == EdgeLink::Connected && newest.link.session == self.current.session {
            return None;
        }
        let (link, ack, group) = (newest.link.clone(), newest.ack.clone(), newest.group);
        self.leave_group(groups);
        self.is_member = false;
        if self.current.incarnation != link.incarnation {
            self.retract_all();
        }
        self.link = EdgeLink::Connected;
        self.current = link;
        Some(Resumed { session: self.current.session, ack, group })
    }

    /// Somebody speaks for it from now on. When it said something itself is forgotten: there are many such edges.
    pub(crate) fn join_group(&mut self, group: GroupId) {
        self.group = Some(group);
        self.arrivals = VecDeque::new();
        self.is_member = false;
    }

    /// Nobody speaks for it any more: it has what it was said to have last.
    pub(crate) fn leave_group(&mut self, groups: &Groups) {
        if self.group.is_some() {
            (self.applied, self.durable) = (self.applied(groups), self.durable(groups));
            self.group = None;
        }
    }

    /// Takes what it says itself. At most so many arrivals are kept.
    pub(crate) fn take(&mut self, now: Duration, ack: &Ack, most_arrivals: usize) {
        self.last_ack = Some(now);
        self.applied = Some(ack.applied);
        self.durable = Some(ack.durable);
        if ack.check.is_some() && self.check != ack.check {
            self.check.clone_from(&ack.check);
            self.is_check_untold = true;
        }
        while self.arrivals.back().is_some_and(|arrival| arrival.version > ack.applied) {
            self.arrivals.pop_back();
        }
        if self.arrivals.back().is_none_or(|arrival| arrival.version < ack.applied) {
            let apply = Duration::from_micros(ack.apply_us);
            self.arrivals.push_back(Arrival { version: ack.applied, at: now, apply });
        }
        while self.arrivals.len() > most_arrivals {
            self.arrivals.pop_front();
        }
    }

    /// How `version` arrived, unless it was before the first ack that is remembered, and where that counts.
    pub(crate) fn arrived(&self, version: Version) -> Option<Arrival> {
        let at = self.arrivals.partition_point(|arrival| arrival.version < version);
        let arrival = self.arrivals.get(at).copied()?;
        // The oldest arrival stands for everything before it too; only its own time is known.
        (self.is_on_record && (at > 0 || arrival.version == version)).then_some(arrival)
    }

    /// When `version` arrived, whether or not that counts.
    pub(crate) fn arrived_at_all(&self, version: Version) -> Option<Duration> {
        let at = self.arrivals.partition_point(|arrival| arrival.version < version);
        self.arrivals.get(at).map(|arrival| arrival.at)
    }

    /// What only its memory had does not count any more.
    pub(crate) fn retract_to_durable(&mut self) {
        // 0 says that none of this epoch is.
        self.applied = self.durable.filter(|durable| *durable > Version::ZERO);
        while self.arrivals.back().is_some_and(|arrival| Some(arrival.version) > self.durable) {
            self.arrivals.pop_back();
        }
    }

    /// Nothing of what it had counts any more.
    pub(crate) fn retract_all(&mut self) {
        self.applied = None;
        self.durable = None;
        self.check = None;
        self.arrivals.clear();
    }
}
