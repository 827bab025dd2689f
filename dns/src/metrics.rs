//! Metrics of the front end. Every label is resolved once, and a burst of queries is added at once.

use domain::base::iana::Rcode;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use zonecast_edge_reader::{AnswerClass, Transport};

use crate::tally::Tally;

/// Handles of all metrics of this crate.
#[derive(Clone, Debug)]
pub struct Metrics {
    udp_queries: IntCounter,
    tcp_queries: IntCounter,
    /// By the four bits of RCODE.
    responses: Vec<IntCounter>,
    truncated: IntCounter,
    send_failures: IntCounter,
    receive_failures: IntCounter,
    cache_hits: IntCounter,
    cache_misses: IntCounter,
    denied: IntCounter,
    limited_truncated: IntCounter,
    limited_dropped: IntCounter,
    /// By class, in the order of [`AnswerClass::ALL`].
    classes: Vec<ClassCounters>,
    pub(crate) tcp_connections: IntGauge,
    pub(crate) tcp_refused: IntCounter,
    pub(crate) tcp_given_up: IntCounter,
}

#[derive(Clone, Debug)]
struct ClassCounters {
    answers: IntCounter,
    names: IntCounter,
    zones: IntCounter,
    additional: IntCounter,
    proofs: IntCounter,
}

impl Metrics {
    /// Registers the metrics.
    ///
    /// # Errors
    /// Another metric of the same name is there.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counters.clone()))?;
            Ok::<_, prometheus::Error>(counters)
        };
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let queries = counters("zonecast_dns_queries_total", "Messages received, responses included.", &["transport"])?;
        let responses = counters("zonecast_dns_responses_total", "Answers by RCODE.", &["rcode"])?;
        let answers = counters("zonecast_dns_answers_total", "Queries by class of answer.", &["class"])?;
        let lookups = counters(
            "zonecast_dns_lookups_total",
            "Reads by class of answer, of the store or of what is kept of it; divide by zonecast_dns_answers_total.",
            &["class", "for"],
        )?;
        let cache_reads = counters(
            "zonecast_dns_cache_reads_total",
            "Reads of answers over UDP: a hit of what a thread keeps, or a miss that reads the store.",
            &["result"],
        )?;
        let limited = counters(
            "zonecast_dns_rate_limited_total",
            "Answers over the limit of their rate, by what was done instead.",
            &["action"],
        )?;
        let tcp_connections = IntGauge::new("zonecast_dns_tcp_connections", "Open TCP connections.")?;
        registry.register(Box::new(tcp_connections.clone()))?;
        let classes = AnswerClass::ALL.map(|class| ClassCounters {
            answers: answers.with_label_values(&[class.as_str()]),
            names: lookups.with_label_values(&[class.as_str(), "name"]),
            zones: lookups.with_label_values(&[class.as_str(), "soa"]),
            additional: lookups.with_label_values(&[class.as_str(), "additional"]),
            proofs: lookups.with_label_values(&[class.as_str(), "proof"]),
        });
        Ok(Self {
            udp_queries: queries.with_label_values(&["udp"]),
            tcp_queries: queries.with_label_values(&["tcp"]),
            responses: (0..16)
                .map(|rcode| responses.with_label_values(&[Rcode::masked_from_int(rcode).to_string().as_str()]))
                .collect(),
            cache_hits: cache_reads.with_label_values(&["hit"]),
            cache_misses: cache_reads.with_label_values(&["miss"]),
            denied: counter("zonecast_dns_access_denied_total", "Queries and connections of who may not ask.")?,
            limited_truncated: limited.with_label_values(&["truncate"]),
            limited_dropped: limited.with_label_values(&["drop"]),
            truncated: counter("zonecast_dns_truncated_total", "Answers with TC.")?,
            send_failures: counter("zonecast_dns_send_failures_total", "Answers that could not be sent.")?,
            receive_failures: counter(
                "zonecast_dns_receive_failures_total",
                "Failed reads of a UDP socket, and TCP connections that could not be accepted.",
            )?,
            classes: classes.to_vec(),
            tcp_connections,
            tcp_refused: counter(
                "zonecast_dns_tcp_refused_total",
                "TCP connections closed at once because too many of one client were open.",
            )?,
            tcp_given_up: counter(
                "zonecast_dns_tcp_given_up_total",
                "Resting TCP connections closed to make room for others.",
            )?,
        })
    }

    /// Adds what a burst came to.
    pub(crate) fn add(&self, transport: Transport, tally: &Tally) {
        let queries = match transport {
            Transport::Udp { .. } => &self.udp_queries,
            Transport::Tcp => &self.tcp_queries,
        };
        let counts = [
            (queries, tally.queries),
            (&self.truncated, tally.truncated),
            (&self.denied, tally.denied),
            (&self.limited_truncated, tally.limited_truncated),
            (&self.limited_dropped, tally.limited_dropped),
            (&self.cache_hits, tally.cache.hits),
            (&self.cache_misses, tally.cache.misses),
        ];
        add_all(counts);
        add_all(self.responses.iter().zip(tally.responses));
        for (counters, counts) in self.classes.iter().zip(&tally.classes).filter(|(_, counts)| counts.answers > 0) {
            let counts = [
                (&counters.answers, counts.answers),
                (&counters.names, counts.names),
                (&counters.zones, counts.zones),
                (&counters.additional, counts.additional),
                (&counters.proofs, counts.proofs),
            ];
            add_all(counts);
        }
    }

    pub(crate) fn access_denied(&self) {
        self.denied.inc();
    }

    pub(crate) fn send_failed(&self) {
        self.send_failures.inc();
    }

    pub(crate) fn receive_failed(&self) {
        self.receive_failures.inc();
    }

    #[cfg(test)]
    pub(crate) fn receive_failures(&self) -> u64 {
        self.receive_failures.get()
    }
}

fn add_all<'c>(counts: impl IntoIterator<Item = (&'c IntCounter, u64)>) {
    for (counter, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        counter.inc_by(count);
    }
}
