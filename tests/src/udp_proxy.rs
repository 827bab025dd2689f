//! A bad network between processes: a UDP port in front of each, which loses, delays, doubles and cuts what goes through.
//!
//! ```text
//! core 1 ─▶ front of core 2 ─▶ a socket for core 1 ─▶ core 2
//! core 1 ◀─ front of core 2 ◀─ a socket for core 1 ◀─ core 2
//! ```
//! Each process tells the others its front as its address. Who sends is known by the port, since QUIC sends from the port at
//! which it listens. So a cut from one to the other also stops the answers on connections that the other has opened.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::Random;

/// A UDP packet is not larger.
const MAX_PACKET: usize = 65_536;

/// How often a thread that hears nothing looks whether it should end.
const LOOK: Duration = Duration::from_millis(50);

/// What happens to packets on all ways that are not cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// Of a thousand packets, this many are lost.
    pub lost: usize,
    /// Of a thousand packets, this many come twice.
    pub doubled: usize,
    /// Each packet is late by a random time up to this one, so that they overtake each other.
    pub most_delay: Duration,
}

/// Packets so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packets {
    /// That went on.
    pub carried: u64,
    /// Lost by chance.
    pub lost: u64,
    /// Sent twice.
    pub doubled: u64,
    /// That met a cut.
    pub cut: u64,
}

/// Ports in front of processes, all with the same weather; ends when dropped.
pub struct UdpProxy {
    shared: Arc<Shared>,
    fronts: Vec<SocketAddr>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    targets: Vec<SocketAddr>,
    is_over: AtomicBool,
    network: Mutex<Network>,
    is_due: Condvar,
}

struct Network {
    random: Random,
    weather: Weather,
    cuts: HashSet<Way>,
    packets: Packets,
    /// By the time at which they go on, and a number that tells those of the same time apart.
    under_way: BTreeMap<(Instant, u64), Packet>,
    number: u64,
}

/// From one process to another, by their places in the list; `None` is a stranger, whose way is never cut.
type Way = (Option<usize>, Option<usize>);

struct Packet {
    from: Arc<UdpSocket>,
    to: SocketAddr,
    bytes: Vec<u8>,
}

impl UdpProxy {
    /// A front for each of these processes, with fair weather. The same seed loses the same packets, if they come in the
    /// same order.
    ///
    /// # Errors
    /// A port cannot be had.
    pub fn start(targets: &[SocketAddr], seed: u64) -> std::io::Result<Self> {
        let network = Network {
            random: Random::new(seed),
            weather: Weather::default(),
            cuts: HashSet::new(),
            packets: Packets::default(),
            under_way: BTreeMap::new(),
            number: 0,
        };
        let shared = Arc::new(Shared {
            targets: targets.to_vec(),
            is_over: AtomicBool::new(false),
            network: Mutex::new(network),
            is_due: Condvar::new(),
        });
        let mut proxy = Self { shared, fronts: Vec::new(), threads: Vec::new() };
        for target in 0..targets.len() {
            let front = Arc::new(socket()?);
            proxy.fronts.push(front.local_addr()?);
            let shared = Arc::clone(&proxy.shared);
            proxy.threads.push(std::thread::spawn(move || shared.serve_front(target, &front)));
        }
        let shared = Arc::clone(&proxy.shared);
        proxy.threads.push(std::thread::spawn(move || shared.send_what_is_due()));
        Ok(proxy)
    }

    /// Where others reach the process at this place of the list.
    #[must_use]
    pub fn front(&self, place: usize) -> Option<SocketAddr> {
        self.fronts.get(place).copied()
    }

    /// Loses all that one process sends to the other; the way back stays.
    pub fn cut(&self, from: usize, to: usize) {
        self.shared.network().cuts.insert((Some(from), Some(to)));
    }

    /// Mends all cuts.
    pub fn heal(&self) {
        self.shared.network().cuts.clear();
    }

    /// From now on.
    pub fn set_weather(&self, weather: Weather) {
        self.shared.network().weather = weather;
    }

    /// How many packets there were.
    #[must_use]
    pub fn packets(&self) -> Packets {
        self.shared.network().packets
    }
}

impl Drop for UdpProxy {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        self.shared.is_due.notify_all();
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

impl Shared {
    fn network(&self) -> MutexGuard<'_, Network> {
        self.network.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// What comes to the front of a process goes on to it, and from every sender through a socket of its own.
    fn serve_front(self: Arc<Self>, target: usize, front: &Arc<UdpSocket>) {
        let (mut senders, mut threads) = (HashMap::new(), Vec::new());
        let Some(to) = self.targets.get(target).copied() else { return };
        self.receive(front, |sender, bytes| {
            let place = self.targets.iter().position(|address| *address == sender);
            let socket = senders.entry(sender).or_insert_with(|| {
                let own = Arc::new(socket()?);
                let (shared, own_too, front) = (Arc::clone(&self), Arc::clone(&own), Arc::clone(front));
                threads.push(std::thread::spawn(move || {
                    shared.receive(&own_too, |_, bytes| {
                        shared.carry((Some(target), place), Packet { from: Arc::clone(&front), to: sender, bytes });
                    });
                }));
                std::io::Result::Ok(own)
            });
            if let Ok(socket) = socket {
                self.carry((place, Some(target)), Packet { from: Arc::clone(socket), to, bytes });
            }
        });
        threads.into_iter().for_each(|thread| drop(thread.join()));
    }

