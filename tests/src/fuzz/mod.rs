//! What fuzzing runs: one function per decoder, and one for the whole answer path.
//!
//! Each [`Target`] takes any bytes and must not panic; where the bytes are valid, it also checks what must then hold.
//! `fuzz/` runs them under libFuzzer, and a test runs each of them on its seeds, cut and flipped, so that they never
//! rot.

mod answer;
mod changes;
mod decoders;
mod kept;
mod keyspaces;
mod seeds;
mod target;
mod text;
mod world;

pub use kept::{corpus, read_kept, write_kept};
pub use target::{TARGETS, Target, shake};
