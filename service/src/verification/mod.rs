//! Whether all nodes hold the same: what voters come to at a marker, what they agree on, and who differs. Pure, but for the
//! streams between cores.

mod judge;
mod metrics;
mod options;
mod voter_sums;

pub(crate) use judge::{Judge, Majority, VoterSays};
pub(crate) use metrics::VerificationMetrics;
pub use options::{VERIFY_BYTES_PER_SECOND, VerifyOptions};
pub(crate) use voter_sums::{SUMS, SumsState, VoterSums, answer_sums, ask_sums};
