//! Runs the fuzz target of a name.

mod run;

pub use run::run;
