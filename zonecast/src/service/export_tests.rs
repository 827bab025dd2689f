//! Large answers of a running core: how much of one is held, who gets a place, and what comes of a zone file that breaks
//! off.

use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{FutureExt as _, StreamExt as _};
use zonecast_builder::{zone_info, zone_sections};
use zonecast_kv_proto::{Batch, KeyspaceId, Op, Section, Value, View as _};
use zonecast_records::{KeyBuffer, KeySection, Name};

use super::ServiceError;
use super::export::{CHUNK, CHUNKS, Export};
use super::records::MAX_DATA;
use super::service::LARGE_READS;
use crate::auth::Who;
use crate::client::{ClientError, Patience};
use crate::import::settled;
use crate::roles::TestApi as Api;

/// Everything in these tests is done long before.
const DEADLINE: Duration = Duration::from_secs(60);

const APEX: &str = "big.test";

fn start(hosts: usize) -> Api {
    let api = Api::start(false, None);
    let mut text = String::from("$TTL 1h\n@ SOA ns1 hostmaster 7 2h 15m 1w 5m\n@ NS ns1\nns1 A 192.0.2.1\n");
    (0..hosts).for_each(|number| text.push_str(&format!("host{number} A 192.0.2.7\n")));
    api.open_client().put_zone(APEX, text.as_bytes(), "file", Patience::default()).unwrap();
    api
}

fn apex() -> Name {
    APEX.parse().unwrap()
}

async fn export(api: &Api, who: &Who) -> Export {
    api.service().export(apex(), who).await.unwrap().value
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
    let whole = api.open_client().export_zone(APEX).unwrap();
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
    let head = api.say("HEAD /v1/zones/big.test/file HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
    api.stop();
}

/// Makes what is in the middle of the zone unreadable, as a disk does that fails.
fn damage(api: &Api) {
    let service = Arc::clone(api.service());
    let view = service.core().view();
    let zone = zone_info(&view, &apex()).unwrap().unwrap();
    let bound = |section| KeyBuffer::new().prefix(KeyspaceId::DNS, zone.identity.generation, section).to_vec();
    let mut keys = vec![];
    view.scan(&bound(KeySection::Name), &bound(KeySection::Glue), &mut |key, _| {
        keys.push(key.to_vec());
        ControlFlow::Continue(())
    })
    .unwrap();
    let key = zonecast_kv_proto::Key::new(keys[keys.len() / 2].clone()).unwrap();
    let ops = vec![Op::Put { key, value: Value::new(vec![0xff]).unwrap() }];
    let [id, _] = zone_sections(zone.identity.id);
    let batch = Batch { preconditions: vec![], sections: vec![Section { id, ops }] };
    api.runtime().block_on(async {
        let build = move |_: &dyn zonecast_kv_proto::View, _: &zonecast_kv_core::Editions<'_>| {
            Ok::<_, ServiceError>((batch, ()))
        };
        let ((), pending) = service.core().change(build).await.unwrap();
        settled(pending.await).unwrap();
    });
}

/// It would look like a smaller zone: whoever imports that elsewhere loses the rest.
#[test]
fn a_zone_file_that_breaks_off_is_an_error_and_has_no_end() {
    let api = start(20_000);
    let client = api.open_client();
    let whole = client.export_zone(APEX).unwrap();
    damage(&api);
    let mut heard = 0;
    let broken = client.export_zone_to(APEX, |part| {
        heard += part.len();
        Ok::<_, ClientError>(())
    });
    assert!(matches!(broken, Err(ClientError::BrokenOff { .. })), "{broken:?}");
    assert!(heard > CHUNK && heard < whole.len(), "{heard} bytes of {}", whole.len());
    assert!(matches!(client.export_zone(APEX), Err(ClientError::BrokenOff { .. })));

    let ask = |version: &str| {
        api.say(&format!("GET /v1/zones/big.test/file HTTP/{version}\r\nhost: localhost\r\nconnection: close\r\n\r\n"))
    };
    let text = ask("1.1");
    assert!(text.starts_with("HTTP/1.1 200") && text.to_lowercase().contains("transfer-encoding: chunked"));
    assert!(!text.ends_with("\r\n0\r\n\r\n"), "it has an end");
    // There is nothing that says where a text ends but the connection.
    let old = ask("1.0");
    assert!(old.contains(" 400 ") && old.contains("bad_request"), "{old}");
    let metrics = client.metrics().unwrap();
    assert!(metrics.contains("zonecast_exports_broken_total 3\n"), "{metrics}");
    api.stop();
}

/// RRsets are counted, and may be large: without a limit of bytes as well, a page would take gigabytes.
#[test]
fn a_page_of_large_records_and_a_difference_of_them_end() {
    let api = Api::start(false, None);
    let client = api.open_client();
    let strings = |letter: &str| format!("\"{}\" ", letter.repeat(250)).repeat(240);
    let zone = |letter| {
        let text = strings(letter);
        let head = "$TTL 1h\n@ SOA ns1 hostmaster 7 2h 15m 1w 5m\n@ NS ns1\nns1 A 192.0.2.1\n".to_owned();
        (0..300).fold(head, |zone, number| zone + &format!("large{number} TXT {text}\n"))
    };
    for letter in ["x", "y"] {
        client.put_zone(APEX, zone(letter).as_bytes(), "file", Patience::default()).unwrap();
    }
    let page = client.records(APEX, None, None).unwrap();
    let bytes: usize = page.rrsets.iter().flat_map(|rrset| &rrset.data).map(String::len).sum();
    assert!(page.truncated && bytes > MAX_DATA && bytes < MAX_DATA + MAX_DATA / 16, "{bytes}");
    let diff = client.zone_diff(APEX, None, None).unwrap();
    let bytes: usize = diff.removed.iter().chain(&diff.added).map(|record| record.data.len()).sum();
    assert!(diff.truncated && bytes > MAX_DATA && bytes < MAX_DATA + MAX_DATA / 16, "{bytes}");
    assert!(client.export_zone(APEX).unwrap().len() > MAX_DATA, "a file has all");
    api.stop();
}