    fn receive(&self, socket: &UdpSocket, mut take: impl FnMut(SocketAddr, Vec<u8>)) {
        let mut buffer = vec![0; MAX_PACKET];
        while !self.is_over() {
            // Nothing came in time, or a process that is not there was told of: neither ends the network.
            if let Ok((len, sender)) = socket.recv_from(&mut buffer) {
                take(sender, buffer.get(..len).unwrap_or_default().to_vec());
            }
        }
    }

    fn carry(&self, way: Way, packet: Packet) {
        self.network().carry(way, packet);
        self.is_due.notify_all();
    }

    fn send_what_is_due(&self) {
        let mut network = self.network();
        while !self.is_over() {
            let now = Instant::now();
            let wait =
                network.under_way.first_key_value().map_or(LOOK, |((due, _), _)| due.saturating_duration_since(now));
            match network.under_way.first_entry().filter(|_| wait.is_zero()) {
                Some(first) => {
                    let packet = first.remove();
                    // As on a wire: who sends does not hear what becomes of it.
                    let _ = packet.from.send_to(&packet.bytes, packet.to);
                }
                None => {
                    let wait = wait.min(LOOK);
                    network = self.is_due.wait_timeout(network, wait).unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
    }
}

impl Network {
    fn carry(&mut self, way: Way, packet: Packet) {
        if self.cuts.contains(&way) {
            self.packets.cut += 1;
            return;
        }
        let chance = self.random.below(1_000);
        let Weather { lost, doubled, .. } = self.weather;
        if chance < lost {
            self.packets.lost += 1;
            return;
        }
        self.packets.carried += 1;
        if chance < lost + doubled {
            self.packets.doubled += 1;
            self.put(Packet { from: Arc::clone(&packet.from), to: packet.to, bytes: packet.bytes.clone() });
        }
        self.put(packet);
    }

    fn put(&mut self, packet: Packet) {
        let most = usize::try_from(self.weather.most_delay.as_micros()).unwrap_or_default();
        let delay = u64::try_from(self.random.below(most + 1)).unwrap_or_default();
        self.number += 1;
        let due = Instant::now() + Duration::from_micros(delay);
        self.under_way.insert((due, self.number), packet);
    }
}

fn socket() -> std::io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_read_timeout(Some(LOOK))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two processes, and the network between them.
    struct Two {
        sockets: [UdpSocket; 2],
        proxy: UdpProxy,
    }

    impl Two {
        fn new() -> Self {
            let sockets = [socket().unwrap(), socket().unwrap()];
            sockets.iter().for_each(|socket| socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap());
            let addresses = [&sockets[0], &sockets[1]].map(|socket| socket.local_addr().unwrap());
            let proxy = UdpProxy::start(&addresses, 1).unwrap();
            Self { sockets, proxy }
        }

        fn send(&self, from: usize, to: usize, text: &str) {
            self.sockets[from].send_to(text.as_bytes(), self.proxy.front(to).unwrap()).unwrap();
        }

        /// The next packet of this process, and from where.
        fn next(&self, place: usize) -> (String, SocketAddr) {
            let mut buffer = [0; 100];
            let (len, from) = self.sockets[place].recv_from(&mut buffer).unwrap();
            (String::from_utf8(buffer[..len].to_vec()).unwrap(), from)
        }

        fn wait(&self, is_so: impl Fn(Packets) -> bool) {
            let deadline = Instant::now() + Duration::from_secs(20);
            let found = crate::poll_until(deadline, || is_so(self.proxy.packets()).then_some(()));
            assert!(found.is_some(), "{:?}", self.proxy.packets());
        }
    }

    #[test]
    fn a_cut_is_one_way_and_for_answers_too() {
        let two = Two::new();
        two.send(0, 1, "hello");
        let (text, back) = two.next(1);
        assert_eq!(text, "hello");
        two.sockets[1].send_to(b"and you", back).unwrap();
        let (text, from) = two.next(0);
        assert_eq!((text.as_str(), Some(from)), ("and you", two.proxy.front(1)));

        two.proxy.cut(1, 0);
        two.sockets[1].send_to(b"an answer", back).unwrap();
        two.send(1, 0, "a question");
        two.wait(|packets| packets.cut == 2);
        two.send(0, 1, "the other way");
        assert_eq!(two.next(1).0, "the other way");
        two.proxy.heal();
        two.send(1, 0, "healed");
        assert_eq!(two.next(0).0, "healed");
    }

    #[test]
    fn weather_loses_and_doubles() {
        let two = Two::new();
        two.proxy.set_weather(Weather { lost: 1_000, ..Weather::default() });
        two.send(0, 1, "lost");
        two.wait(|packets| packets.lost == 1);
        let most_delay = Duration::from_millis(2);
        two.proxy.set_weather(Weather { lost: 0, doubled: 1_000, most_delay });
        two.send(0, 1, "twice");
        assert_eq!([two.next(1).0, two.next(1).0], ["twice", "twice"]);
    }
}
