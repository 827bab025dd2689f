//! A zonecast edge without DNS: a catalogue of firewall rules that teams ship to all machines.
//!
//! ```text
//! zonecast kv create rules
//! zonecast kv publish rules eu ./rules-of-eu --wait all
//! cargo run -p zonecast-embed-examples --bin rules_catalogue -- IDENTITY CORE:PORT DATA rules/eu
//! ```
//! Every file of the group is a part of the catalogue, in the order of their paths. A line is `allow` or `deny`, a network
//! and, if it is not for all, a port: `deny 192.0.2.0/24 22`. The first line that fits decides. Each line of standard
//! input is an address and a port, and is answered with the decision; whenever the catalogue changes, all of it is read from
//! one state, so that no decision is made from half a catalogue.
#![allow(clippy::print_stdout, reason = "an example")]

use std::net::IpAddr;
use std::ops::ControlFlow;

use anyhow::{Context as _, ensure};
use tokio::sync::mpsc;
use zonecast_edge::{DnsEdge, KeyspaceMark, KeyspaceName};
use zonecast_embed_examples::open_edge;

/// A line of the catalogue.
#[derive(Debug)]
struct Rule {
    allows: bool,
    network: IpAddr,
    bits: u8,
    port: Option<u16>,
    /// Where it stands.
    file: String,
}

/// All rules of one state.
#[derive(Debug, Default)]
struct Catalogue {
    rules: Vec<Rule>,
    revision: u64,
    mark: Option<KeyspaceMark>,
}

impl Rule {
    fn parse(file: &str, line: &str) -> anyhow::Result<Self> {
        let mut words = line.split_whitespace();
        let mut word = || words.next().with_context(|| format!("{file}: `{line}` lacks something"));
        let allows = match word()? {
            "allow" => true,
            "deny" => false,
            other => anyhow::bail!("{file}: `{other}` is neither allow nor deny"),
        };
        let network = word()?;
        let (network, bits) = network.split_once('/').with_context(|| format!("{file}: `{network}` has no length"))?;
        let (network, bits) = (network.parse()?, bits.parse()?);
        let port = words.next().map(str::parse).transpose()?;
        Ok(Self { allows, network, bits, port, file: file.to_owned() })
    }

    fn fits(&self, address: IpAddr, port: u16) -> bool {
        let differ = match (self.network, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => u128::from(network.to_bits() ^ address.to_bits()) << 96,
            (IpAddr::V6(network), IpAddr::V6(address)) => network.to_bits() ^ address.to_bits(),
            _ => return false,
        };
        differ.leading_zeros() >= u32::from(self.bits) && self.port.is_none_or(|only| only == port)
    }
}

impl Catalogue {
    /// All of one state of the edge.
    fn read(edge: &DnsEdge, keyspace: &KeyspaceName, group: &str) -> anyhow::Result<Self> {
        let (reading, mut catalogue, mut wrong) = (edge.read(), Self::default(), None);
        let Some(keyspace) = reading.keyspace(keyspace)? else { return Ok(catalogue) };
        (catalogue.revision, catalogue.mark) = (keyspace.revision(), Some(keyspace.mark()));
        keyspace.list(format!("{group}/").as_bytes(), |key, value, _| {
            let (file, text) = (String::from_utf8_lossy(key), String::from_utf8_lossy(value));
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
            match lines.map(|line| Rule::parse(&file, line)).collect::<anyhow::Result<Vec<_>>>() {
                Ok(rules) => {
                    catalogue.rules.extend(rules);
                    ControlFlow::Continue(())
                }
                Err(error) => {
                    wrong = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        wrong.map_or(Ok(catalogue), Err)
    }

    fn decide(&self, question: &str) -> anyhow::Result<String> {
        let (address, port) = question.split_once(' ').context("say an address and a port")?;
        let (address, port) = (address.parse()?, port.trim().parse()?);
        Ok(match self.rules.iter().find(|rule| rule.fits(address, port)) {
            Some(rule) => format!("{question}: {}, {}", if rule.allows { "allow" } else { "deny" }, rule.file),
            None => format!("{question}: deny, no rule"),
        })
    }
}

/// The lines of standard input, which a thread reads.
fn questions() -> mpsc::Receiver<String> {
    let (sender, questions) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    questions
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (edge, from) = open_edge().await?;
    let (keyspace, group) = from.split_once('/').context("the last argument is KEYSPACE/GROUP")?;
    ensure!(!group.is_empty(), "the last argument is KEYSPACE/GROUP");
    let keyspace: KeyspaceName = keyspace.parse()?;
    let mut catalogue = Catalogue::default();
    let mut questions = questions();
    let mut seen = None;
    loop {
        tokio::select! {
            changed = edge.keyspace_changed(&keyspace, seen) => {
                seen = changed?;
                // A catalogue that cannot be read leaves the last good one.
                match Catalogue::read(&edge, &keyspace, group) {
                    Ok(next) => {
                        (seen, catalogue) = (next.mark, next);
                        println!("revision {}: {} rules", catalogue.revision, catalogue.rules.len());
                    }
                    Err(error) => println!("the last good catalogue stays: {error}"),
                }
            }
            question = questions.recv() => match question {
                Some(question) => println!("{}", catalogue.decide(&question).unwrap_or_else(|error| error.to_string())),
                None => break,
            },
        }
    }
    edge.shutdown().await?;
    Ok(())
}
