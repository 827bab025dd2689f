//! What must hold whatever fails, one a file.

mod age;
mod atomic;
mod check;
mod dense;
mod equal;
mod monotone;
mod receipts;

pub(super) use check::{applied, check, loaded};
