//! `zonecast kv`: keyspaces beside DNS.

mod command;
mod files;
mod groups;
mod keys;
mod keyspaces;
mod shown;
mod watch;

pub(super) use command::Kv;
