//! The third step: it is known what each name is in its zone, and its keys are made.

use std::collections::{BTreeMap, BTreeSet};

use domain::base::iana::Rtype;
use zonecast_records::Path;

use super::emitted::Emitted;
use super::names::{ChangedName, as_path};
use crate::check::check_node;
use crate::emit::{Addresses, EmitTo, Emitter};
use crate::finding::Report;
use crate::node_role::NodeRole;
use crate::packed::{Packed, glue_of};
use crate::present::PresentNode;
use crate::read_error::ReadError;
use crate::reader::Reader;
use crate::shape::Shape;
use crate::signed::{Before, check_signatures, is_signed};
use crate::tolerance::Tolerance;

/// A changed name, and what it is in its zone afterwards.
#[derive(Debug)]
pub(super) struct SettledName {
    pub(super) name: ChangedName,
    pub(super) role: NodeRole,
}

/// Empty non-terminals.
#[derive(Debug, Default)]
pub(super) struct EmptyNonTerminals {
    /// Paths of those that are there afterwards.
    pub(super) after: BTreeSet<Vec<u8>>,
    /// Present keys of names that were or become one and have no records.
    pub(super) others: Vec<PresentNode>,
}

/// Everything that keys are made of.
pub(super) struct Settled<'v> {
    pub(super) reader: Reader<'v>,
    pub(super) shape: Shape,
    pub(super) names: BTreeMap<Vec<u8>, SettledName>,
    pub(super) empty: EmptyNonTerminals,
    pub(super) report: Report,
}

impl Settled<'_> {
    /// Makes the keys of all names anew. Without a refusal, they are whole.
    pub(super) fn emit(mut self) -> Result<Emitted, ReadError> {
        let mut report = std::mem::take(&mut self.report);
        let mut ignored = Report::default();
        self.check(&mut report, &mut ignored)?;
        let mut after = BTreeMap::new();
        if report.refusals.is_empty() {
            let mut emitter = Emitter::new(self.shape);
            for (path, SettledName { name, role }) in &self.names {
                let report = if name.touched { &mut report } else { &mut ignored };
                let mut to = EmitTo { sink: &mut after, report };
                emitter.node(name.after_at(path), role, &mut Afterwards(&self), &mut to)?;
            }
            for path in &self.empty.after {
                emitter.empty_non_terminal(as_path(path), &mut after);
            }
        }
        // A cut that no change names may still get more glue than fits.
        ignored.refusals.iter().for_each(|finding| report.refusals.push(*finding));
        let present = self.names.values().map(|settled| &settled.name.present).chain(&self.empty.others);
        let before = present.flat_map(|node| node.entries.iter().cloned()).collect();
        let apex = self.names.remove(&[][..]).map(|apex| apex.name.after);
        let apex = apex.ok_or_else(|| ReadError::counts(&self.shape.apex))?;
        Ok(Emitted { shape: self.shape, apex, before, after, report })
    }

    /// Looks for what would keep the zone from being served; findings of names that no change names do not matter.
    fn check(&self, report: &mut Report, ignored: &mut Report) -> Result<(), ReadError> {
        let apex = self.names.get(&[][..]).map(|apex| &apex.name);
        // A zone without NS stays so until it gets one, and a change takes none away.
        let serve_without_ns = apex.is_some_and(|apex| !apex.before.has(Rtype::NS));
        let tolerance = Tolerance { serve_without_ns, ..Tolerance::default() };
        let is_signed = apex.is_some_and(|apex| is_signed(&apex.before, &apex.after));
        for (path, SettledName { name, role }) in &self.names {
            let at = name.after_at(path);
            if is_signed {
                let was_published = role.is_apex || name.present.has_published_data()?;
                let before = Before { node: &name.before, was_published };
                check_signatures(before, at, role, &self.shape, report);
            }
            let report = if name.touched { &mut *report } else { &mut *ignored };
            check_node(at, role, &self.shape, tolerance, report);
        }
        Ok(())
    }
}

/// Glue as it is after the changes.
struct Afterwards<'s, 'v>(&'s Settled<'v>);

impl Addresses for Afterwards<'_, '_> {
    fn addresses(&mut self, path: Path<'_>) -> Result<[Option<Packed>; 2], ReadError> {
        match self.0.names.get(path.as_bytes()) {
            Some(settled) => Ok(glue_of(&settled.name.after)),
            None => self.0.reader.glue(path),
        }
    }
}
