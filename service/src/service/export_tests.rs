//! Large answers of a running core: how much of one is held, and who gets a place.

use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::{FutureExt as _, StreamExt as _};
use zonecast_records::Name;

use super::export::{CHUNK, CHUNKS, Export};
use super::records::MAX_DATA;
use super::service::LARGE_READS;
use crate::test_service::TestService as Api;
use crate::who::Who;

/// Everything in these tests is done long before.
const DEADLINE: Duration = Duration::from_secs(60);

const APEX: &str = "big.test";

fn start(hosts: usize) -> Api {
    let api = Api::start();
    let mut text = String::from("$TTL 1h\n@ SOA ns1 hostmaster 7 2h 15m 1w 5m\n@ NS ns1\nns1 A 192.0.2.1\n");
    (0..hosts).for_each(|number| text.push_str(&format!("host{number} A 192.0.2.7\n")));
    api.put_zone(APEX, text.as_bytes());
    api
}

fn apex() -> Name {
    APEX.parse().unwrap()
}

async fn export(api: &Api, who: &Who) -> Export {
    api.service().export(apex(), who).await.unwrap().value
}

/// All of it, read as fast as it comes.
async fn whole(api: &Api) -> Vec<u8> {
    let mut exported = export(api, &Who::default()).await.start();
    let mut text = vec![];
    while let Some(chunk) = exported.next().await {
        text.extend_from_slice(&chunk.unwrap());
    }
    text
}

fn in_time(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn of_a_large_zone_a_few_chunks_are_held_however_slowly_it_is_read() {
    let api = start(100_000);
    let whole = api.runtime().block_on(whole(&api));
    assert_eq!(whole.iter().filter(|byte| **byte == b'\n').count(), 100_004, "a line of its own, and the records");
    let (text, chunks) = api.runtime().block_on(async {
        let mut exported = export(&api, &Who::default()).await.start();
        let (mut text, mut chunks) = (vec![], 0);
        loop {
            // As slow as can be: what is not read waits, the store is not read any further.
            in_time("it does not go on", || exported.waiting() == CHUNKS || exported.is_written());
            assert!(exported.waiting() <= CHUNKS, "{} chunks", exported.waiting());
            let Some(chunk) = exported.next().await else { break };
            let chunk = chunk.unwrap();
            assert!(chunk.len() < CHUNK + 1024, "{} bytes", chunk.len());
            text.extend_from_slice(&chunk);
            chunks += 1;
        }
        (text, chunks)
    });
    assert!(text == whole, "{} bytes of {}", text.len(), whole.len());
    assert!(chunks > 2 * CHUNKS, "{chunks} chunks");
    api.stop();
}

#[test]
fn one_name_does_not_take_all_places_and_who_is_gone_gives_its_back() {
    let api = start(20_000);
    let (greedy, modest) = (Who::Token("greedy".into()), Who::Token("modest".into()));
    api.runtime().block_on(async {
        let mut under_way = vec![];
        for _ in 0..LARGE_READS / 2 {
            // Some that nobody reads, and some that have not begun.
            under_way.push(export(&api, &greedy).await.start());
        }
        assert!(api.service().large_reads.try_take(&greedy).is_none(), "it takes more than half");
        let mut waits = pin!(export(&api, &greedy));
        assert!(waits.as_mut().now_or_never().is_none());
        let mut other = export(&api, &modest).await.start();
        while let Some(chunk) = other.next().await {
            chunk.unwrap();
        }
        // The client hangs up.
        under_way.pop();
        tokio::time::timeout(DEADLINE, waits).await.expect("its place is still taken");
    });
    api.stop();
}

/// RRsets are counted, and may be large: without a limit of bytes as well, a page would take gigabytes.
#[test]
fn a_page_of_large_records_and_a_difference_of_them_end() {
    let api = Api::start();
    let strings = |letter: &str| format!("\"{}\" ", letter.repeat(250)).repeat(240);
    let zone = |letter| {
        let text = strings(letter);
        let head = "$TTL 1h\n@ SOA ns1 hostmaster 7 2h 15m 1w 5m\n@ NS ns1\nns1 A 192.0.2.1\n".to_owned();
        (0..300).fold(head, |zone, number| zone + &format!("large{number} TXT {text}\n"))
    };
    for letter in ["x", "y"] {
        api.put_zone(APEX, zone(letter).as_bytes());
    }
    let page = api.runtime().block_on(api.service().records(apex(), None, None, usize::MAX)).unwrap().value;
    let bytes: usize = page.rrsets.iter().flat_map(|rrset| &rrset.data).map(String::len).sum();
    assert!(page.truncated && bytes > MAX_DATA && bytes < MAX_DATA + MAX_DATA / 16, "{bytes}");
    let who = Who::default();
    let diff = api.runtime().block_on(api.service().zone_diff(apex(), None, None, 10_000, &who)).unwrap();
    let bytes: usize = diff.removed.iter().chain(&diff.added).map(|record| record.data.len()).sum();
    assert!(diff.truncated && bytes > MAX_DATA && bytes < MAX_DATA + MAX_DATA / 16, "{bytes}");
    assert!(api.runtime().block_on(whole(&api)).len() > MAX_DATA, "a file has all");
    api.stop();
}
