//! The C ABI of a zonecast edge; `include/zonecast.h` is its documentation, `example/serve.c` a server around it.

mod abi;
mod edge;
mod reader;

pub use abi::{
    zc_answer, zc_edge_close, zc_edge_open, zc_edge_version, zc_edge_wait, zc_reader_begin, zc_reader_end,
    zc_reader_free, zc_reader_new,
};
