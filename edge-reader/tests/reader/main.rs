//! The edge reader over small zones in memory: what it answers, what it costs, and that nothing breaks it.

#![cfg(test)]

mod allocation;
mod bytes;
mod cost;
mod dnssec;
mod model;
mod random;
mod semantics;
mod table;
mod wire;
mod world;
