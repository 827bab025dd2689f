//! Asks everybody everything and judges.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use anyhow::Context;

use crate::{Asker, Breadth, Case, Mode, Peer, Question, Recursion, Reply, Report, ZoneData, questions};

/// Asks `ours` and the peers all questions that the zones raise: over UDP without EDNS and with room for 1,232 bytes,
/// without DO and with it, and what was truncated there with room for 4,096 and over TCP. With full breadth everything
/// goes over TCP too.
///
/// # Errors
/// A server does not answer, or answers what no client would take.
pub fn compare_all(ours: SocketAddr, peers: &[Peer], zones: &[ZoneData], breadth: Breadth) -> anyhow::Result<Report> {
    let asked: BTreeSet<Question> = zones.iter().flat_map(|zone| questions(zone, breadth)).collect();
    let asked: Vec<Question> = asked.into_iter().collect();
    compare_asked(ours, peers, zones, &asked, breadth == Breadth::Full)
}

/// The same for these questions; all of them go over TCP as well, or only what was truncated.
///
/// # Errors
/// As [`compare_all`].
pub fn compare_asked(
    ours: SocketAddr,
    peers: &[Peer],
    zones: &[ZoneData],
    asked: &[Question],
    all_over_tcp: bool,
) -> anyhow::Result<Report> {
    let mut report = Report::default();
    let mut truncated = BTreeSet::new();
    let mut ask = |asked: &[Question], mode| -> anyhow::Result<Vec<Vec<Reply>>> {
        let replies = ask_everybody(ours, peers, asked, mode)?;
        judge(&mut report, peers, zones, asked, mode, &replies);
        Ok(replies)
    };
    for mode in [Mode::Plain, Mode::Edns(1232), Mode::Dnssec(1232)] {
        let replies = ask(asked, mode)?;
        let cut = asked.iter().enumerate().filter(|(at, _)| replies.iter().any(|of| of.get(*at).is_some_and(|r| r.tc)));
        truncated.extend(cut.map(|(_, question)| question.clone()));
    }
    let truncated: Vec<Question> = truncated.into_iter().collect();
    let over_tcp = if all_over_tcp { asked } else { &truncated };
    for (asked, mode) in [
        (truncated.as_slice(), Mode::Edns(4096)),
        (truncated.as_slice(), Mode::Dnssec(4096)),
        (over_tcp, Mode::Tcp),
        (over_tcp, Mode::DnssecTcp),
    ] {
        ask(asked, mode)?;
    }
    Ok(report)
}

/// Replies of our server first, then of each peer; each in the order of the questions.
fn ask_everybody(ours: SocketAddr, peers: &[Peer], asked: &[Question], mode: Mode) -> anyhow::Result<Vec<Vec<Reply>>> {
    let servers = std::iter::once((ours, "ours")).chain(peers.iter().map(|p| (p.address(), p.software().name())));
    std::thread::scope(|scope| {
        let running: Vec<_> = servers
            .map(|(address, name)| {
                (name, scope.spawn(move || Asker::new(address, Recursion::Alternating).ask_all(asked, mode)))
            })
            .collect();
        running
            .into_iter()
            .map(|(name, thread)| thread.join().expect("asking does not panic").with_context(|| name.to_owned()))
            .collect()
    })
}

fn judge(
    report: &mut Report,
    peers: &[Peer],
    zones: &[ZoneData],
    asked: &[Question],
    mode: Mode,
    replies: &[Vec<Reply>],
) {
    let Some((ours, others)) = replies.split_first() else { return };
    for (at, (question, ours)) in asked.iter().zip(ours).enumerate() {
        let peers: Vec<_> = peers
            .iter()
            .zip(others)
            .filter_map(|(peer, replies)| Some((peer.software().name(), replies.get(at)?)))
            .collect();
        report.add(&Case { question, mode, ours, peers: &peers, zones });
    }
}
