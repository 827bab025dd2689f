//! The message of an answer: written as the steps of its resolution come, and truncated where they do not fit.

mod message_writer;
mod steps;
mod written_names;

pub(crate) use message_writer::{MessageWriter, Section, WriteError};
pub(crate) use written_names::WrittenNames;
