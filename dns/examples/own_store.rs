//! A DNS server over a store that somebody else fills: here, zone files that are read into memory once.
//!
//! ```text
//! cargo run -p zonecast-dns --example own_store -- 127.0.0.1:5353 example.com example.com.zone
//! dig @127.0.0.1 -p 5353 www.example.com
//! ```
//! Whoever has another store implements two traits: `View` says how its keys are read, `Answerer` hands out one state of it
//! for each burst of queries. There is no core and no network but that of DNS.

// What this program prints is for whoever runs it.
#![allow(clippy::print_stdout, reason = "an example")]

use std::error::Error;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;

use zonecast_builder::{Location, Settings, ZoneIdentity, ZoneSource};
use zonecast_dns::{Answerer, Bound, Limits, Metrics, ReaderSession, Server};
use zonecast_edge_reader::{Scratch, ZoneTable};
use zonecast_kv_proto::MemoryView;
use zonecast_records::{Generation, Name, ZoneId};

/// Keys and values in memory, and the zones that are among them.
pub(crate) struct OwnStore {
    view: MemoryView,
    zones: ZoneTable,
}

impl Answerer for OwnStore {
    type Session<'a> = ReaderSession<'a, &'a MemoryView>;

    fn session<'a>(&'a self, scratch: &'a mut Scratch) -> Self::Session<'a> {
        ReaderSession::new(&self.view, self.zones.clone(), scratch)
    }
}

impl OwnStore {
    /// Builds the keys of zones, given as apex and text of the zone file.
    pub(crate) fn build(zones: &[(String, String)]) -> Result<Self, Box<dyn Error>> {
        let mut view = MemoryView::new();
        for ((apex, text), number) in zones.iter().zip(1..) {
            let name: Name = apex.parse()?;
            let mut source = ZoneSource::new(name);
            let read = zonecast_ingest::read_zone_bytes(apex, text.as_bytes(), &name, &mut |record, location| {
                source.push(record, Location::new(location.line));
                ControlFlow::Continue(())
            });
            read.map_err(|errors| format!("zone {apex} cannot be read: {errors:?}"))?;
            // Every zone needs an id and a generation of its own: they say where its keys stand.
            let identity = ZoneIdentity { id: ZoneId::new(number), generation: Generation::new(number) };
            for batch in source.build(identity, &Settings::default())?.into_batches(1 << 20) {
                view.apply(&batch);
            }
        }
        let zones = ZoneTable::load(&view)?;
        Ok(Self { view, zones })
    }

    /// Answers at an address, over UDP and TCP, until the server is dropped. Must be called within a tokio runtime.
    pub(crate) fn serve(self, address: SocketAddr) -> Result<Server, Box<dyn Error>> {
        let metrics = Metrics::new(&prometheus::Registry::new())?;
        Ok(Bound::bind(address, NonZeroUsize::MIN)?.start(Arc::new(self), Limits::default(), metrics)?)
    }
}

#[allow(dead_code, reason = "its test serves without it")]
fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, rest @ ..] = arguments.as_slice() else {
        return Err("usage: own_store ADDRESS:PORT [ZONE FILE]...".into());
    };
    let (mut rest, mut zones) = (rest, Vec::new());
    while let [zone, file, more @ ..] = rest {
        zones.push((zone.clone(), std::fs::read_to_string(file)?));
        rest = more;
    }
    let store = OwnStore::build(&zones)?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let server = store.serve(address.parse()?)?;
        println!("answering at {}", server.local_addr());
        std::future::pending().await
    })
}
