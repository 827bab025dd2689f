//! Threads that set and read registers at any of the cores, and write down what they asked and heard, and when.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use zonecast_kv_proto::RequestKey;
use zonecast_tests::{Counts, Done, History, Operation, Random, Seen, poll_until};

use super::register::Register;
use super::three::{CORES, Three};
use crate::http::Http;

const THREADS: u64 = 4;

/// So few that clients meet at each of them all the time.
const REGISTERS: usize = 3;

/// After that a client does not know.
const PATIENCE: Duration = Duration::from_secs(4);

/// How often a client asks for a write whose outcome it does not know, under the same key.
const ATTEMPTS: usize = 3;

/// Pause after something failed, as a client would that tries again.
const AFTER_FAILURE: Duration = Duration::from_millis(10);

/// How long all cores may take to answer when everything is mended.
const MENDED_WITHIN: Duration = Duration::from_secs(60);

/// Threads that use the registers, and what they have written down.
pub(super) struct Clients {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    registers: Vec<Register>,
    apis: [SocketAddr; CORES],
    histories: Vec<Mutex<History>>,
    /// Held by each client during an operation: a history has no write that is not written down yet and was read already.
    gate: RwLock<()>,
    began: Instant,
    is_over: AtomicBool,
    /// Writes that were asked for.
    values: AtomicU64,
    acknowledged: AtomicU64,
}

impl Clients {
    pub(super) fn start(three: &Three, seed: u64) -> Self {
        let api = Http::new(three.core(0).http);
        let registers: Vec<Register> = (0..REGISTERS).map(|number| Register::new(&format!("r{number}"))).collect();
        let history = |register: &Register| Mutex::new(History { first: register.make(&api), operations: Vec::new() });
        let shared = Arc::new(Shared {
            histories: registers.iter().map(history).collect(),
            registers,
            apis: three.apis(),
            gate: RwLock::new(()),
            began: Instant::now(),
            is_over: AtomicBool::new(false),
            values: 0.into(),
            acknowledged: 0.into(),
        });
        let thread = |number| {
            let client = Client {
                random: Random::new(seed.wrapping_mul(31).wrapping_add(number)),
                apis: shared.apis.map(|api| Http::patient(api, PATIENCE)),
                shared: Arc::clone(&shared),
            };
            std::thread::spawn(move || client.run())
        };
        let threads = (0..THREADS).map(thread).collect();
        Self { shared, threads }
    }

    /// How many writes were acknowledged so far.
    pub(super) fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until so many more writes are acknowledged.
    pub(super) fn wait_for_writes(&self, more: u64, round: &str) {
        let wanted = self.acknowledged() + more;
        let deadline = Instant::now() + MENDED_WITHIN;
        let written = poll_until(deadline, || (self.acknowledged() >= wanted).then_some(()));
        assert!(written.is_some(), "{round}: nothing is acknowledged any more");
    }

    /// Everything is mended: each core reads each register, and what was done so far must be explained.
    pub(super) fn check(&self, round: &str) -> Counts {
        let _nobody = self.shared.gate.write().unwrap();
        for (place, register) in self.shared.registers.iter().enumerate() {
            for api in self.shared.apis {
                let deadline = Instant::now() + MENDED_WITHIN;
                let read = poll_until(deadline, || self.shared.read(place, register, &Http::patient(api, PATIENCE)));
                assert!(read.is_some(), "{round}: {register:?} cannot be read at {api}");
            }
        }
        let mut sum = Counts::default();
        for (history, register) in self.shared.histories.iter().zip(&self.shared.registers) {
            let history = history.lock().unwrap().clone();
            keep(&history, round, register);
            sum += history.check().unwrap_or_else(|violation| {
                panic!("{round}: {register:?} is not linearizable: {violation}\n{}", excerpt(&history))
            });
        }
        sum
    }

    /// Ends them; everything is mended, and what was done must be explained.
    pub(super) fn stop(self, round: &str) -> Counts {
        self.shared.is_over.store(true, Ordering::Relaxed);
        let Self { shared, threads } = self;
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        Self { shared, threads: Vec::new() }.check(round)
    }
}

