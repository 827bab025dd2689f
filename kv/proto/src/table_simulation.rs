//! Table files for the simulation: a file is a few encoded entries. The end of an edge keeps what has come over cuts and
//! restarts, where some of it may be damaged.

use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::Bytes;

use crate::random::Random;
use crate::simulation_source::Source;
use crate::{
    Epoch, FollowerInput, MemoryView, Position, SignedManifest, TableFile, TableHash, TableLoad, TableManifest,
    TableOffer, TablePiece, TablePlace, TablesWant, Version, decode_entries, encode_entries,
};

const ENTRIES_A_FILE: usize = 3;

/// Table files of the publisher. Cloning shares them.
#[derive(Clone)]
pub(crate) struct Made(Rc<(TableManifest, Vec<Bytes>)>);

impl Made {
    /// Those that were made last, if their history goes on; else new ones.
    pub(crate) fn shared(last: &mut Option<Self>, source: &Source, from: (Epoch, Version)) -> Self {
        let is_recent = |made: &Self| {
            let position = made.0.0.position;
            let is_of_history = source.chain_at(position.version) == Some(position.chain);
            position.epoch == source.head.epoch && is_of_history && position.order() >= from
        };
        last.take_if(|made| !is_recent(made));
        last.get_or_insert_with(|| Self::new(source)).clone()
    }

    fn new(source: &Source) -> Self {
        let own = |(key, value): (&[u8], &[u8])| (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
        let entries: Vec<(Bytes, Bytes)> = source.data.entries().map(own).collect();
        let bytes: Vec<Bytes> = entries.chunks(ENTRIES_A_FILE).map(encode_entries).collect();
        let file = |(bytes, entries): (&Bytes, &[(Bytes, Bytes)])| TableFile {
            hash: TableHash::new(blake3::hash(bytes).into()),
            len: bytes.len() as u64,
            first: entries[0].0.clone(),
            last: entries[entries.len() - 1].0.clone(),
        };
        let files = bytes.iter().zip(entries.chunks(ENTRIES_A_FILE)).map(file).collect();
        Self(Rc::new((TableManifest { position: source.head, entries: entries.len() as u64, files }, bytes)))
    }

    pub(crate) fn offer(&self) -> TableOffer {
        let manifest = &self.0.0;
        let signed = SignedManifest::new(manifest.to_bytes().unwrap(), Bytes::new(), 0, Bytes::new());
        TableOffer { position: manifest.position, signed: signed.to_bytes(), lens: manifest.lens() }
    }

    pub(crate) fn read(&self, place: TablePlace, max_bytes: usize, random: &mut Random) -> Bytes {
        let rest = self.0.1[place.file as usize].slice(usize::try_from(place.offset).unwrap()..);
        assert!(max_bytes <= rest.len());
        let some = 1 + usize::try_from(random.below(max_bytes as u64)).unwrap();
        rest.slice(..some)
    }
}

/// Table files at the edge.
#[derive(Default)]
pub(crate) struct Incoming {
    files: BTreeMap<TableHash, Vec<u8>>,
    load: Option<(TableLoad, TableManifest)>,
    /// Until it is aborted or another one begins, nothing is taken.
    pub(crate) has_failed: bool,
}

impl Incoming {
    pub(crate) fn abort(&mut self) {
        (self.load, self.has_failed) = (None, false);
    }

    /// The process is killed, and what was written last may not be what the disk has.
    pub(crate) fn restart(&mut self, random: &mut Random) {
        self.abort();
        for bytes in self.files.values_mut() {
            if random.one_in(4)
                && let Some(last) = bytes.last_mut()
            {
                *last ^= 1;
            }
        }
    }

    pub(crate) fn begin(&mut self, load: TableLoad, manifest: TableManifest) -> FollowerInput {
        let is_whole = |file: &TableFile, bytes: &Vec<u8>| TableHash::new(blake3::hash(bytes).into()) == file.hash;
        let mut kept = std::mem::take(&mut self.files);
        let (mut offset, mut lacking) = (None, vec![]);
        for file in &manifest.files {
            let bytes = kept.remove(&file.hash).unwrap_or_default();
            let is_lacking = !is_whole(file, &bytes);
            lacking.push(is_lacking);
            let is_first_part = is_lacking && offset.is_none();
            let keeps = !is_lacking || (is_first_part && (bytes.len() as u64) < file.len);
            if is_first_part {
                offset = Some(if keeps { bytes.len() as u64 } else { 0 });
            }
            self.files.insert(file.hash, if keeps { bytes } else { vec![] });
        }
        (self.load, self.has_failed) = (Some((load, manifest)), false);
        FollowerInput::TablesBegun(load, TablesWant::of(offset.unwrap_or(0), lacking))
    }

    pub(crate) fn piece(&mut self, piece: &TablePiece) -> Option<FollowerInput> {
        let (load, manifest) = self.load.as_ref().filter(|_| !self.has_failed)?;
        let file = &manifest.files[piece.file as usize];
        let bytes = self.files.get_mut(&file.hash).unwrap();
        assert_eq!(bytes.len() as u64, piece.offset, "a gap");
        bytes.extend_from_slice(&piece.bytes);
        if (bytes.len() as u64) < file.len || TableHash::new(blake3::hash(bytes).into()) == file.hash {
            return None;
        }
        bytes.clear();
        self.has_failed = true;
        Some(FollowerInput::TablesFailed(*load, "a wrong hash".to_owned()))
    }

    /// What they hold, if they are what they should be.
    pub(crate) fn end(&mut self, position: Position) -> Option<(TableLoad, MemoryView)> {
        let (load, manifest) = self.load.take_if(|_| !self.has_failed)?;
        assert_eq!(manifest.position, position);
        let mut data = MemoryView::new();
        for bytes in manifest.files.iter().map(|file| &self.files[&file.hash]) {
            decode_entries(bytes).map(Result::unwrap).for_each(|(key, value)| data.insert(key, value));
        }
        self.files.clear();
        Some((load, data))
    }
}
