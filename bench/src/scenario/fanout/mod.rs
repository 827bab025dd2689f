//! Many edges below a core or relays (T3): every edge has a QUIC connection and a certificate of its own, and checks every
//! version and its chain; it keeps nothing, so that a thousand of them fit on one machine beside what feeds them.
//!
//! The time is from the request to the core until the last edge has checked the version that the core answered with.

mod idle;
mod rate;
mod run;
mod single;
mod stage;

pub(crate) use run::run;
