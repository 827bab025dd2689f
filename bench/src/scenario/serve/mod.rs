//! Answering queries: processor time per query (T5), and memory (T10).
//!
//! Each server has the first processor to itself and is idle until its turn; dnsperf has the second.

mod cost;
mod memory;
mod run;
mod subject;

pub(crate) use run::run;
