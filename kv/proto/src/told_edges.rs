//! How a book of acks tells whoever is above of the edges below, many of them at once, and how it hears so from below.

use std::time::Duration;

use crate::book_edge::{Edge, Groups};
use crate::fold::{Fold, REJOIN_AFTER, SLOW_EVERY};
use crate::fold_group::{FoldGroup, GroupId};
use crate::{AckBook, Booked, EdgeLink, EdgeTold, FoldLevel, FoldStep, Gained, Peer, Version};

/// Who speaks for many edges at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoldOf {
    /// Its number here; no two have the same.
    pub number: u64,
    /// Whoever is above this node is to hear of them.
    pub is_below: bool,
}

impl AckBook {
    /// Somebody above begins to listen, to whom every edge below is news.
    pub fn tell_all(&mut self) {
        let fold = Fold::new(self.folds_from);
        let has_enough = self.served >= fold.from;
        for edge in self.edges.values_mut() {
            (edge.told, edge.joins_at, edge.is_member) = (None, Duration::ZERO, false);
            edge.is_member = has_enough && edge.may_join(Duration::ZERO, None);
        }
        for group in self.groups.values_mut() {
            group.leave(Duration::ZERO);
            if has_enough && group.may_join(Duration::ZERO, None) {
                group.join();
            }
        }
        self.fold = Some(fold);
        self.recount();
        self.note_all();
    }