impl Shared {
    /// Reads and writes it down.
    fn read(&self, place: usize, register: &Register, api: &Http) -> Option<Seen> {
        let asked = self.began.elapsed();
        let seen = register.read(api)?;
        self.note(place, Operation { asked, heard: self.began.elapsed(), done: Done::Read(seen) });
        Some(seen)
    }

    fn note(&self, place: usize, operation: Operation) {
        self.histories[place].lock().unwrap().operations.push(operation);
    }
}

struct Client {
    random: Random,
    apis: [Http; CORES],
    shared: Arc<Shared>,
}

impl Client {
    fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        while !shared.is_over.load(Ordering::Relaxed) {
            let place = self.random.below(REGISTERS);
            let one_operation = shared.gate.read().unwrap();
            let is_done = if self.random.below(2) == 0 { self.read(place) } else { self.write(place) };
            drop(one_operation);
            if !is_done {
                std::thread::park_timeout(AFTER_FAILURE);
            }
        }
    }

    fn read(&mut self, place: usize) -> bool {
        let core = self.random.below(CORES);
        self.shared.read(place, &self.shared.registers[place], &self.apis[core]).is_some()
    }

    fn write(&mut self, place: usize) -> bool {
        let value = self.shared.values.fetch_add(1, Ordering::Relaxed) + 1;
        let (asked, done) = (self.shared.began.elapsed(), self.ask(place, value));
        self.shared.note(place, Operation { asked, heard: self.shared.began.elapsed(), done });
        let is_acknowledged = matches!(done, Done::Wrote(_));
        self.shared.acknowledged.fetch_add(u64::from(is_acknowledged), Ordering::Relaxed);
        is_acknowledged
    }

    /// Asks again, at any core and under the same key, while it is not known what has become of the write. Only what was
    /// refused each time has not been done.
    fn ask(&mut self, place: usize, value: u64) -> Done {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let key = RequestKey::made_at(since.as_millis().try_into().unwrap(), self.random.number().into()).to_string();
        let mut done = Done::Refused(value);
        for _ in 0..ATTEMPTS {
            let core = self.random.below(CORES);
            match self.shared.registers[place].write(&self.apis[core], &key, value) {
                wrote @ Done::Wrote(_) => return wrote,
                Done::Refused(_) if done == Done::Refused(value) => return done,
                Done::Refused(_) | Done::Read(_) => {}
                unknown @ Done::Unknown(_) => done = unknown,
            }
            if self.random.below(3) == 0 {
                break;
            }
            std::thread::park_timeout(AFTER_FAILURE);
        }
        done
    }
}

/// Writes a history into the folder that `ZONECAST_HISTORIES` names, for other checkers: a list of operations, times in
/// nanoseconds.
fn keep(history: &History, round: &str, register: &Register) {
    let Some(folder) = std::env::var_os("ZONECAST_HISTORIES") else { return };
    let operations = history.operations.iter().map(|operation| {
        let (done, value) = match operation.done {
            Done::Read(seen) => ("read", seen.value),
            Done::Wrote(seen) => ("wrote", seen.value),
            Done::Refused(value) => ("refused", value),
            Done::Unknown(value) => ("unknown", value),
        };
        let [asked, heard] = [operation.asked, operation.heard].map(|time| u64::try_from(time.as_nanos()).unwrap());
        json!({"asked": asked, "heard": heard, "done": done, "value": value})
    });
    let name = format!("{round}, {}.json", register.name()).replace(' ', "-").replace(',', "");
    std::fs::write(Path::new(&folder).join(name), Value::from_iter(operations).to_string()).unwrap();
}

/// The last operations of a history, for whoever has to find out.
fn excerpt(history: &History) -> String {
    const LAST: usize = 60;
    let mut operations = history.operations.clone();
    operations.sort_unstable_by_key(|operation| operation.asked);
    let lines = operations.iter().rev().take(LAST).rev().map(|operation| format!("{operation:?}\n"));
    lines.collect()
}
