//! What a process can be. For now one role: a whole system in one process.

mod data_folder;
pub mod dev;
mod failures;
mod holdings;
mod http;
mod local_edge;
mod ports;
mod sink;
mod stop;

pub(crate) use data_folder::DataFolder;
pub use stop::Stop;
