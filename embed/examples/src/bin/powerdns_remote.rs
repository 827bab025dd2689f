//! A zonecast edge behind PowerDNS: its remote backend over a Unix socket.
//!
//! ```text
//! cargo run -p zonecast-embed-examples --bin powerdns_remote -- IDENTITY CORE:PORT DATA /run/zonecast.sock
//! pdns_server --launch=remote --remote-connection-string=unix:path=/run/zonecast.sock --zone-cache-refresh-interval=0
//! ```
//! PowerDNS asks for records name by name and builds answers itself, so it is told what a name has of its own, never what
//! a wildcard makes. One line of JSON is a question, one line its answer:
//! <https://doc.powerdns.com/authoritative/backends/remote.html>.
#![allow(clippy::print_stdout, reason = "an example")]

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use zonecast_edge::{EdgeStates, Found, Name, Reading, Rrset, Rtype, Scratch};
use zonecast_ingest::{format_rdata, parse_type};

/// Longest question in bytes: a name takes at most some thousand when every byte of it is escaped.
const MAX_QUESTION: u64 = 64 * 1024;

#[derive(Debug, Deserialize)]
struct Question {
    method: String,
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Debug, Default, Deserialize)]
struct Parameters {
    #[serde(default)]
    qname: String,
    #[serde(default)]
    qtype: String,
    #[serde(default)]
    name: String,
}

/// What one connection answers from.
struct Backend {
    states: EdgeStates,
    scratch: Scratch,
}

impl Backend {
    fn answer(&mut self, question: &Question) -> Value {
        let Parameters { qname, qtype, name } = &question.parameters;
        let result = match question.method.as_str() {
            "initialize" => Some(json!(true)),
            "lookup" => self.lookup(qname, qtype),
            "getDomainInfo" => self.domain(name),
            // Of DNSSEC, transfers and updates it knows nothing; PowerDNS takes that for no.
            _ => None,
        };
        json!({ "result": result.unwrap_or(json!(false)) })
    }

    /// Every record of a name and type.
    fn lookup(&mut self, qname: &str, qtype: &str) -> Option<Value> {
        let name: Name = qname.parse().ok()?;
        let reading = self.states.read();
        let types = match qtype {
            "ANY" => self.types(&reading, &name)?,
            one => vec![parse_type(one).ok()?],
        };
        let mut records = Vec::new();
        for rtype in types {
            let found = reading.lookup(&mut self.scratch, &name, rtype).ok()?.map(|lookup| lookup.found);
            match found {
                Some(Found::Data { rrset, wildcard: None, .. }) => push(&mut records, qname, rtype, &rrset),
                Some(Found::Alias { rrset, wildcard: None }) if qtype == "CNAME" => {
                    push(&mut records, qname, Rtype::CNAME, &rrset);
                }
                Some(Found::Cut { cut, .. })
                    if rtype == Rtype::NS && cut_is_at(&reading, &mut Scratch::new(), &name) =>
                {
                    push(&mut records, qname, rtype, &cut.ns);
                }
                Some(Found::Cut { cut, .. }) if matches!(rtype, Rtype::A | Rtype::AAAA) => {
                    let glue = cut.glue().flatten().find(|glue| Name::from_wire(glue.name).is_ok_and(|of| of == name));
                    let addresses = glue.and_then(|glue| if rtype == Rtype::A { glue.a } else { glue.aaaa });
                    addresses.iter().for_each(|rrset| push(&mut records, qname, rtype, rrset));
                }
                _ => {}
            }
        }
        Some(json!(records))
    }

    /// The types of a name; what may be glue beneath a cut is asked for as well.
    fn types(&mut self, reading: &Reading, name: &Name) -> Option<Vec<Rtype>> {
        let types = reading.types(&mut self.scratch, name).ok()?;
        Some(types.map_or_else(|| vec![Rtype::A, Rtype::AAAA], |types| types.iter().collect()))
    }

    fn domain(&mut self, zone: &str) -> Option<Value> {
        let name: Name = zone.parse().ok()?;
        let reading = self.states.read();
        let found = reading.lookup(&mut self.scratch, &name, Rtype::SOA).ok()??;
        let is_apex = found.zone.apex_labels == name.label_count();
        is_apex.then(|| json!({ "id": 1, "zone": zone, "kind": "native", "serial": 0 }))
    }
}

/// Whether a delegation is at this name, and not above it.
fn cut_is_at(reading: &Reading, scratch: &mut Scratch, name: &Name) -> bool {
    reading.types(scratch, name).is_ok_and(|types| types.is_some())
}

fn push(records: &mut Vec<Value>, qname: &str, rtype: Rtype, rrset: &Rrset<'_>) {
    let mut one = |rdata: &[u8]| {
        let content = format_rdata(rtype, rdata);
        records.push(json!({ "qname": qname, "qtype": rtype.to_string(), "content": content, "ttl": rrset.ttl }));
    };
    match rtype {
        Rtype::A => rrset.fixed(4).for_each(&mut one),
        Rtype::AAAA => rrset.fixed(16).for_each(&mut one),
        _ => rrset.rdata().iter().for_each(&mut one),
    }
}

async fn serve(stream: UnixStream, mut backend: Backend) -> anyhow::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let mut line = String::new();
    loop {
        line.clear();
        if (&mut read).take(MAX_QUESTION).read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let answer = match serde_json::from_str(&line) {
            Ok(question) => backend.answer(&question),
            Err(error) => json!({ "result": false, "log": [error.to_string()] }),
        };
        write.write_all(format!("{answer}\n").as_bytes()).await?;
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (edge, path) = zonecast_embed_examples::open_edge().await?;
    let listener = UnixListener::bind(path)?;
    println!("ready");
    loop {
        let (stream, _) = listener.accept().await?;
        let backend = Backend { states: edge.states().clone(), scratch: Scratch::with_cache(4 << 20) };
        tokio::spawn(serve(stream, backend));
    }
}
