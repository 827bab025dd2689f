//! Asks name servers everything that a zone can answer, and says where they differ.
//!
//! ```text
//! records ──▶ questions      every name and type present, and misses at every level
//!                │ UDP, TCP
//!                ▼
//!             replies ──▶ differences, aspect by aspect
//! ```
//! It shares no code with what answers: messages are the `domain` crate's. `zonecast compare` is made of it, and so are
//! the tests that hold zonecast against other servers.

mod asker;
mod capture;
mod differences;
mod question_list;
mod questions;
mod reply;
mod rr;
mod transfer;
mod view;
mod zone_data;

pub use asker::{AskError, Asker, Mode, Recursion, encode};
pub use capture::CaptureError;
pub use differences::{Aspect, differences};
pub use question_list::{QuestionListError, read_questions};
pub use questions::{Breadth, Question, questions, questions_at};
pub use reply::{Reply, ReplyError};
pub use rr::{Name, Rr};
pub use transfer::{TransferError, transfer};
pub use view::Strictness;
pub use zone_data::ZoneData;
