//! Threads that change records through the API as fast as it answers, each its own groups.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::json;
use zonecast_tests::{Random, System};

use super::model::{Fate, Group, Model};
use crate::http::Http;

const THREADS: usize = 3;

/// Pause after a write that failed: as a client would that tries again.
const AFTER_FAILURE: Duration = Duration::from_millis(10);

/// Threads that write through the API, each to groups of its own; taking the gate halts them between two writes.
pub(super) struct Writers {
    /// Held by each of them during a write.
    gate: Arc<RwLock<()>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Writers {
    pub(super) fn start(system: &System, model: &Arc<Model>, seed: u64) -> Self {
        let (gate, stop) = (Arc::new(RwLock::new(())), Arc::new(AtomicBool::new(false)));
        let thread = |number: usize| {
            let (gate, stop, model, address) =
                (Arc::clone(&gate), Arc::clone(&stop), Arc::clone(model), system.core.http);
            let mut random = Random::new(seed.wrapping_add(u64::try_from(number).unwrap()));
            std::thread::spawn(move || {
                let api = Http::new(address);
                let mine: Vec<&Group> = model.groups.iter().skip(number).step_by(THREADS).collect();
                while !stop.load(Ordering::Relaxed) {
                    let group = mine[random.below(mine.len())];
                    let one_write = gate.read().unwrap();
                    let fate = write(&api, &model, group);
                    drop(one_write);
                    if !matches!(fate, Fate::Acknowledged(_)) {
                        std::thread::park_timeout(AFTER_FAILURE);
                    }
                }
            })
        };
        let threads = (0..THREADS).map(thread).collect();
        Self { gate, stop, threads }
    }

    /// Runs something while nobody writes.
    pub(super) fn paused<T>(&self, run: impl FnOnce() -> T) -> T {
        let _nobody = self.gate.write().unwrap();
        run()
    }

    pub(super) fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

fn write(api: &Http, model: &Model, group: &Group) -> Fate {
    let value = group.next();
    let answer = match group.names.as_slice() {
        [name] => api.set(group.zone, name, "TXT", &value.to_string()),
        names => {
            let change =
                |name| json!({"action": "set", "name": name, "type": "TXT", "ttl": 60, "data": [value.to_string()]});
            let body = json!({"changes": names.iter().map(change).collect::<Vec<_>>()}).to_string();
            api.call("POST", &format!("/v1/zones/{}/changes", group.zone), Some(&body))
        }
    };
    let fate = Fate::of(&answer);
    model.note(group, value, fate);
    fate
}
