//! The message of an answer: written as the steps of its resolution come, and truncated where they do not fit.

mod message_writer;
mod steps;

pub(crate) use message_writer::{MessageWriter, Offsets, Section, WriteError};