    /// Whether something has changed that [`AckBook::look`] depends on.
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.fold.as_ref().is_some_and(Fold::is_worth_a_look)
    }

    /// When there is something to tell whoever is above, if nothing else happens: now, if that is not later. Lets those leave
    /// who hold up the others.
    pub fn look(&mut self, now: Duration) -> Option<Duration> {
        let least = self.fold.as_mut()?.find_slow(now);
        if let Some(least) = least {
            self.leave_behind(now, least);
        }
        let slow_at = self.fold.as_ref().map(|fold| fold.slow_at);
        let is_slow = self.groups.values().any(is_slow_news);
        let due = self.fold.as_ref().and_then(Fold::due);
        due.into_iter().chain(slow_at.filter(|_| is_slow)).min()
    }

    /// What is to be told of at most so many edges, in order, and with it of all that are in step.
    pub fn take_news(&mut self, now: Duration, most: usize) -> Vec<EdgeTold> {
        self.look(now);
        self.note_slow(now);
        let mut news = Vec::new();
        while news.len() < most
            && let Some(peer) = self.fold.as_mut().and_then(|fold| fold.leaving.pop_first())
        {
            news.extend(self.tell(&peer));
        }
        if let Some(mut fold) = self.fold.take() {
            let held = |version| self.commit_of(version).map(|commit| now.saturating_sub(commit.at));
            news.extend(fold.step(now, self.epoch, held).map(EdgeTold::Step));
            self.fold = Some(fold);
        }
        while news.len() < most
            && let Some(peer) = self.fold.as_mut().and_then(|fold| fold.untold.pop_first())
        {
            news.extend(self.tell(&peer));
        }
        news
    }

    /// How an edge stands, which is told with it.
    fn tell(&mut self, peer: &Peer) -> Option<EdgeTold> {
        let epoch = self.epoch;
        let news = self.update(peer, |edge, groups| {
            let news = edge.news(peer, epoch, groups);
            edge.told = news.is_in_step.then_some(news.session);
            edge.is_check_untold = false;
            news
        });
        news.map(EdgeTold::Edge)
    }

    /// Somebody speaks for an edge from now on, as came over this connection of it. Nothing, if nobody has this number.
    pub fn in_step(&mut self, now: Duration, peer: &Peer, session: u64, group: u64) -> Booked {
        let Some(of_group) = self.groups.get_mut(&group) else { return Booked::default() };
        if of_group.followers == 0 && of_group.is_in_fold() {
            // Others may have come further than it has, as nobody followed it.
            of_group.leave(Duration::ZERO);
        }
        let gained = self.update(peer, |edge, groups| {
            edge.said(session, None, Some(group));
            if edge.current.session != session || edge.link != EdgeLink::Connected {
                return None;
            }
            let before = edge.applied(groups);
            edge.join_group(group);
            let applied = edge.counted(groups)?;
            (before < Some(applied)).then_some(Gained { before, applied })
        });
        let has_joined = self.let_group_join(now, group);
        if has_joined && self.groups.get(&group).is_some_and(|group| group.followers > 1) {
            self.note_group(group);
        }
        self.note(peer);
        Booked { gained: gained.flatten(), ..Booked::default() }
    }

    /// Nobody speaks for an edge any more, as came over this connection, and it says nothing itself.
    pub fn out_of_step(&mut self, peer: &Peer, session: u64) {
        self.update(peer, |edge, groups| {
            edge.said(session, None, None);
            if edge.current.session == session {
                edge.leave_group(groups);
            }
        });
        self.note(peer);
    }

    /// All edges for whom somebody speaks have come so far. Costs as much as there are edges that had said themselves that
    /// they are as far.
    pub fn step(&mut self, now: Duration, of: FoldOf, step: &FoldStep) -> Booked {
        let (epoch, from, to) = (self.epoch, self.group(of).level(), step.level);
        if step.epoch != epoch {
            if from.is_some() {
                self.group(of).lose_level();
                self.recount();
                self.note_group(of.number);
            }
            return Booked::default();
        }
        let before = from.map(|from| from.applied);
        let commit = self.commit_of(to.applied).map(|commit| commit.at);
        let group = self.group(of);
        group.step(now, step, commit);
        let (reached, followers) = (group.take_reached(), group.followers);
        group.counted += reached.len();
        let counted = group.counted;
        let (is_in_fold, level) = (group.is_in_fold(), Some(to.applied));
        for (version, _) in &reached {
            self.levels.remove(Some(*version), 1);
            self.levels.add(before, 1);
        }
        self.levels.remove(before, counted);
        self.levels.add(level, counted);
        if let Some((fold, from)) = self.fold.as_mut().zip(from).filter(|_| is_in_fold) {
            fold.remove(from, followers);
            fold.add(to, followers);
        }
        self.pass_on_times(of.number, before, step);
        if self.let_group_join(now, of.number) && followers > 0 {
            self.note_group(of.number);
        }
        let is_further = before < level && counted > 0;
        let took = commit.filter(|_| is_further).map(|at| now.saturating_sub(at));
        let gained = is_further.then_some(Gained { before, applied: to.applied });
        Booked { took: took.into_iter().collect(), gained, is_new: false }
    }

    /// Who spoke for many speaks no more.
    pub fn end_fold(&mut self, of: FoldOf) {
        if self.groups.get(&of.number).is_none_or(|group| group.followers == 0) {
            self.groups.remove(&of.number);
            return;
        }
        let followers: Vec<Peer> =
            self.followers(|_, edge| edge.group_id() == Some(of.number)).into_iter().cloned().collect();
        for peer in &followers {
            self.update(peer, Edge::leave_group);
            self.note(peer);
        }
        self.groups.remove(&of.number);
    }

    fn group(&mut self, of: FoldOf) -> &mut FoldGroup {
        self.groups.entry(of.number).or_insert_with(|| FoldGroup::new(of.is_below))
    }

    /// Those of whom somebody is told together hear of it from here, too: how long versions took to them.
    fn pass_on_times(&mut self, id: GroupId, before: Option<Version>, step: &FoldStep) {
        let last = step.level.applied;
        let Some(commit) = self.commit_of(last) else { return };
        let Some(group) = self.groups.get(&id).filter(|group| group.is_in_fold()) else { return };
        let Some(covering) = group.covering(last, commit.at) else { return };
        if before >= Some(last) {
            return;
        }
        let Some(mut fold) = self.fold.take() else { return };
        let later = |version| {
            let earlier = self.commit_of(version).map(|earlier| commit.at.saturating_sub(earlier.at));
            covering.relay + earlier.unwrap_or_default()
        };
        fold.took_below(before, last, &step.times, later);
        self.fold = Some(fold);
    }

    /// Says whether those of a group are told of together with others from now on.
    fn let_group_join(&mut self, now: Duration, id: GroupId) -> bool {
        let (Some(fold), Some(group)) = (&mut self.fold, self.groups.get_mut(&id)) else { return false };
        if self.served < fold.from || !group.may_join(now, fold.level()) {
            return false;
        }
        group.join();
        if let Some(level) = group.level() {
            fold.add(level, group.followers);
        }
        true
    }

    /// An edge that has said something itself becomes a member, or is one no more.
    pub(crate) fn join_or_leave(&mut self, now: Duration, peer: &Peer) {
        let Some(fold) = &self.fold else { return };
        let (level, has_enough) = (fold.level(), self.served >= fold.from);
        self.update(peer, |edge, _| {
            edge.is_member = match edge.is_member {
                true => level.is_none_or(|level| !edge.is_below(level)),
                false => has_enough && edge.may_join(now, level),
            };
        });
    }

    /// Members with less than this leave.
    fn leave_behind(&mut self, now: Duration, least: FoldLevel) {
        let joins_at = now + REJOIN_AFTER;
        let is_slow = |group: &FoldGroup| group.level().is_some_and(|level| !least.is_within(&level));
        let mut slow_groups = Vec::new();
        for (id, group) in self.groups.iter_mut().filter(|(_, group)| group.is_in_fold() && is_slow(group)) {
            if let Some((fold, level)) = self.fold.as_mut().zip(group.level()) {
                fold.remove(level, group.followers);
            }
            group.leave(joins_at);
            slow_groups.push(*id);
        }
        let is_slow = |_: &Groups, edge: &Edge| match edge.group_id() {
            Some(id) => slow_groups.contains(&id),
            None => edge.is_member && edge.is_below(least),
        };
        let slow: Vec<Peer> = self.followers(is_slow).into_iter().cloned().collect();
        for peer in &slow {
            self.update(peer, |edge, _| {
                if edge.group_id().is_none() {
                    (edge.is_member, edge.joins_at) = (false, joins_at);
                }
            });
            self.note(peer);
        }
    }

    fn followers(&self, is_one: impl Fn(&Groups, &Edge) -> bool) -> Vec<&Peer> {
        self.edges.iter().filter(|(_, edge)| is_one(&self.groups, edge)).map(|(peer, _)| peer).collect()
    }

    /// Edges whose relay is too slow are told of one by one, as far as it has come.
    fn note_slow(&mut self, now: Duration) {
        let Some(fold) = self.fold.as_mut().filter(|fold| now >= fold.slow_at) else { return };
        let slow: Vec<GroupId> =
            self.groups.iter().filter(|(_, group)| is_slow_news(group)).map(|(id, _)| *id).collect();
        if slow.is_empty() {
            return;
        }
        fold.slow_at = now + SLOW_EVERY;
        for group in self.groups.values_mut() {
            group.is_news = false;
        }
        let is_one = |_: &Groups, edge: &Edge| edge.group_id().is_some_and(|id| slow.contains(&id));
        let peers: Vec<Peer> = self.followers(is_one).into_iter().cloned().collect();
        peers.iter().for_each(|peer| self.note(peer));
    }

    fn note_group(&mut self, id: GroupId) {
        let peers: Vec<Peer> = self.followers(|_, edge| edge.group_id() == Some(id)).into_iter().cloned().collect();
        peers.iter().for_each(|peer| self.note(peer));
    }

    /// All edges may be news.
    pub(crate) fn note_all(&mut self) {
        if self.fold.is_some() {
            let peers: Vec<Peer> =
                self.followers(|_, edge| edge.is_served() || edge.told.is_some()).into_iter().cloned().collect();
            peers.iter().for_each(|peer| self.note(peer));
        }
    }

    /// An edge has changed: whoever is above is to be told, unless that is told of all that are in step.
    pub(crate) fn note(&mut self, peer: &Peer) {
        let (Some(fold), Some(edge)) = (&mut self.fold, self.edges.get(peer)) else { return };
        let is_as_told = edge.is_in_fold(&self.groups) && edge.told == Some(edge.current.session);
        if edge.told.is_some() && !is_as_told {
            fold.untold.remove(peer);
            fold.leaving.insert(peer.clone());
        } else if edge.current.is_below && (!is_as_told || edge.is_check_untold) && !fold.leaving.contains(peer) {
            fold.untold.insert(peer.clone());
        }
    }
}

/// Whether whoever is above has not yet heard how far this one has come.
fn is_slow_news(group: &FoldGroup) -> bool {
    group.is_news && !group.is_in_fold() && group.followers > 0
}
