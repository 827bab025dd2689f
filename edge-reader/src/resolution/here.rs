//! Where a chain has come to.

use zonecast_records::Name;

use crate::Zone;

/// The name at hand and its zone, and what both are read from.
pub(crate) struct Here<'h, V> {
    pub(crate) view: &'h V,
    pub(crate) zone: &'h Zone,
    pub(crate) name: &'h Name,
}

impl<V> Here<'_, V> {
    /// The apex, in the letter case of the name at hand.
    pub(crate) fn apex(&self) -> Name {
        self.name.suffix(self.zone.apex_labels)
    }

    pub(crate) fn is_in_zone(&self, name: &Name) -> bool {
        share_suffix(self.name, name, self.zone.apex_labels)
    }

    /// Labels of a name below the apex.
    pub(crate) fn depth(&self, name: &Name) -> usize {
        name.label_count().saturating_sub(self.zone.apex_labels)
    }

    pub(crate) fn at_depth(&self, name: &Name, depth: usize) -> Name {
        name.suffix(self.zone.apex_labels + depth)
    }
}

/// Whether a name ends with as many labels as the name at hand does.
pub(crate) fn share_suffix(at_hand: &Name, name: &Name, labels: usize) -> bool {
    name.label_count() >= labels && name.suffix_wire(labels).eq_ignore_ascii_case(at_hand.suffix_wire(labels))
}
