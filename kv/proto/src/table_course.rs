//! The course of table files over a stream: which of them are sent, and where the next piece belongs. Both ends count along.

use bytes::Bytes;

use crate::{MAX_TABLE_FILES, positional};

/// Largest piece of a table file in one frame.
pub const MAX_TABLE_PIECE: usize = 256 * 1024;

positional! {
    /// What a downstream lacks of the files that were announced. They are sent in order; the first one from an offset on.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct TablesWant {
        /// Bytes that it has of the first file that it lacks.
        pub offset: u64,
        /// A bit for each file, those of the first eight in the first byte, beginning with its lowest bit: set if it is
        /// lacking.
        pub files: serde_bytes::ByteBuf,
    }
}

positional! {
    /// Bytes of a table file, where the piece before has ended.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct TablePiece {
        /// The number of the file.
        pub file: u32,
        /// The place in it.
        pub offset: u64,
        /// At least one, at most [`MAX_TABLE_PIECE`].
        pub bytes: Bytes,
    }
}

/// A place in the files of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TablePlace {
    /// The number of the file.
    pub file: u32,
    /// Bytes before it.
    pub offset: u64,
}

/// The way through the files that are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableCourse {
    lens: Vec<u64>,
    want: TablesWant,
    /// The number of the present file; behind the last one at the end.
    file: usize,
    offset: u64,
}

impl TablesWant {
    /// Everything, given how many files there are.
    #[must_use]
    pub fn all(files: usize) -> Self {
        Self::of(0, std::iter::repeat_n(true, files))
    }

    /// From this offset of the first file that is lacking on; says for each file whether it is.
    #[must_use]
    pub fn of(offset: u64, lacking: impl IntoIterator<Item = bool>) -> Self {
        let mut files = Vec::new();
        for (number, is_lacking) in lacking.into_iter().enumerate() {
            if number % 8 == 0 {
                files.push(0);
            }
            if let Some(byte) = files.last_mut() {
                *byte |= u8::from(is_lacking) << (number % 8);
            }
        }
        Self { offset, files: files.into() }
    }

    fn lacks(&self, file: usize) -> bool {
        self.files.get(file / 8).is_some_and(|byte| byte >> (file % 8) & 1 == 1)
    }
}

impl TableCourse {
    /// Through the wanted ones of files with these lengths; `None` if no downstream can want that.
    #[must_use]
    pub fn new(lens: Vec<u64>, want: TablesWant) -> Option<Self> {
        let is_of_these = want.files.len() == lens.len().div_ceil(8) && lens.len() <= MAX_TABLE_FILES;
        let ends = (lens.len()..want.files.len() * 8).all(|file| !want.lacks(file));
        let (offset, mut course) = (want.offset, Self { lens, want, file: 0, offset: 0 });
        course.skip();
        course.offset = offset;
        let is_inside = course.left() > 0 || (course.place().is_none() && offset == 0);
        (is_of_these && ends && is_inside).then_some(course)
    }

    /// Where the next piece belongs; `None` at the end.
    #[must_use]
    pub fn place(&self) -> Option<TablePlace> {
        let file = u32::try_from(self.file).ok().filter(|_| self.file < self.lens.len())?;
        Some(TablePlace { file, offset: self.offset })
    }

    /// Bytes that the present file has left.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.lens.get(self.file).map_or(0, |len| len.saturating_sub(self.offset))
    }

    /// So many bytes are over. Says no, and does nothing, if the present file has not so many.
    pub fn advance(&mut self, bytes: usize) -> bool {
        let left = self.left();
        let bytes = bytes as u64;
        if bytes == 0 || bytes > left {
            return false;
        }
        self.offset += bytes;
        if bytes == left {
            (self.file, self.offset) = (self.file + 1, 0);
            self.skip();
        }
        true
    }

    /// To the next file that is wanted.
    fn skip(&mut self) {
        while self.file < self.lens.len() && !self.want.lacks(self.file) {
            self.file += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(file: u32, offset: u64) -> Option<TablePlace> {
        Some(TablePlace { file, offset })
    }

    #[test]
    fn it_leads_through_what_is_wanted_and_nothing_else() {
        let lens = vec![10; 11];
        let lacking = (0..11).map(|file| matches!(file, 1 | 2 | 9));
        let mut course = TableCourse::new(lens, TablesWant::of(4, lacking)).unwrap();
        let mut seen = vec![];
        while let Some(place) = course.place() {
            assert!(!course.advance(11) && !course.advance(0));
            seen.push((place.file, place.offset, course.left()));
            assert!(course.advance(6));
            if course.place().is_some_and(|next| next.file == place.file) {
                assert!(course.advance(usize::try_from(course.left()).unwrap()));
            }
        }
        assert_eq!(seen, [(1, 4, 6), (2, 0, 10), (9, 0, 10)]);
        assert!(!course.advance(1));
    }

    #[test]
    fn nothing_and_all_can_be_wanted() {
        assert_eq!(TableCourse::new(vec![], TablesWant::all(0)).unwrap().place(), None);
        assert_eq!(TableCourse::new(vec![5; 8], TablesWant::of(0, [false; 8])).unwrap().place(), None);
        assert_eq!(TableCourse::new(vec![5; 8], TablesWant::all(8)).unwrap().place(), place(0, 0));
    }

    #[test]
    fn what_no_downstream_can_want_is_refused() {
        let refused = |lens: &[u64], want| assert_eq!(TableCourse::new(lens.to_vec(), want), None);
        refused(&[5; 8], TablesWant::all(9));
        refused(&[5; 9], TablesWant::all(8));
        refused(&[5; 3], TablesWant::all(4));
        refused(&[5; 8], TablesWant::of(5, [true; 8]));
        refused(&[5; 8], TablesWant::of(1, [false; 8]));
        refused(&[], TablesWant { offset: u64::MAX, ..TablesWant::default() });
        refused(&[], TablesWant { offset: 0, files: vec![0].into() });
    }
}
