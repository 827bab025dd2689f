//! One way of a stream between two machines: messages arrive in order, late, or not while the way is cut.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use openraft::{AsyncRuntime as _, Instant as _};
use openraft_rt_sim::{SimInstant, SimRuntime};
use tokio::sync::Notify;

use super::net::Net;
use super::run::Power;
use crate::environment::{MessageReceiver, MessageSender};

/// Between two looks whether a cut is healed.
const LOOK_EVERY: Duration = Duration::from_millis(15);
/// A connection over which something does not arrive for so long is given up.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(3);

/// A machine, in one run.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) name: Arc<str>,
    pub(crate) power: Power,
}

impl Place {
    pub(crate) fn is(&self, name: &str) -> bool {
        &*self.name == name
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) from: Place,
    pub(crate) to: Place,
    net: Net,
    content: Mutex<Content>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Content {
    /// Each with the time at which it arrives.
    messages: VecDeque<(SimInstant, Bytes)>,
    last: Option<SimInstant>,
    is_finished: bool,
    is_broken: bool,
}

enum Next {
    Nothing,
    Ended,
    Broken,
    At(SimInstant),
}

impl Pipe {
    pub(crate) fn new(net: &Net, from: Place, to: Place) -> Arc<Self> {
        let pipe = Arc::new(Self { from, to, net: net.clone(), content: Mutex::default(), changed: Notify::new() });
        net.add(&pipe);
        pipe
    }

    pub(crate) fn reset(&self) {
        self.content.lock().unwrap().is_broken = true;
        self.changed.notify_one();
    }

    fn push(&self, message: Bytes) {
        let mut content = self.content.lock().unwrap();
        let arrives = SimInstant::now() + self.net.delay();
        let at = content.last.map_or(arrives, |last| last.max(arrives));
        content.last = Some(at);
        content.messages.push_back((at, message));
        drop(content);
        self.changed.notify_one();
    }

    fn next(&self) -> Next {
        let content = self.content.lock().unwrap();
        match content.messages.front() {
            _ if content.is_broken || !self.to.power.is_on() => Next::Broken,
            Some((at, _)) => Next::At(*at),
            None if content.is_finished => Next::Ended,
            None => Next::Nothing,
        }
    }

    fn is_open(&self) -> bool {
        self.from.power.is_on() && self.net.is_open(&self.from.name, &self.to.name)
    }
}

/// The end that is written to.
#[derive(Debug)]
pub(crate) struct SimSender(pub(crate) Arc<Pipe>);

impl MessageSender for SimSender {
    async fn send(&mut self, messages: Vec<Bytes>) -> io::Result<()> {
        if !self.0.from.power.is_on() || self.0.content.lock().unwrap().is_broken {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        messages.into_iter().for_each(|message| self.0.push(message));
        Ok(())
    }

    fn finish(self) {
        self.0.content.lock().unwrap().is_finished = true;
        self.0.changed.notify_one();
    }
}

impl Drop for SimSender {
    fn drop(&mut self) {
        if !self.0.content.lock().unwrap().is_finished {
            self.0.reset();
        }
    }
}

/// The end that is read from.
#[derive(Debug)]
pub(crate) struct SimReceiver(pub(crate) Arc<Pipe>);

impl MessageReceiver for SimReceiver {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        let pipe = &self.0;
        let mut waited = Duration::ZERO;
        loop {
            match pipe.next() {
                Next::Broken => return Err(io::ErrorKind::ConnectionReset.into()),
                Next::Ended => return Ok(None),
                Next::Nothing => pipe.changed.notified().await,
                Next::At(at) if at > SimInstant::now() => SimRuntime::sleep_until(at).await,
                Next::At(_) if pipe.is_open() => {
                    let message = pipe.content.lock().unwrap().messages.pop_front();
                    return Ok(message.map(|(_, message)| message));
                }
                Next::At(_) => {
                    SimRuntime::sleep(LOOK_EVERY).await;
                    waited += LOOK_EVERY;
                    if waited > GIVEN_UP_AFTER {
                        pipe.reset();
                    }
                }
            }
        }
    }
}

impl Drop for SimReceiver {
    fn drop(&mut self) {
        self.0.reset();
    }
}
