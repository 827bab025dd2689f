//! `zonecast-bench sim`: what trees of relays would do for tens of thousands of edges all over the world. It is a
//! model, and measures nothing: docs/scale.md says what it is made of and where it ends.
//!
//! Pure: it reads no clock, file or socket, and draws no random numbers.

mod arrival;
mod command;
mod delay;
mod group;
mod inputs;
mod link;
mod outcome;
mod region;
mod sending;
mod table;
mod tree;

pub(crate) use command::Sim;
