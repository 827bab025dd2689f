//! Durable writes (T4), and answers over the raw reads that they need (T6).

mod answers;
mod network;
mod run;
mod writes;

pub(crate) use run::run;
