//! A second opinion on histories: porcupine searches for an order that explains them, and knows nothing of versions.
//!
//! `tests/src/history.rs` judges by the versions that cores tell. This program takes the files that `ZONECAST_HISTORIES` had
//! the tests write, one for each register, and fails if there is no order for one of them.

use std::process::ExitCode;
use std::time::Duration;

use porcupine_rs::{CheckResult, Model, Operation, check_operations_timeout};
use serde_json::Value;

/// For one history; a search may take any time.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone)]
struct Register;

#[derive(Clone, Debug)]
enum Op {
    Read(u64),
    Write(u64),
}

impl Model for Register {
    type State = u64;
    type Op = Op;
    type Metadata = ();

    fn init() -> u64 {
        0
    }

    fn step(state: &u64, op: &Op) -> (bool, u64) {
        match op {
            Op::Read(value) => (state == value, *state),
            Op::Write(value) => (true, *value),
        }
    }
}

/// A write of unknown outcome is under way for ever, so that the order may have it last. A refused one was not done.
fn operation(written: &Value) -> Option<Operation<Register>> {
    let number = |field: &str| written[field].as_u64().expect("the tests write numbers");
    let time = |field: &str| i64::try_from(number(field)).expect("a test does not take 292 years");
    let value = number("value");
    let (op, return_time) = match written["done"].as_str() {
        Some("read") => (Op::Read(value), time("heard")),
        Some("wrote") => (Op::Write(value), time("heard")),
        Some("unknown") => (Op::Write(value), i64::MAX),
        _ => return None,
    };
    Some(Operation { client_id: None, call_time: time("asked"), return_time, op, metadata: None })
}

fn check(path: &str) -> CheckResult {
    let text = std::fs::read(path).expect("the file can be read");
    let history: Vec<Value> = serde_json::from_slice(&text).expect("the tests write JSON");
    let operations: Vec<_> = history.iter().filter_map(operation).collect();
    let result = check_operations_timeout::<Register>(&operations, PATIENCE);
    println!("{path}: {} operations: {result:?}", operations.len());
    result
}

fn main() -> ExitCode {
    let wrong = std::env::args().skip(1).filter(|path| check(path) != CheckResult::Ok).count();
    if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
