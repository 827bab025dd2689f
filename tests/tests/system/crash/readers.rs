//! One thread for each edge that asks it all the time: what a name says never goes back, whatever was killed.
//!
//! A process that is killed loses nothing that it handed to the system, so not even a restarted edge may answer older
//! than before. Only an edge whose copy was taken away may; it is told to us by [`Readers::forget`].

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use domain::base::iana::{OptRcode, Rtype};
use zonecast_tests::{Mode, Question, Recursion, Reply, Rr, System, encode};

use super::model::Model;
use crate::copies::NOT_READY;

/// For an answer from this machine; without one the next question is asked.
const PATIENCE: Duration = Duration::from_millis(100);

/// Between two questions, so that the processor is there for others, too.
const PAUSE: Duration = Duration::from_millis(1);

/// Threads that query one edge each, and record every answer that is older than an earlier one.
pub(super) struct Readers {
    seen: Vec<Arc<Mutex<Seen>>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// What one edge has answered.
#[derive(Default)]
struct Seen {
    last: BTreeMap<String, u64>,
    /// Counts the copies that were taken away.
    copy: u64,
    answers: u64,
    wrong: Vec<String>,
}

impl Readers {
    pub(super) fn start(system: &System, model: &Model) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let names: Vec<String> = model.groups.iter().flat_map(|group| group.absolute().collect::<Vec<_>>()).collect();
        let seen: Vec<Arc<Mutex<Seen>>> = system.edges.iter().map(|_| Arc::default()).collect();
        let thread = |(edge, seen): (SocketAddr, &Arc<Mutex<Seen>>)| {
            let (stop, names, seen) = (Arc::clone(&stop), names.clone(), Arc::clone(seen));
            std::thread::spawn(move || {
                let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
                socket.connect(edge).unwrap();
                socket.set_read_timeout(Some(PATIENCE)).unwrap();
                let mut id = 0_u16;
                for name in names.iter().cycle() {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    id = id.wrapping_add(1);
                    let copy = seen.lock().unwrap().copy;
                    if let Some(reply) = ask(&socket, name, id) {
                        seen.lock().unwrap().note(copy, name, &reply);
                    }
                    std::thread::park_timeout(PAUSE);
                }
            })
        };
        let threads = system.edges.iter().map(|edge| edge.service).zip(&seen).map(thread).collect();
        Self { seen, stop, threads }
    }

    /// The copy of this edge, which is not running, was taken away.
    pub(super) fn forget(&self, edge: usize) {
        let mut seen = self.seen[edge].lock().unwrap();
        seen.copy += 1;
        seen.last.clear();
    }

    /// Answers that went back.
    pub(super) fn wrong(&self) -> Vec<String> {
        self.seen.iter().flat_map(|seen| seen.lock().unwrap().wrong.clone()).collect()
    }

    /// How many answers there were.
    pub(super) fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
        self.seen.iter().map(|seen| seen.lock().unwrap().answers).sum()
    }
}

impl Seen {
    fn note(&mut self, copy: u64, name: &str, reply: &Reply) {
        if copy != self.copy {
            // Asked before the copy was taken away.
            return;
        }
        self.answers += 1;
        let said = reply.answer.iter().next().and_then(number_in).filter(|_| reply.rcode == OptRcode::NOERROR);
        let before = self.last.get(name).copied();
        match (before, said) {
            (Some(before), Some(said)) if said >= before => _ = self.last.insert(name.to_owned(), said),
            (None, Some(said)) => _ = self.last.insert(name.to_owned(), said),
            // A new copy knows no zone yet.
            (None, None) if reply.rcode == OptRcode::REFUSED => {}
            _ => self.wrong.push(format!("{name}: {said:?} ({}) after {before:?}", reply.rcode)),
        }
    }
}

/// The number in a TXT record.
pub(super) fn number_in(rr: &Rr) -> Option<u64> {
    // A length comes first.
    std::str::from_utf8(rr.rdata.get(1..)?).ok()?.parse().ok()
}

fn ask(socket: &UdpSocket, name: &str, id: u16) -> Option<Reply> {
    let question = Question { name: name.parse().unwrap(), rtype: Rtype::TXT };
    let query = encode(&question, id, Mode::Edns(1232), Recursion::Off);
    socket.send(&query).ok()?;
    let mut buffer = [0; 4096];
    loop {
        let length = socket.recv(&mut buffer).ok()?;
        // Until it has opened its copy, an edge says so instead of staying silent.
        if buffer.get(..length).is_some_and(|answer| answer.windows(NOT_READY.len()).any(|part| part == NOT_READY)) {
            return None;
        }
        if buffer.starts_with(&id.to_be_bytes()) {
            return Some(Reply::parse(&buffer[..length], &query).unwrap());
        }
    }
}
