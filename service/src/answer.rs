//! What is kept of the answer to a write that is done once, so that whoever asks again gets the first one.
//!
//! # Format
//! The note of a request is the JSON of its answer without what else says it: zone, version and receipt. Warnings are left
//! out from the end where they do not fit. An answer that says what is so now has an empty note.

use serde::Serialize;
use serde::de::DeserializeOwned;
use zonecast_api::types::{KeyspaceInfo, KeyspaceWritten, StoreSettings, Written, ZoneSettingsInfo};
use zonecast_kv_proto::{Note, Version};

/// An answer that is kept.
pub trait Answer: Serialize + DeserializeOwned + Clone + Send + 'static {
    /// Without the least of what can be missed, if there is such.
    fn shortened(self) -> Option<Self> {
        None
    }

    /// As it is kept; empty, if it is too long whatever is left out.
    fn note(&self) -> Note {
        let mut answer = Some(self.clone());
        while let Some(next) = answer {
            let fits = serde_json::to_vec(&next).ok().and_then(|json| Note::new(json).ok());
            if let Some(note) = fits {
                return note;
            }
            answer = next.shortened();
        }
        Note::default()
    }
}

impl Answer for Written {
    fn shortened(mut self) -> Option<Self> {
        self.warnings.pop().map(|_| self)
    }
}

impl Answer for ZoneSettingsInfo {}

impl Answer for StoreSettings {}

impl Answer for KeyspaceInfo {}

impl Answer for KeyspaceWritten {}

/// What was done before under the same key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// Without one, edges saw nothing of it.
    pub version: Option<Version>,
    /// What was noted of its answer.
    pub note: Note,
}

impl Earlier {
    /// The answer, if there is one in the note.
    pub(crate) fn answer<A: Answer>(&self) -> Option<A> {
        serde_json::from_slice(&self.note).ok()
    }
}

/// What became of a write that is to be done once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrote<T> {
    /// It is done.
    Now(T),
    /// It was done before, and was not done again.
    Before(Earlier),
}

impl<T> Wrote<T> {
    /// The same of something else.
    pub(crate) fn map<U>(self, map: impl FnOnce(T) -> U) -> Wrote<U> {
        match self {
            Self::Now(done) => Wrote::Now(map(done)),
            Self::Before(earlier) => Wrote::Before(earlier),
        }
    }
}

/// An answer, and whether it is that of an earlier request under the same key.
#[derive(Clone, Debug, PartialEq)]
pub struct Done<T> {
    /// The answer.
    pub value: T,
    /// Nothing was done now.
    pub repeated: bool,
}

impl From<Written> for Done<Written> {
    fn from(written: Written) -> Self {
        Self { repeated: written.repeated, value: written }
    }
}

impl From<KeyspaceWritten> for Done<KeyspaceWritten> {
    fn from(written: KeyspaceWritten) -> Self {
        Self { repeated: written.repeated, value: written }
    }
}

#[cfg(test)]
mod tests {
    use zonecast_api::types::Finding;
    use zonecast_kv_proto::MAX_NOTE_LEN;

    use super::*;

    #[test]
    fn an_answer_is_read_from_its_note_with_as_many_warnings_as_fit() {
        let warning = |number: usize| Finding { message: format!("{number:0>100}"), ..Finding::default() };
        for count in [0, 1, 3, 50] {
            let written =
                Written { serial: Some(u32::MAX), warnings: (0..count).map(warning).collect(), ..Written::default() };
            let note = written.note();
            assert!(note.len() <= MAX_NOTE_LEN);
            let read: Written = Earlier { version: None, note }.answer().unwrap();
            assert_eq!(read.serial, written.serial);
            assert!(written.warnings.starts_with(&read.warnings));
            assert!(count > 3 || read.warnings.len() == count, "{count}: {}", read.warnings.len());
        }
    }

    #[test]
    fn a_note_without_an_answer_is_none() {
        assert_eq!(Earlier { version: None, note: Note::default() }.answer::<Written>(), None);
    }
}
