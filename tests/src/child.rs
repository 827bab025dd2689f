//! A server as a child process that cannot outlive the tests.
//!
//! `setpriv --pdeathsig KILL` asks the kernel to kill the child when the thread that started it ends, so one thread
//! that lives as long as the process starts them all. A child that ends in time is ended by [`Child::kill`] or drop.

use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{OnceLock, mpsc};
use std::time::Instant;

use crate::poll_until;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// A running child in a process group of its own.
pub struct Child {
    inner: std::process::Child,
}

type Job = (Command, mpsc::Sender<io::Result<std::process::Child>>);

impl Child {
    /// Starts `program` under `setpriv`; `configure` adds arguments, environment and streams.
    ///
    /// # Errors
    /// `setpriv` (package `util-linux`) cannot be started. A missing `program` shows as a child that ends with 127.
    pub fn spawn(program: &Path, configure: impl FnOnce(&mut Command)) -> io::Result<Self> {
        static STARTER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
        let starter = STARTER.get_or_init(|| {
            let (jobs, queue) = mpsc::channel::<Job>();
            std::thread::spawn(move || {
                for (mut command, done) in queue {
                    let _ = done.send(command.spawn());
                }
            });
            jobs
        });
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program).stdin(Stdio::null()).process_group(0);
        configure(&mut command);
        let (done, started) = mpsc::channel();
        starter.send((command, done)).expect("the starter lives as long as the process");
        let inner = started.recv().expect("the starter answers every job")?;
        Ok(Self { inner })
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.inner.id()
    }

    /// Its standard output, if that was piped; once.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.inner.stdout.take()
    }

    /// Its exit status once it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.inner.try_wait().ok().flatten()
    }

    /// Waits for its end until `deadline`.
    pub fn wait_until(&mut self, deadline: Instant) -> Option<ExitStatus> {
        poll_until(deadline, || self.ended())
    }

    /// Asks it to end (SIGTERM).
    pub fn terminate(&self) {
        let _ = kill_process(self.pid(), Signal::TERM);
    }

    /// Stops it where it is (SIGSTOP), until [`Child::resume`].
    pub fn pause(&self) {
        let _ = kill_process(self.pid(), Signal::STOP);
    }

    /// Lets it go on (SIGCONT).
    pub fn resume(&self) {
        let _ = kill_process(self.pid(), Signal::CONT);
    }

    /// Ends it and what it started (SIGKILL), and waits for that.
    pub fn kill(&mut self) {
        let _ = kill_process_group(self.pid(), Signal::KILL);
        let _ = self.inner.wait();
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.inner)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port of 127.0.0.1 that is free for UDP and TCP right now, below the range from which the kernel picks ports of
/// clients, so that no client takes it before the server that it is for does.
///
/// # Panics
/// None of many ports is free.
#[must_use]
pub fn free_port() -> u16 {
    const FIRST: u32 = 12_000;
    const COUNT: u32 = 19_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Processes that run at the same time begin at different ports.
    let start = std::process::id().wrapping_mul(7919);
    for _ in 0..1000 {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let offset = start.wrapping_add(step.wrapping_mul(13)) % COUNT;
        let port = u16::try_from(FIRST + offset).expect("both constants are small");
        let address = (Ipv4Addr::LOCALHOST, port);
        if UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok() {
            return port;
        }
    }
    panic!("no free port on 127.0.0.1")
}
