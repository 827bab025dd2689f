//! `zonecast compare`: checks that two name servers give the same answers before one replaces the other.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use serde::Serialize;
use zonecast_compare::{
    AskError, Asker, Breadth, Mode, Question, Recursion, Reply, Rr, Strictness, ZoneData, differences, questions_at,
    read_questions, transfer,
};
use zonecast_ingest::read_zone_bytes;
use zonecast_records::Name;

use super::Context;
use zonecast_service::Progress;
use zonecast_service::exit::{Code, Failure, Outcome};
use zonecast_service::zone_file;

/// The port of DNS.
const PORT: u16 = 53;

/// Number of questions that are sent and compared at a time: enough to keep both servers busy within little memory.
const CHUNK: usize = 8_192;

/// Most questions of a file.
const MAX_QUERIES: usize = 50_000_000;

/// Differences of one kind that are shown; the rest are counted.
const SHOWN: usize = 3;

/// In zones with at most this many names, every common type is asked for at every name.
const SMALL: usize = 1_000;

#[derive(Debug, Args)]
pub(super) struct Compare {
    /// A name server: address or host, and the port if it is not 53.
    #[arg(value_name = "A")]
    one: String,
    /// The other name server.
    #[arg(value_name = "B")]
    other: String,
    /// Zone to compare; may be given several times. The questions are made from its records, which come from a zone
    /// transfer (AXFR) from A, or from B if A refuses.
    #[arg(long, value_name = "ZONE")]
    zone: Vec<String>,
    /// Compare every zone of the core.
    #[arg(long, conflicts_with_all = ["zone", "file"])]
    all: bool,
    /// Take the records from the core instead of a zone transfer.
    #[arg(long)]
    from_core: bool,
    /// Take the records of the zone from this zone file instead of a zone transfer; for a single zone.
    #[arg(long, value_name = "FILE", requires = "zone", conflicts_with = "from_core")]
    file: Option<PathBuf>,
    /// Send the queries of this file: captured packets (pcap or pcapng), or lines with a name and a type, as dnsperf
    /// reads them. `-` reads standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["zone", "all"])]
    queries: Option<PathBuf>,
    /// Ask about every N-th name only.
    #[arg(long, value_name = "N", default_value_t = 1)]
    every: usize,
    /// Send every question also with the DNSSEC bit (DO=1).
    #[arg(long)]
    dnssec: bool,
    /// Send every question over TCP too. Questions with a truncated answer are always repeated over TCP.
    #[arg(long)]
    tcp: bool,
    /// Compare also parts that the RFCs leave to the server: NS records beside an answer, answers to ANY and RRSIG
    /// queries, the serial, and the TTL of the SOA in negative answers to SOA queries.
    #[arg(long)]
    strict: bool,
}

/// The result of a comparison.
#[derive(Debug, Default, Serialize)]
struct Comparison {
    one: String,
    other: String,
    zones: usize,
    /// A question counts once for each way in which it was sent.
    questions: u64,
    different: u64,
    unanswered: u64,
    seconds: f64,
    kinds: Vec<Kind>,
}

/// Differences in the same parts of an answer.
#[derive(Debug, Default, Serialize)]
struct Kind {
    what: String,
    count: u64,
    examples: Vec<Example>,
}

#[derive(Debug, Serialize)]
struct Example {
    question: String,
    over: String,
    one: String,
    other: String,
}

/// A comparison under way.
struct Comparing {
    askers: [Asker; 2],
    strictness: Strictness,
    modes: Vec<Mode>,
    progress: Progress,
    questions: u64,
    different: u64,
    unanswered: u64,
    kinds: BTreeMap<String, Kind>,
    pending: Vec<Question>,
}

impl Compare {
    pub(super) fn run(&self, context: &Context) -> Outcome {
        if self.zone.is_empty() && !self.all && self.queries.is_none() {
            return Err(Failure::usage("nothing to ask: name a zone with --zone, or --all, or a file with --queries"));
        }
        if self.file.is_some() && self.zone.len() > 1 {
            return Err(Failure::usage("--file goes with a single --zone"));
        }
        let servers = [resolve(&self.one)?, resolve(&self.other)?];
        let started = Instant::now();
        let mut comparing = Comparing::new(self, servers);
        let zones = match &self.queries {
            Some(file) => {
                comparing.add_all(read_list(file)?)?;
                0
            }
            None => self.ask_zones(context, servers, &mut comparing)?,
        };
        comparing.ask()?;
        let result = comparing.finish(self, zones, started);
        context.output.show(&result, |result, out| show(result, out))?;
        match result.different + result.unanswered {
            0 => Ok(()),
            _ => Err(Failure::failed(format_args!(
                "{} of {} questions are answered differently, {} not at all",
                result.different, result.questions, result.unanswered
            ))),
        }
    }

