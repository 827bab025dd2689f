//! Three cores as processes, on a bad network, killed and without power, and clients whose histories must be explained.
//!
//! ```text
//! clients ─ HTTP ─▶ any core       set and read registers; what they asked and heard, and when, is a history of each
//! cores ─ QUIC ─▶ UDP proxy ─▶ cores
//! at the end all is mended, every core reads every register once more, and `zonecast_tests::History` checks each history
//! ```
//! A register is one RRset in a zone of its own, so that its version is the serial of the zone: each write adds one.
//! `ZONECAST_SEED` repeats a run as far as timing allows, `ZONECAST_ROUNDS` sets the number of rounds, `ZONECAST_SOAK`
//! makes it large. docs/proofs.md says how these tests were seen to fail.

mod chaos;
mod clients;
mod leaders;
mod nemesis;
mod power;
mod register;
mod three;

/// Rounds of this run of a test: what `ZONECAST_ROUNDS` says, else of `make soak` or of `make test`.
pub(crate) fn rounds(of_test: u64, of_soak: u64) -> u64 {
    let soak = std::env::var_os("ZONECAST_SOAK").is_some();
    crate::crash::number_from_environment("ZONECAST_ROUNDS").unwrap_or(if soak { of_soak } else { of_test })
}
