//! From the request for a change until a DNS answer shows it.
//!
//! The proof is always the answer of the edge or secondary, asked over UDP by a client of this process, so one
//! monotonic clock times both ends. Subjects take turns in blocks of changes, so that whatever happens to the machine
//! happens to all of them.

mod beside_import;
mod deployment;
mod edges;
mod load;
mod new_zones;
mod paced;
mod peers;
mod rate;
mod run;
mod single;
mod stage;
mod subject;
mod zones;

pub(crate) use deployment::Deployment;
pub(crate) use run::run;