    fn ask_zones(&self, context: &Context, servers: [SocketAddr; 2], comparing: &mut Comparing) -> Outcome<usize> {
        let zones = if self.all { all_zones(context)? } else { self.zone.clone() };
        for zone in &zones {
            let data = self.records(context, servers, zone)?;
            let breadth = if data.nodes().count() <= SMALL { Breadth::Full } else { Breadth::Narrow };
            for (name, _) in data.nodes().step_by(self.every.max(1)) {
                // Names of other zones are none of these servers'.
                let asked = questions_at(&data, name, breadth).into_iter();
                let strictness = comparing.strictness;
                let asks =
                    |question: &Question| question.name.ends_with(&data.apex) && strictness.asks_about(&data, question);
                comparing.add_all(asked.filter(asks))?;
            }
        }
        Ok(zones.len())
    }

    fn records(&self, context: &Context, servers: [SocketAddr; 2], zone: &str) -> Outcome<ZoneData> {
        let apex: Name = zone.parse().map_err(|error| Failure::usage(format_args!("zone `{zone}`: {error}")))?;
        if let Some(file) = &self.file {
            return from_text(&zone_file::read_flat(file, zone, None)?, &apex);
        }
        if self.from_core || self.all {
            return from_text(&context.client.export_zone(zone)?, &apex);
        }
        let name = domain_name(&apex);
        let mut why = Vec::new();
        for server in servers {
            match transfer(server, &name) {
                Ok(data) => return Ok(data),
                Err(error) => why.push(format!("{server}: {error}")),
            }
        }
        Err(Failure::failed(format_args!(
            "zone {apex} cannot be transferred ({}): allow transfers from here, or give --file or --from-core",
            why.join("; ")
        )))
    }
}

impl Comparing {
    fn new(compare: &Compare, servers: [SocketAddr; 2]) -> Self {
        let mut modes = vec![Mode::Edns(1232)];
        modes.extend(compare.tcp.then_some(Mode::Tcp));
        modes.extend(compare.dnssec.then_some(Mode::Dnssec(1232)));
        modes.extend((compare.dnssec && compare.tcp).then_some(Mode::DnssecTcp));
        Self {
            askers: servers.map(|server| Asker::new(server, Recursion::Off)),
            strictness: if compare.strict { Strictness::Everything } else { Strictness::Meaning },
            modes,
            progress: Progress::new("comparing", "questions", 0),
            questions: 0,
            different: 0,
            unanswered: 0,
            kinds: BTreeMap::new(),
            pending: Vec::with_capacity(CHUNK),
        }
    }

    fn add_all(&mut self, questions: impl IntoIterator<Item = Question>) -> Outcome {
        for question in questions {
            if self.strictness.asks(&question) {
                self.pending.push(question);
            }
            if self.pending.len() >= CHUNK {
                self.ask()?;
            }
        }
        Ok(())
    }

    /// Sends the pending questions in every way.
    fn ask(&mut self) -> Outcome {
        let mut pending = std::mem::take(&mut self.pending);
        pending.sort();
        pending.dedup();
        for mode in self.modes.clone() {
            let truncated = self.ask_in(&pending, mode)?;
            let over_tcp = if mode == Mode::Dnssec(1232) { Mode::DnssecTcp } else { Mode::Tcp };
            if !self.modes.contains(&over_tcp) {
                self.ask_in(&truncated, over_tcp)?;
            }
        }
        pending.clear();
        self.pending = pending;
        Ok(())
    }

    /// Sends questions, compares the answers, and returns the questions whose answers were truncated.
    fn ask_in(&mut self, questions: &[Question], mode: Mode) -> Outcome<Vec<Question>> {
        self.progress.expect(u64::try_from(questions.len()).unwrap_or_default());
        let [one, other] = self.askers;
        let ask = |asker: Asker| asker.ask_each(questions, mode);
        let (one, other) = std::thread::scope(|scope| {
            let other = scope.spawn(move || ask(other));
            (ask(one), other.join().expect("asking does not panic"))
        });
        let unreachable = |error: AskError| Failure::new(Code::Unreachable, error);
        let (one, other) = (one.map_err(unreachable)?, other.map_err(unreachable)?);
        let mut truncated = Vec::new();
        for (question, (one, other)) in questions.iter().zip(one.into_iter().zip(other)) {
            if let (Ok(one), Ok(other)) = (&one, &other)
                && (one.tc || other.tc)
                && !mode.is_tcp()
            {
                truncated.push(question.clone());
            }
            self.judge(question, mode, one, other);
        }
        self.progress.add(u64::try_from(questions.len()).unwrap_or_default());
        Ok(truncated)
    }

