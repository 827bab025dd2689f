//! The command line. Each command is a file; [`shared`] has the options of all.
//!
//! Results go to standard output, everything else to standard error; exit codes are in [`zonecast_service::exit`].

mod arguments;
mod backup;
mod ca;
mod cluster;
mod compare;
mod complaint;
mod completions;
mod config;
mod context;
mod dev;
mod doctor;
mod edges;
mod get;
mod history;
mod kv;
mod place;
mod receipt;
mod record;
mod record_data;
mod recover;
mod restore;
mod role;
mod run;
mod settings;
mod shared;
mod status;
mod text;
mod token;
mod verify;
mod whole_file;
mod written;
mod zone;
mod zone_check;
mod zone_of;

use arguments::Cli;
use context::{Context, Waiting};
pub use run::run;
