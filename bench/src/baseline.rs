//! The data model that ours replaces: one key with a JSON value for each record, several lookups for each query.
//!
//! It is what a platform has that grew around an API of records: each record with its id and what the API knows of it,
//! under a key of zone, name, type and number; and an answer that is put together when it is asked for. Keys have the
//! keyspace of ours in front, so that the same store takes them.

use std::fmt::Write as _;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use domain::base::iana::Rtype;
use domain::base::{Message, MessageBuilder, ToName as _, Ttl};
use domain::rdata::A;
use serde::{Deserialize, Serialize};
use zonecast_kv_proto::{KeyspaceId, View};

/// One record as such a platform keeps it.
#[derive(Serialize, Deserialize)]
struct Record {
    id: String,
    zone_id: String,
    zone_name: String,
    name: String,
    #[serde(rename = "type")]
    rtype: String,
    content: String,
    ttl: u32,
    priority: Option<u16>,
    proxied: bool,
    locked: bool,
    comment: Option<String>,
    tags: Vec<String>,
    created_on: String,
    modified_on: String,
}

/// Entries of a zone whose `host-0` and so on have an address each, in the order of their keys.
pub(crate) fn entries(apex: &str, hosts: usize) -> anyhow::Result<Vec<(Bytes, Bytes)>> {
    let mut entries = Vec::with_capacity(hosts + 1);
    let soa = record(apex, apex, "SOA", format!("ns1.{apex} hostmaster.{apex} 1 28800 7200 604800 300"), 0);
    entries.push((key(apex, apex, "SOA", 0), Bytes::from(serde_json::to_vec(&soa)?)));
    for number in 0..hosts {
        let [_, a, b, c] = u32::try_from(number)?.to_be_bytes();
        let name = format!("host-{number}.{apex}");
        let record = record(apex, &name, "A", format!("10.{a}.{b}.{c}"), number);
        entries.push((key(apex, &name, "A", 0), Bytes::from(serde_json::to_vec(&record)?)));
    }
    entries.sort_unstable();
    Ok(entries)
}

/// Answers a query for an address: looks for the zone label by label, for an alias and a delegation at the name, and
/// for its records one by one. Says how many lookups that took.
pub(crate) fn answer(view: &impl View, query: &[u8], out: &mut Vec<u8>) -> anyhow::Result<u32> {
    let query = Message::from_octets(query)?;
    let question = query.first_question().context("no question")?;
    let name = question.qname().to_name::<Vec<u8>>();
    let text = name.fmt_with_dot().to_string();
    let text = text.trim_end_matches('.');
    let mut value = Vec::new();
    let mut lookups = 0;
    let mut get = |key: &[u8], value: &mut Vec<u8>| {
        lookups += 1;
        view.get(key, value)
    };
    let mut apex = text;
    while !get(&key(apex, apex, "SOA", 0), &mut value)? {
        apex = apex.split_once('.').context("no such zone")?.1;
    }
    for rtype in ["CNAME", "NS"] {
        ensure!(!get(&key(apex, text, rtype, 0), &mut value)?, "the zones of this measure have no {rtype} there");
    }
    let mut answer = MessageBuilder::new_vec().start_answer(&query, domain::base::iana::Rcode::NOERROR)?;
    answer.header_mut().set_aa(true);
    let rtype = question.qtype();
    for number in 0.. {
        if !get(&key(apex, text, &rtype.to_string(), number), &mut value)? {
            break;
        }
        let record: Record = serde_json::from_slice(&value)?;
        ensure!(rtype == Rtype::A, "this measure asks for addresses");
        let address: A = record.content.parse()?;
        answer.push((name.clone(), Ttl::from_secs(record.ttl), address))?;
    }
    out.clear();
    out.extend_from_slice(&answer.finish());
    Ok(lookups)
}

fn key(apex: &str, name: &str, rtype: &str, number: usize) -> Bytes {
    let mut key = String::new();
    // Writing to a text cannot fail.
    let _ = write!(key, "{apex}/{name}/{rtype}/{number}");
    [&KeyspaceId::DNS.get().to_be_bytes(), key.as_bytes()].concat().into()
}

fn record(apex: &str, name: &str, rtype: &str, content: String, number: usize) -> Record {
    // Ids are 32 random hexadecimal digits; a hash of the number looks like that and is the same every time.
    let id = (number as u128 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
    Record {
        id: format!("{id:032x}"),
        zone_id: "023e105f4ecef8ad9ca31a8372d0c353".into(),
        zone_name: apex.into(),
        name: name.into(),
        rtype: rtype.into(),
        content,
        ttl: 3600,
        priority: None,
        proxied: false,
        locked: false,
        comment: None,
        tags: Vec::new(),
        created_on: time(id),
        modified_on: time(id >> 64),
    }
}

/// Some time of a year, as records of a platform have them: no two are of the same moment.
fn time(number: u128) -> String {
    let part = |shift: u32, count: u128| (number >> shift) % count;
    format!(
        "2025-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z",
        part(0, 12) + 1,
        part(8, 28) + 1,
        part(16, 24),
        part(24, 60),
        part(32, 60),
        part(36, 1_000_000)
    )
}

#[cfg(test)]
mod tests {
    use domain::base::Name;
    use zonecast_kv_proto::MemoryView;

    use super::*;

    #[test]
    fn the_old_model_answers_with_the_address_after_six_lookups() {
        let mut view = MemoryView::new();
        for (key, value) in entries("large.example", 10).unwrap() {
            view.insert(&key, &value);
        }
        let mut query = MessageBuilder::new_vec().question();
        query.push(("host-3.large.example".parse::<Name<Vec<u8>>>().unwrap(), Rtype::A)).unwrap();
        let mut out = Vec::new();
        let lookups = answer(&view, &query.finish(), &mut out).unwrap();
        assert!(out.ends_with(&[10, 0, 0, 3]), "{out:?}");
        assert_eq!(lookups, 6, "two for the zone, two for what may hide it, two for the records");
    }
}
