//! Several voters in one thread, on disks that forget and a network that loses, with one seed for all of it.
//!
//! The voters are the product's code: raft, log store, state machine, proposer, network and server. Only what they stand
//! on is a model: [`machine`] has the runtime, [`log_disk`] and [`state_disk`] the disks, [`net`] and [`wire`] the
//! network. A [`world`] runs clients and faults, and everything that happens is shown to the [`invariants`].

mod boot;
mod clients;
mod commits;
mod dice;
mod disk;
mod event;
mod faults;
mod history;
mod invariants;
mod log_disk;
mod machine;
mod moves;
mod net;
mod operators;
mod pipe;
mod random_runs;
mod run;
mod scenarios;
mod state_disk;
mod trace;
mod wire;
mod witness;
mod world;
mod writes;
