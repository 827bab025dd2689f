//! A node id belongs to one disk for ever.

use std::collections::BTreeMap;

use super::Invariant;
use crate::simulation::event::Event;

#[derive(Debug, Default)]
pub(crate) struct NodeIds {
    disks: BTreeMap<u64, u64>,
}

impl Invariant for NodeIds {
    fn see(&mut self, event: &Event<'_>) -> Result<(), String> {
        let Event::Admitted { id, disk } = event else { return Ok(()) };
        let known = *self.disks.entry(*id).or_insert(*disk);
        (known == *disk).then_some(()).ok_or(format!("disk {disk} became node {id}, as disk {known} did before"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_id_that_is_given_twice_is_found() {
        let mut ids = NodeIds::default();
        assert_eq!(ids.see(&Event::Admitted { id: 7, disk: 1 }), Ok(()));
        assert_eq!(ids.see(&Event::Admitted { id: 9, disk: 2 }), Ok(()));
        assert_eq!(ids.see(&Event::Admitted { id: 7, disk: 1 }), Ok(()));
        assert!(ids.see(&Event::Admitted { id: 7, disk: 2 }).is_err());
    }
}
