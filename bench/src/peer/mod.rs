//! Other people's servers, each in its own folder on its own loopback ports, ended when dropped.

mod bind;
pub(crate) mod etcd;
mod knot;
mod nsd;
mod pair;
pub(crate) mod powerdns;
pub(crate) mod redis;
mod server;
mod software;
mod update;
mod wanted;

pub(crate) use pair::{CATALOG, Pair};
pub(crate) use server::Server;
pub(crate) use software::Software;
pub(crate) use update::Updater;
pub(crate) use wanted::{ServedZone, Setup};
