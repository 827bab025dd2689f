//! The file that says which node of its cluster a data folder is.
//!
//! # Format
//! `<data>/node` is three lines: `zonecast node 1`, `id <number>`, and `admitted`, `began` or `recovering`. It is replaced by
//! a rename.
//!
//! # Invariants
//! - A node id belongs to one disk: whoever lost what raft wrote may not come back under its id, because the others count
//!   on what it acknowledged. The last line says whether there must be something.
//! - Between the first and the last write of a recovery the last line says so, and nobody starts on the folder.

use std::fs::File;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

const NAME: &str = "node";
const NEXT: &str = "node.new";
const FIRST_LINE: &str = "zonecast node 1";

/// What the file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) id: u64,
    pub(crate) stage: Stage,
}

/// How far a node has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It has its id, and raft may have written nothing under it yet.
    Admitted,
    /// Raft has written something under this id.
    Began,
    /// The folder is being made a cluster of its own, whose first node has this id.
    Recovering,
}

impl Stage {
    const ALL: [Self; 3] = [Self::Admitted, Self::Began, Self::Recovering];

    fn word(self) -> &'static str {
        match self {
            Self::Admitted => "admitted",
            Self::Began => "began",
            Self::Recovering => "recovering",
        }
    }
}

impl Node {
    /// Nothing, if this folder is no node yet.
    pub(crate) fn read(folder: &Path) -> io::Result<Option<Self>> {
        let path = folder.join(NAME);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(at(&path, error)),
        };
        let node = parse(&text).ok_or_else(|| {
            at(
                &path,
                io::Error::new(ErrorKind::InvalidData, format!("it holds {text:?}, which this release cannot read")),
            )
        })?;
        Ok(Some(node))
    }

    /// Durable when it returns.
    pub(crate) fn write(self, folder: &Path) -> io::Result<()> {
        let (path, next) = (folder.join(NAME), folder.join(NEXT));
        let write = || {
            let mut file = File::create(&next)?;
            write!(file, "{FIRST_LINE}\nid {}\n{}\n", self.id, self.stage.word())?;
            file.sync_all()?;
            std::fs::rename(&next, &path)?;
            File::open(folder)?.sync_all()
        };
        write().map_err(|error| at(&path, error))
    }
}

fn parse(text: &str) -> Option<Node> {
    let mut lines = text.lines();
    let id = lines.next().filter(|first| *first == FIRST_LINE).and(lines.next())?;
    let id = id.strip_prefix("id ")?.parse().ok()?;
    let word = lines.next()?;
    let stage = Stage::ALL.into_iter().find(|stage| stage.word() == word)?;
    Some(Node { id, stage })
}

fn at(path: &Path, error: io::Error) -> io::Error {
    let path: PathBuf = path.into();
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_written_and_what_is_no_node_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Node::read(folder.path()).unwrap(), None);
        let (first, last) = (Node { id: 1, stage: Stage::Admitted }, Node { id: u64::MAX, stage: Stage::Began });
        for node in [first, last, Node { id: 7, stage: Stage::Recovering }] {
            node.write(folder.path()).unwrap();
            assert_eq!(Node::read(folder.path()).unwrap(), Some(node));
        }
        for text in ["", "zonecast node 2\nid 1\nbegan\n", "zonecast node 1\nid x\nbegan\n", "zonecast node 1\nid 1\n"]
        {
            std::fs::write(folder.path().join(NAME), text).unwrap();
            assert!(Node::read(folder.path()).is_err(), "{text:?}");
        }
    }
}
