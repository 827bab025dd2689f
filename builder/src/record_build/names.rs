//! Names whose keys a record build makes anew, with their records before and after.

use std::collections::BTreeMap;

use zonecast_records::Path;

use crate::node::NodeAt;
use crate::present::{OwnedNode, PresentNode};
use crate::read_error::ReadError;
use crate::reader::{Cover, Reader};
use crate::shape::Shape;

/// One of them.
#[derive(Debug)]
pub(super) struct ChangedName {
    /// Its present keys.
    pub(super) present: PresentNode,
    pub(super) before: OwnedNode,
    pub(super) after: OwnedNode,
    /// A change names it, so that its findings matter.
    pub(super) touched: bool,
}

impl ChangedName {
    pub(super) fn after_at<'n>(&'n self, path: &'n [u8]) -> NodeAt<'n, Vec<u8>> {
        NodeAt { path: as_path(path), node: &self.after }
    }
}

/// All of them, by path, and the zone that the others are read from.
pub(super) struct ChangedNames<'v> {
    pub(super) reader: Reader<'v>,
    pub(super) shape: Shape,
    pub(super) by_path: BTreeMap<Vec<u8>, ChangedName>,
}

impl ChangedNames<'_> {
    /// Takes in a name, if it is not here.
    pub(super) fn load(&mut self, path: Vec<u8>) -> Result<(), ReadError> {
        if !self.by_path.contains_key(&path) {
            let present = self.reader.load(as_path(&path))?;
            self.take(path, present)?;
        }
        Ok(())
    }

    /// Takes in a name whose present keys are at hand.
    pub(super) fn take(&mut self, path: Vec<u8>, present: PresentNode) -> Result<(), ReadError> {
        let before = self.reader.read(as_path(&path), &present)?;
        let after = before.clone();
        self.by_path.insert(path, ChangedName { present, after, before, touched: false });
        Ok(())
    }

    /// The topmost cut or DNAME above a path afterwards.
    pub(super) fn topmost_cover(&self, path: Path<'_>) -> Result<Option<Cover>, ReadError> {
        let changed = self.covers(path).next();
        let others = self.cover_elsewhere(path)?;
        Ok([changed, others].into_iter().flatten().min_by_key(|cover| cover.path.len()))
    }

    /// Whether something above a path hides it afterwards.
    pub(super) fn is_occluded(&self, path: Path<'_>) -> Result<bool, ReadError> {
        if self.covers(path).next().is_some() {
            return Ok(true);
        }
        Ok(self.cover_elsewhere(path)?.is_some())
    }

    /// Cuts and DNAMEs above a path afterwards that are here, from the top.
    fn covers(&self, path: Path<'_>) -> impl Iterator<Item = Cover> {
        (0..path.depth()).filter_map(move |depth| {
            let path = path.ancestor(depth).as_bytes();
            let node = &self.by_path.get(path)?.after;
            let is_apex = depth == 0;
            node.covers(is_apex).then(|| Cover { path: path.to_vec(), is_cut: node.is_cut(is_apex) })
        })
    }

    /// The cut or DNAME above a path that is not here, so that nothing changes it.
    fn cover_elsewhere(&self, path: Path<'_>) -> Result<Option<Cover>, ReadError> {
        // All that is above a name right below the apex is the apex, which is here.
        if path.depth() < 2 {
            return Ok(None);
        }
        Ok(self.reader.cover(path)?.filter(|cover| !self.by_path.contains_key(&cover.path)))
    }
}

pub(super) fn as_path(bytes: &[u8]) -> Path<'_> {
    Path::new(bytes).expect("paths of changed names were written by us or parsed")
}
