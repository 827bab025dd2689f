//! An error whose message contains its cause does not return the cause as its source, too: a program that prints an
//! error with all its sources would print the cause twice.

use std::error::Error;

use rmp_serde::decode::Error as SyntaxError;

use crate::{
    CommandError, DecodeError, DownstreamEnd, EntryError, FollowerEnd, FrameError, HeadError, KeyspaceId, MachineError,
    OpError, PublishedError, SectionId, ViewError,
};

const CAUSE: &str = "an entry is incomplete";

fn syntax() -> SyntaxError {
    SyntaxError::Syntax(CAUSE.to_owned())
}

fn operation() -> DecodeError {
    let section = SectionId { keyspace: KeyspaceId::DNS, partition: 1 };
    DecodeError::Op { section, number: 3, problem: OpError::Syntax(syntax()) }
}

/// An error and all its sources, as programs print them.
fn printed(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", printed(source)),
        None => error.to_string(),
    }
}

#[test]
fn a_cause_is_printed_once() {
    let errors: [Box<dyn Error>; 10] = [
        Box::new(DecodeError::Batch(syntax())),
        Box::new(operation()),
        Box::new(FrameError::Syntax { kind: 1, problem: syntax() }),
        Box::new(CommandError::Syntax(syntax())),
        Box::new(PublishedError::Syntax(syntax())),
        Box::new(HeadError::Syntax(syntax())),
        Box::new(MachineError::<ViewError>::Newer(operation())),
        Box::new(FollowerEnd::Operation(operation())),
        Box::new(FollowerEnd::Entry(EntryError::Short)),
        Box::new(DownstreamEnd::Snapshot(EntryError::Short)),
    ];
    let texts = errors.iter().map(|error| printed(&**error));
    let repeating: Vec<_> = texts.filter(|text| text.matches(CAUSE).count() != 1).collect();
    assert!(repeating.is_empty(), "{repeating:#?}");
}
