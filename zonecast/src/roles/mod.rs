//! What a process can be: a core, an edge, or a whole system in one process.

mod admission;
pub(crate) mod core;
mod data_folder;
pub mod dev;
pub(crate) mod edge;
#[cfg(test)]
mod export_tests;
mod forwarded;
mod http;
mod http_bodies;
#[cfg(test)]
mod http_tests;
mod http_tls;
mod idle;
mod majority;
mod paced_stream;
mod patience;
mod ports;
mod process;
pub(crate) mod processes;
mod processes_cluster;
mod reload;
mod running_core;
mod running_edge;
mod serving;
mod snapshot_store;
mod spare_listener;
mod stop;
mod voters;
pub(crate) mod zone_folder;
#[cfg(test)]
mod zone_folder_tests;
mod zone_import;
#[cfg(test)]
mod zone_tests;

pub(crate) use data_folder::DataFolder;
pub(crate) use stop::STOP_WITHIN;
pub use stop::Stop;
