//! The first step: changes are done to the records of the names that they name.

use std::collections::BTreeMap;

use domain::base::Serial;
use domain::base::iana::Rtype;
use zonecast_kv_proto::MAX_BATCH_LEN;
use zonecast_records::{Name, SerialPolicy};

use super::names::{ChangedName, ChangedNames, as_path};
use crate::change::{Change, ChangeError, SerialTime};
use crate::finding::{Finding, Findings, Location, Refused, Report, Rule, Warning};
use crate::layer_change::LayerChange;
use crate::layers::Layers;
use crate::name_change::NameChange;
use crate::node::{Node, Rr, smallest_ttl};
use crate::read_error::ReadError;
use crate::reader::Reader;
use crate::rrset_change::RrsetChange;
use crate::serial::{raised_serial, soa_serial};
use crate::source::labels_below;
use crate::zone_keys::PresentZone;

/// How many records a zone has before and after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordCounts {
    /// Number of records before the changes.
    pub before: u64,
    /// Number of records after the changes.
    pub after: u64,
}

/// The names of the changes, and the apex.
pub(super) struct Touched<'v> {
    pub(super) names: ChangedNames<'v>,
    pub(super) report: Report,
    /// An alias at the apex stands for addresses.
    flatten: bool,
}

impl<'v> Touched<'v> {
    /// Reads every name of the changes, and does them in their order.
    pub(super) fn by(reader: Reader<'v>, zone: &PresentZone, changes: &[Change]) -> Result<Self, ChangeError> {
        let names = ChangedNames { reader, shape: zone.shape, by_path: BTreeMap::new() };
        let mut touched = Self { names, report: Report::default(), flatten: zone.settings.zone().flatten };
        touched.names.load(Vec::new())?;
        for (number, change) in changes.iter().enumerate() {
            let location = Location::new(u32::try_from(number).unwrap_or(u32::MAX));
            if !touched.takes(change.owner(), location) {
                continue;
            }
            match change {
                Change::Name(NameChange::DeleteSubtree { owner }) => touched.delete_subtree(change, owner, location)?,
                Change::Name(NameChange::Rename { owner, to }) => touched.rename(change, owner, to, location)?,
                _ => touched.apply(change, location)?,
            }
        }
        Ok(touched)
    }

    /// Whether the zone was so already.
    pub(super) fn is_unchanged(&self) -> bool {
        self.names.by_path.values().all(|name| name.before == name.after)
    }

    /// What is odd, unless something is refused.
    pub(super) fn finish(self) -> Result<Findings<Warning>, Refused> {
        self.report.finish()
    }

    /// Only names that are here have other records afterwards.
    pub(super) fn count_records(&self, zone: &PresentZone) -> Result<RecordCounts, ReadError> {
        let sum = |rrs: &dyn Fn(&ChangedName) -> usize| -> u64 {
            self.names.by_path.values().map(|name| u64::try_from(rrs(name)).unwrap_or(u64::MAX)).sum()
        };
        let (gone, came) = (sum(&|name| name.before.rrs.len()), sum(&|name| name.after.rrs.len()));
        let before = zone.tally.records;
        let others = before.checked_sub(gone).ok_or_else(|| ReadError::counts(&self.names.shape.apex))?;
        Ok(RecordCounts { before, after: others.saturating_add(came) })
    }

