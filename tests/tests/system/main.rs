//! Tests of whole processes: conformance with other servers, and the way of a change.

#![cfg(test)]

mod api;
mod conformance;
mod pipeline;
mod trouble;
