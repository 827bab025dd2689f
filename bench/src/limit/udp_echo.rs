//! A server that does nothing but send each packet back: what no name server can be faster than.
//!
//! It is a process of its own (`zonecast-bench echo`), so that its processor time is told as that of a server is.

use std::io::{BufRead as _, BufReader, IoSlice, IoSliceMut, Write as _};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg};
use zonecast_tests::Child;

use crate::samples::Samples;

/// Packets in one call of recvmmsg(2) and sendmmsg(2), as name servers that use them have it.
const BATCH: usize = 32;

/// Largest packet.
const PACKET: usize = 4096;

/// Bytes of a usual question.
const QUESTION: usize = 40;

/// Past this a packet is lost, which does not happen on loopback.
const ANSWERED: Duration = Duration::from_secs(5);

/// Third octet of a DNS header: this is a response.
const RESPONSE: u8 = 0x80;

/// Sends packets back until it is killed.
#[derive(Args)]
pub(crate) struct Echo {
    /// Many packets in one system call.
    #[arg(long)]
    batched: bool,
}

impl Echo {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        println!("{}", socket.local_addr()?);
        std::io::stdout().flush()?;
        if self.batched { batched(&socket) } else { one_by_one(&socket) }
    }
}

fn one_by_one(socket: &UdpSocket) -> anyhow::Result<()> {
    let mut buffer = [0; PACKET];
    loop {
        let (length, from) = socket.recv_from(&mut buffer)?;
        mark(&mut buffer);
        socket.send_to(buffer.get(..length).unwrap_or_default(), from)?;
    }
}

fn batched(socket: &UdpSocket) -> anyhow::Result<()> {
    let mut buffers = vec![[0; PACKET]; BATCH];
    let mut incoming = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    let mut outgoing = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    loop {
        let received: Vec<(usize, Option<SockaddrIn>)> = {
            let mut slices: Vec<_> = buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
            let flags = MsgFlags::MSG_WAITFORONE;
            let results = recvmmsg(socket.as_raw_fd(), &mut incoming, slices.iter_mut(), flags, None)?;
            results.map(|packet| (packet.bytes, packet.address)).collect()
        };
        buffers.iter_mut().take(received.len()).for_each(mark);
        let lengths = received.iter().map(|(length, _)| *length);
        let packets = buffers.iter().zip(lengths).map(|(buffer, length)| buffer.get(..length).unwrap_or_default());
        let slices: Vec<_> = packets.map(|packet| [IoSlice::new(packet)]).collect();
        let addresses: Vec<_> = received.iter().map(|(_, address)| *address).collect();
        sendmmsg(socket.as_raw_fd(), &mut outgoing, &slices, &addresses, [], MsgFlags::empty())?;
    }
}

fn mark(packet: &mut [u8; PACKET]) {
    if let Some(flags) = packet.get_mut(2) {
        *flags |= RESPONSE;
    }
}

/// Milliseconds from a question over UDP until its answer, one at a time.
pub(crate) fn question(count: usize) -> anyhow::Result<Samples> {
    let echo = Echoing::start(false, 0)?;
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(echo.address())?;
    socket.set_read_timeout(Some(ANSWERED))?;
    let mut buffer = [0; PACKET];
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let started = Instant::now();
        socket.send(&[0; QUESTION])?;
        socket.recv(&mut buffer).context("the echo does not answer")?;
        times.push(started.elapsed());
    }
    Ok(Samples::new(&times))
}

/// One that runs, on one processor.
pub(crate) struct Echoing {
    child: Child,
    address: SocketAddr,
}

impl Echoing {
    pub(crate) fn start(batched: bool, cpu: usize) -> anyhow::Result<Self> {
        let this = std::env::current_exe()?;
        let mut child = Child::spawn(Path::new("/usr/bin/taskset"), |command| {
            command.args(["-c", &cpu.to_string()]).arg(this).arg("echo").stdout(Stdio::piped());
            if batched {
                command.arg("--batched");
            }
        })?;
        let mut line = String::new();
        BufReader::new(child.take_stdout().context("standard output is piped")?).read_line(&mut line)?;
        let address = line.trim().parse().context("the echo did not start")?;
        Ok(Self { child, address })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}
