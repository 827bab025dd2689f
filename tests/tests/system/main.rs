//! Tests of whole processes: conformance with other servers, the way of a change, and what happens when things fail.

#![cfg(test)]

mod access;
mod api;
mod backup;
mod cluster;
mod compare;
mod conformance;
mod copies;
mod crash;
mod dig;
mod edges;
mod faults;
mod flood;
mod heavy;
mod histories;
mod hostile;
mod http;
mod import_lead;
mod keys;
mod keyspaces;
mod operator;
mod partial;
mod pipeline;
mod prometheus;
mod random_zones;
mod rdata;
mod refusals;
mod releases;
mod snapshot_store;
mod strange_cores;
mod strangers;
mod tree;
mod trouble;
mod unloaded;
mod validator;
mod verify;
mod voters;
