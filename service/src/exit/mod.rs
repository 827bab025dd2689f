//! How a program of zonecast ends: one documented code per kind of trouble, one clear line about it on standard error.
//!
//! docs/operations.md has the table; scripts may rely on the codes.

mod failure;
mod of_client;
mod of_parts;

pub use failure::{Code, Failure, Outcome, is_disk_full};