    /// Raises the serial where that is asked for, and says what it is afterwards.
    pub(super) fn raise_serial(&mut self, policy: SerialPolicy, now: SerialTime) -> Result<Serial, ReadError> {
        let unchanged = self.is_unchanged();
        let (shape, report) = (self.names.shape, &mut self.report);
        let damaged = || ReadError::counts(&shape.apex);
        let apex = self.names.by_path.get_mut(&[][..]).ok_or_else(damaged)?;
        let before = soa_serial(&mut apex.before).map(|serial| *serial).ok_or_else(damaged)?;
        let before = u32::from_be_bytes(before);
        // Without a SOA, or with a malformed one, the check of the apex refuses.
        let Some(serial) = soa_serial(&mut apex.after) else { return Ok(Serial(before)) };
        let after = u32::from_be_bytes(*serial);
        if after != before {
            if Serial(after) <= Serial(before) {
                let rule = Warning::SerialBack;
                report.warnings.push(Finding { owner: shape.apex, rtype: Rtype::SOA, location: None, rule });
            }
            return Ok(Serial(after));
        }
        if unchanged {
            return Ok(Serial(after));
        }
        let raised = raised_serial(after, policy, now);
        *serial = raised.to_be_bytes();
        Ok(Serial(raised))
    }

    /// Does a change to the records of its own name, which is in the zone.
    fn apply(&mut self, change: &Change, location: Location) -> Result<(), ReadError> {
        let owner = change.owner();
        let path = self.names.shape.path_of(owner);
        self.names.load(path.clone())?;
        if let Some(name) = self.names.by_path.get_mut(&path) {
            name.touched = true;
            let labels = labels_below(owner, self.names.shape.apex_labels());
            let flatten = path.is_empty() && self.flatten;
            change.apply(&mut name.after, labels, flatten, location, &mut self.report);
        }
        Ok(())
    }

    fn delete_subtree(&mut self, change: &Change, owner: &Name, location: Location) -> Result<(), ChangeError> {
        let top = self.names.shape.path_of(owner);
        if top.is_empty() {
            self.refuse(owner, location, Rule::WholeZone);
            return Ok(());
        }
        self.apply(change, location)?;
        let nodes = self.names.reader.beneath(as_path(&top), MAX_BATCH_LEN)?.ok_or(ChangeError::TooLarge)?;
        for (path, present) in nodes {
            if !self.names.by_path.contains_key(&path) {
                self.names.take(path, present)?;
            }
        }
        let from_top = self.names.by_path.range_mut(top.clone()..);
        for (_, name) in from_top.take_while(|(path, _)| as_path(&top).contains(as_path(path))) {
            name.touched = true;
            name.after = Node::new(std::mem::take(&mut name.after.owner));
        }
        Ok(())
    }

    fn rename(&mut self, change: &Change, owner: &Name, to: &Name, location: Location) -> Result<(), ReadError> {
        if !self.takes(to, location) || owner == to {
            return Ok(());
        }
        let path = self.names.shape.path_of(owner);
        self.names.load(path.clone())?;
        let moved = self.names.by_path.get(&path).map(|name| name.after.clone()).unwrap_or_default();
        self.apply(change, location)?;
        let layers = Layers::of(moved);
        for (rr, disabled) in layers.source {
            let (owner, Rr { rtype, ttl, rdata, .. }) = (*to, rr);
            let disable = disabled.then(|| LayerChange::Disable { owner, rtype, rdata: rdata.clone() });
            self.apply(&RrsetChange::Add { owner, rtype, ttl, rdata }.into(), location)?;
            disable.into_iter().try_for_each(|disable| self.apply(&disable.into(), location))?;
        }
        layers.overrides.into_iter().try_for_each(|(rtype, rrs)| {
            let ttl = smallest_ttl(&rrs);
            let rdatas = rrs.into_iter().map(|rr| rr.rdata).collect();
            self.apply(&LayerChange::Override { owner: *to, rtype, ttl, rdatas }.into(), location)
        })
    }

    /// Whether a name is in the zone; refuses it otherwise.
    fn takes(&mut self, owner: &Name, location: Location) -> bool {
        let is_within = owner.is_within(&self.names.shape.apex);
        if !is_within {
            self.refuse(owner, location, Rule::OutOfZone);
        }
        is_within
    }

    fn refuse(&mut self, owner: &Name, location: Location, rule: Rule) {
        let finding = Finding { owner: *owner, rtype: Rtype::ANY, location: Some(location), rule };
        self.report.refusals.push(finding);
    }
}
