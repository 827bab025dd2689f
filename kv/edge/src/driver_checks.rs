//! What the driver of an edge does at markers: says what the copy comes to, and has it put right where voters agree on
//! something else.

use tokio::time::Instant;
use zonecast_kv_proto::{Agreement, FollowerInput, FollowerState, Frame, RangesGiven};

use crate::EdgeError;
use crate::copy_checks::{Differs, Other};
use crate::driver::{Driver, set};
use crate::range_repair::{Answered, RangeRepair, RepairStep};
use crate::writer::{RepairEnd, Work};

impl Driver {
    /// Says what the copy has come to at the last marker, and whether that is what voters agree on.
    pub(crate) fn look_at_checks(&mut self) -> Result<(), EdgeError> {
        let present = self.store.checks().present();
        let look = self.checks.look(present.as_ref());
        set(&self.metrics.differs, &self.name, self.checks.is_other().into());
        let number = present.map_or(0, |present| present.marker.number);
        self.range_repair.take_if(|repair| repair.number() != number);
        if look.is_settled && self.settled != number {
            self.settled = number;
            self.hand_on(Work::Settled(number))?;
        }
        if let Some(other) = look.found {
            self.found(other);
        }
        if let Some(check) = look.said {
            self.follower.handle(self.clock.now(), FollowerInput::Checked(check));
        }
        Ok(())
    }

    /// The copy is other than what voters agree on.
    fn found(&mut self, other: Other) {
        let Agreement { agreeing, voters, root, .. } = other.agreement;
        let (edge, verification) = (&self.name, other.marker.number);
        tracing::error!(
            edge, verification, own = %other.own.published.root(), agreed = %root,
            "the copy of this edge is not what {agreeing} of {voters} voters hold"
        );
        if other.agreement.is_agreed() {
            self.range_repair = Some(RangeRepair::new(other));
        } else {
            tracing::warn!(
                edge,
                verification,
                "nothing is put right: nobody can say whether the copy or the only voter is"
            );
        }
    }

    /// Asks what is to be asked next, and says when to look again though nothing happened.
    pub(crate) fn go_on_with_repair(&mut self) -> Result<Option<Instant>, EdgeError> {
        let (now, is_streaming) = (self.clock.now(), self.follower.state() == FollowerState::Streaming);
        let Some(repair) = &mut self.range_repair else { return Ok(None) };
        if !is_streaming {
            repair.lost();
            return Ok(None);
        }
        if repair.is_overdue(now) {
            self.give_up("its upstream does not say what it held at the marker");
            return Ok(None);
        }
        let is_free = self.operation.is_none() && self.link.as_ref().is_some_and(|link| link.sender.is_some());
        match is_free.then(|| repair.step(now)).flatten() {
            Some(RepairStep::Ask(want)) => self.send(Frame::RangesWant(want)),
            Some(RepairStep::Write(number, ranges)) => self.hand_on(Work::Repair(number, ranges))?,
            None => {}
        }
        // Whoever waits for the end of a write comes here again.
        let timeout = self.range_repair.as_ref().filter(|_| is_free).and_then(RangeRepair::timeout);
        Ok(timeout.map(|time| self.clock.instant(time).into()))
    }

    /// Takes an answer of the upstream.
    pub(crate) fn take_ranges(&mut self, given: &[u8]) {
        let now = self.clock.now();
        self.follower.handle(now, FollowerInput::Heard(given.len()));
        let Some(repair) = &mut self.range_repair else { return };
        let answered = match RangesGiven::from_bytes(given) {
            Ok(given) => repair.take(now, given),
            Err(error) => Answered::GivenUp(error.to_string()),
        };
        match answered {
            Answered::GoesOn => {}
            Answered::Found(differs) => {
                let key = differs.first.escape_ascii().to_string();
                tracing::error!(
                    edge = %self.name, verification = differs.number, ranges = differs.ranges, key,
                    "the copy differs in these ranges, the first of which ends with this key; they are put right"
                );
                self.checks.differs(differs);
            }
            Answered::FetchAll(why) => self.fetch_all(&why),
            Answered::GivenUp(why) => self.give_up(&why),
        }
    }

    /// The writer has done it, or could not.
    pub(crate) fn repaired(&mut self, end: RepairEnd) {
        let Some(repair) = self.range_repair.take() else { return };
        match end {
            // Of the marker before this one.
            RepairEnd::Done(number, _) | RepairEnd::TooLate(number) if number != repair.number() => {
                self.range_repair = Some(repair)
            }
            RepairEnd::Done(number, keys) => {
                let first = keys.first.unwrap_or_default();
                tracing::warn!(
                    edge = %self.name, verification = number, keys = keys.keys, first = %first.escape_ascii(),
                    "the copy is put right: it holds what voters agree on"
                );
                self.metrics.repaired_keys.inc_by(keys.keys);
                if keys.keys > 0 {
                    self.checks.differs(Differs { number, ranges: repair.ranges(), first });
                }
                self.checks.repaired();
            }
            RepairEnd::TooLate(_) => self.fetch_all("too much has changed since it was summed up"),
        }
    }

    /// The copy is fetched again as a whole.
    fn fetch_all(&mut self, why: &str) {
        self.range_repair = None;
        self.store.report_damage(&format!("the copy is not what voters agree on, and {why}"));
    }

    /// Until the next marker.
    fn give_up(&mut self, why: &str) {
        let verification = self.range_repair.take().map(|repair| repair.number());
        tracing::error!(edge = %self.name, verification, "the copy is not put right before the next verification: {why}");
    }
}
