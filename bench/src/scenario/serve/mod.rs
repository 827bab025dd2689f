//! Answering queries: processor time per query (T5), also among many zones and where little is at hand, and memory (T10).
//!
//! Each server has the first processor to itself and is idle until its turn; dnsperf has the second.

mod cost;
mod course;
mod memory;
mod processors;
mod reach;
mod run;
mod subject;
mod zones;

pub(crate) use run::run;
