//! Cores from the outside: what they promise to those who change them, across restarts and crashes.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and a child tells by printing"
)]

mod bulk;
mod cancelled;
mod changes;
mod cluster;
mod crash;
mod disk;
mod held_lead;
mod once;
mod recover;
mod restart;
mod site;
mod snapshots;

use std::path::Path;
use std::sync::{Arc, Mutex};

use prometheus::Registry;
use zonecast_kv_core::{Applied, ChangeError, Core, CoreConfig, CoreError, Pending, ProposeError};
use zonecast_kv_proto::{
    Batch, Key, KeyspaceId, Op, Position, Published, Section, SectionId, Value, Version, View, ViewError,
};
use zonecast_kv_store::StateOptions;

const ZONE: SectionId = SectionId { keyspace: KeyspaceId::DNS, partition: 1 };
const NOTES: SectionId = SectionId { keyspace: KeyspaceId::CORE, partition: 1 };

/// What the sink was given.
type Log = Arc<Mutex<Vec<Applied>>>;

async fn start(folder: &Path) -> Result<(Core, Log), CoreError> {
    start_with(folder, &Registry::new()).await
}

async fn start_with(folder: &Path, registry: &Registry) -> Result<(Core, Log), CoreError> {
    let log = Log::default();
    let seen = Arc::clone(&log);
    let config = CoreConfig {
        data_dir: folder.to_path_buf(),
        state: StateOptions::default(),
        registry: registry.clone(),
        sink: Arc::new(move |version: &Applied| seen.lock().unwrap().push(version.clone())),
        cluster: None,
    };
    Ok((Core::start(config).await?, log))
}

fn key(id: SectionId, name: &str) -> Key {
    Key::new([&id.keyspace.get().to_be_bytes()[..], name.as_bytes()].concat()).unwrap()
}

fn put(id: SectionId, name: &str, value: impl Into<Vec<u8>>) -> Batch {
    let op = Op::Put { key: key(id, name), value: Value::new(value.into()).unwrap() };
    Batch { preconditions: vec![], sections: vec![Section { id, ops: vec![op] }] }
}

fn read(view: &dyn View, id: SectionId, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![];
    view.get(key(id, name).as_bytes(), &mut value).unwrap().then_some(value)
}

fn number(view: &dyn View, name: &str) -> u64 {
    read(view, ZONE, name).map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().unwrap()))
}

/// Adds one to a number, and says what it then is.
async fn increment(core: &Core, name: &str) -> Result<(u64, Pending), ChangeError<ViewError>> {
    let name = name.to_string();
    core.change(move |view, _| {
        let next = number(view, &name) + 1;
        Ok((put(ZONE, &name, next.to_be_bytes()), next))
    })
    .await
}

/// Follows the batch log from its beginning, as an edge would.
fn follow(core: &Core) -> Position {
    let source = core.source();
    let mut position = Position::origin(core.position().store);
    while let Some(versions) = source.read_after(position.version, 100_000).unwrap()
        && !versions.is_empty()
    {
        for bytes in versions {
            position = Published::from_bytes(&bytes).unwrap().follow(&position).unwrap();
        }
    }
    position
}

fn is_busy<E>(error: &ChangeError<E>) -> bool {
    matches!(error, ChangeError::Propose(ProposeError::Busy))
}

fn versions(log: &Log) -> Vec<Version> {
    log.lock().unwrap().iter().map(|applied| applied.position.version).collect()
}
