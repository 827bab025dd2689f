//! A zone file that breaks off on its way out.

use std::ops::ControlFlow;
use std::sync::Arc;

use zonecast_api::ClientError;
use zonecast_builder::{zone_info, zone_sections};
use zonecast_kv_core::Outcome;
use zonecast_kv_proto::{Batch, KeyspaceId, Op, Section, Value, View as _};
use zonecast_records::{KeyBuffer, KeySection, Name};
use zonecast_service::ServiceError;

use super::http_tests::Api;
use zonecast_api::Patience;

const APEX: &str = "big.test";

/// A part of the zone, far less than all of it.
const SOME: usize = 64 * 1024;

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
        assert!(matches!(pending.await, Outcome::Committed { .. }));
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
    assert!(heard > SOME && heard < whole.len(), "{heard} bytes of {}", whole.len());
    assert!(matches!(client.export_zone(APEX), Err(ClientError::BrokenOff { .. })));

    let head = api.say("HEAD /v1/zones/big.test/file HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
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
