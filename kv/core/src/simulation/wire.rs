//! Streams to other machines of the simulation.

use std::io;
use std::time::Duration;

use openraft::AsyncRuntime as _;
use openraft_rt_sim::SimRuntime;

use super::net::Net;
use super::pipe::{Pipe, Place, SimReceiver, SimSender};
use crate::environment::Wire;
use crate::member::Member;

/// A machine that does not answer is dialled for so long.
const OPEN_WITHIN: Duration = Duration::from_secs(5);

/// The way out of one machine.
#[derive(Clone, Debug)]
pub(crate) struct SimWire {
    pub(crate) net: Net,
    pub(crate) from: Place,
}

impl Wire for SimWire {
    type Sender = SimSender;
    type Receiver = SimReceiver;

    async fn open(&self, to: &Member, kind: u8) -> io::Result<(SimSender, SimReceiver)> {
        let net = &self.net;
        SimRuntime::sleep(net.delay() + net.delay()).await;
        let from = &self.from;
        if !from.power.is_on() {
            return Err(io::ErrorKind::NotConnected.into());
        }
        let reaches = |name: &str| net.is_open(&from.name, name) && net.is_open(name, &from.name);
        let Some(served) = net.served(&to.address).filter(|served| reaches(&served.name)) else {
            SimRuntime::sleep(OPEN_WITHIN).await;
            return Err(io::ErrorKind::TimedOut.into());
        };
        // The certificate must have the name.
        if !to.name.is_empty() && *to.name != *served.name {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let there = Place { name: served.name, power: served.power };
        let forth = Pipe::new(net, from.clone(), there.clone());
        let back = Pipe::new(net, there, from.clone());
        let (sender, receiver) = (SimSender(back.clone()), SimReceiver(forth.clone()));
        drop(SimRuntime::spawn(served.server.serve(from.name.to_string(), kind, sender, receiver)));
        Ok((SimSender(forth), SimReceiver(back)))
    }
}