    fn judge(&mut self, question: &Question, mode: Mode, one: Result<Reply, AskError>, other: Result<Reply, AskError>) {
        self.questions += 1;
        let said = |reply: &Result<Reply, AskError>| match reply {
            Ok(reply) => reply.to_string(),
            Err(error) => error.to_string(),
        };
        let (what, one, other) = match (one, other) {
            (Ok(one), Ok(other)) => {
                let (one, other) = (self.strictness.view(question, one), self.strictness.view(question, other));
                let aspects = differences(&one, &other);
                if aspects.is_empty() {
                    return;
                }
                self.different += 1;
                let aspects: Vec<&str> = aspects.into_iter().map(|aspect| aspect.as_str()).collect();
                (aspects.join(", "), one.to_string(), other.to_string())
            }
            (one, other) => {
                self.unanswered += 1;
                let who = match (&one, &other) {
                    (Err(_), Err(_)) => "no sound answer from either",
                    (Err(_), Ok(_)) => "no sound answer from A",
                    _ => "no sound answer from B",
                };
                (who.to_owned(), said(&one), said(&other))
            }
        };
        let kind = self.kinds.entry(what.clone()).or_insert_with(|| Kind { what, ..Kind::default() });
        kind.count += 1;
        if kind.examples.len() < SHOWN {
            kind.examples.push(Example { question: question.to_string(), over: name_of(mode).into(), one, other });
        }
    }

    fn finish(self, compare: &Compare, zones: usize, started: Instant) -> Comparison {
        self.progress.finish();
        let mut kinds: Vec<Kind> = self.kinds.into_values().collect();
        kinds.sort_by_key(|kind| std::cmp::Reverse(kind.count));
        Comparison {
            one: compare.one.clone(),
            other: compare.other.clone(),
            zones,
            questions: self.questions,
            different: self.different,
            unanswered: self.unanswered,
            seconds: started.elapsed().as_secs_f64(),
            kinds,
        }
    }
}

fn name_of(mode: Mode) -> &'static str {
    match mode {
        Mode::Plain | Mode::Edns(_) => "UDP",
        Mode::Tcp => "TCP",
        Mode::Dnssec(_) => "UDP, DO=1",
        Mode::DnssecTcp => "TCP, DO=1",
    }
}

fn show(result: &Comparison, out: &mut dyn Write) -> io::Result<()> {
    let Comparison { one, other, zones, questions, different, unanswered, seconds, kinds } = result;
    for Kind { what, count, examples } in kinds {
        writeln!(out, "{count} x {what}")?;
        for Example { question, over, one, other } in examples {
            writeln!(out, "  {question} over {over}\n    A: {one}\n    B: {other}")?;
        }
    }
    #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = *questions as f64 / seconds.max(0.001);
    writeln!(
        out,
        "A {one}, B {other}: {zones} zones, {questions} questions in {seconds:.1} s ({rate:.0}/s), {different} answered \
         differently, {unanswered} not at all"
    )
}

fn resolve(server: &str) -> Outcome<SocketAddr> {
    let bare = server.parse().map(|address| SocketAddr::new(address, PORT)).ok();
    let with_port = || server.to_socket_addrs().ok().and_then(|mut found| found.next());
    let without = || (server, PORT).to_socket_addrs().ok().and_then(|mut found| found.next());
    bare.or_else(with_port).or_else(without).ok_or_else(|| {
        Failure::usage(format_args!("`{server}` is no name server: give ADDRESS, ADDRESS:PORT, [IPv6]:PORT or HOST"))
    })
}

fn read_list(file: &Path) -> Outcome<Vec<Question>> {
    let unreadable =
        |error: &dyn std::fmt::Display| Failure::new(Code::Unreadable, format_args!("{}: {error}", file.display()));
    let list = if file.as_os_str() == "-" {
        read_questions(BufReader::new(io::stdin()), MAX_QUERIES)
    } else {
        let file = File::open(file).map_err(|error| unreadable(&error))?;
        read_questions(BufReader::new(file), MAX_QUERIES)
    };
    list.map_err(|error| unreadable(&error))
}

fn all_zones(context: &Context) -> Outcome<Vec<String>> {
    let mut all = Vec::new();
    context.client.each_page(|page| {
        all.extend(page.zones.into_iter().map(|zone| zone.zone));
        Outcome::Ok(())
    })?;
    Ok(all)
}

fn from_text(text: &[u8], apex: &Name) -> Outcome<ZoneData> {
    let mut records = Vec::new();
    let read = read_zone_bytes("zone", text, apex, &mut |record, _| {
        let mut owner = domain_name(record.owner);
        owner.make_canonical();
        records.push(Rr { owner, rtype: record.rtype, rdata: record.rdata.to_vec(), ttl: record.ttl });
        ControlFlow::Continue(())
    });
    read.map_err(|_| Failure::failed(format_args!("zone {apex} cannot be read; `zonecast zone check` says why")))?;
    Ok(ZoneData::new(domain_name(apex), records))
}

fn domain_name(name: &Name) -> zonecast_compare::Name {
    zonecast_compare::Name::from_octets(name.as_wire().to_vec()).expect("names of ours are names")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_addresses_with_or_without_a_port() {
        for (text, address) in [
            ("192.0.2.1", "192.0.2.1:53"),
            ("192.0.2.1:5300", "192.0.2.1:5300"),
            ("2001:db8::1", "[2001:db8::1]:53"),
            ("[2001:db8::1]:5300", "[2001:db8::1]:5300"),
        ] {
            assert_eq!(resolve(text).unwrap(), address.parse().unwrap());
        }
        assert!(resolve("no such host").is_err());
    }
}
