//! What a follower knows of a snapshot that comes to it as table files: the writer of the copy says what it lacks, and then
//! every piece must stand where the one before ended.

use crate::{Position, SignedManifest, TableCourse, TableManifest, TableManifestError, TablePiece, TablesWant};

/// The number of a snapshot among those that a follower has been offered since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableLoad(pub u64);

/// Table files that a publisher offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedTables {
    /// Who says so, to be checked before anything of the manifest is believed.
    pub signed: SignedManifest,
    /// What they are.
    pub manifest: TableManifest,
}

impl OfferedTables {
    /// From the bytes of a signed manifest. The signature is not looked at.
    ///
    /// # Errors
    /// They are none.
    pub fn read(bytes: &[u8]) -> Result<Self, TableManifestError> {
        let signed = SignedManifest::from_bytes(bytes)?;
        let manifest = TableManifest::from_bytes(&signed.manifest)?;
        Ok(Self { signed, manifest })
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct TableReceiver {
    position: Position,
    lens: Vec<u64>,
    /// Once it is known what is lacking.
    course: Option<TableCourse>,
}

impl TableReceiver {
    pub(crate) fn new(manifest: &TableManifest) -> Self {
        Self { position: manifest.position, lens: manifest.lens(), course: None }
    }

    /// Of files that come from elsewhere: nothing of them comes from the publisher.
    pub(crate) fn elsewhere(position: Position) -> Self {
        Self { position, lens: Vec::new(), course: None }
    }

    /// This is lacking; whether that is news.
    pub(crate) fn begun(&mut self, want: TablesWant) -> bool {
        if self.course.is_some() {
            return false;
        }
        self.course = TableCourse::new(std::mem::take(&mut self.lens), want);
        self.course.is_some()
    }

    /// Whether this piece is the next one.
    pub(crate) fn takes(&mut self, piece: &TablePiece) -> bool {
        let Some(course) = &mut self.course else { return false };
        let is_next = course.place().is_some_and(|place| (place.file, place.offset) == (piece.file, piece.offset));
        is_next && course.advance(piece.bytes.len())
    }

    /// The position, if this is the end of what was offered.
    pub(crate) fn end(&self, position: Position) -> Option<Position> {
        let is_whole = self.course.as_ref().is_some_and(|course| course.place().is_none());
        (is_whole && position == self.position).then_some(position)
    }
}

/// All pieces have come, and the writer has not said yet that they are what the manifest says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unsure {
    pub(crate) load: TableLoad,
    /// Whether the copy that is replaced was damaged.
    pub(crate) damaged: bool,
}
