//! Zones over HTTP: taking changes back without doing it, looking keys up, bringing a zone back.

use zonecast_api::types::RollbackRequest;
use zonecast_api::{Client, ClientError, Patience};

use super::http_tests::{Api, ZONE};

#[test]
fn a_rollback_is_refused_in_a_dry_run_as_it_would_be_and_shows_what_it_would_change() {
    let api = Api::start(false, None);
    let client = api.open_client();
    let patience = Patience::default();
    client.put_zone("a.test", ZONE, "x", patience).unwrap();
    for last in [2, 3] {
        let text = String::from_utf8(ZONE.to_vec()).unwrap().replace("192.0.2.1", &format!("192.0.2.{last}"));
        client.put_zone("a.test", text.as_bytes(), "x", patience).unwrap();
    }
    let newest = client.zone_log("a.test", 1).unwrap().changes[0].number;
    let requests = [
        RollbackRequest { to: None, undo: Some(newest - 1) },
        RollbackRequest { to: None, undo: Some(newest + 1) },
        RollbackRequest { to: None, undo: Some(0) },
        RollbackRequest { to: Some(newest + 1), undo: None },
        RollbackRequest::default(),
    ];
    let refusal = |client: &Client, request| match client.preview_rollback("a.test", request) {
        Err(ClientError::Refused { status, detail }) => (status, detail.code, detail.message),
        other => panic!("{other:?}"),
    };
    for request in &requests {
        let preview = refusal(&client, request);
        let done = match client.roll_back("a.test", request, patience) {
            Err(ClientError::Refused { status, detail }) => (status, detail.code, detail.message),
            other => panic!("{other:?}"),
        };
        assert_eq!(preview, done, "{request:?}");
    }
    let undo = RollbackRequest { to: None, undo: Some(newest) };
    assert_eq!(refusal(&client.only_at(Some(newest - 1)), &undo).1, "moved");

    let before = client.zone("a.test").unwrap();
    let preview = client.only_at(Some(newest)).preview_rollback("a.test", &undo).unwrap();
    assert_eq!(client.zone("a.test").unwrap(), before, "nothing was done");
    let (seen, serial) = (preview.diff.unwrap(), preview.serial);
    let written = client.only_at(Some(newest)).roll_back("a.test", &undo, patience).unwrap();
    assert_eq!((written.changed, written.serial), (preview.changed, serial));
    assert_eq!(client.zone_diff("a.test", None, None).unwrap(), seen);
    assert!(seen.added.iter().any(|record| record.data == "192.0.2.2"), "{seen:?}");

    // The same once more changes nothing.
    let again = client.preview_rollback("a.test", &undo).unwrap();
    assert!(!again.changed && again.diff.is_some_and(|diff| diff.added.is_empty() && diff.removed.is_empty()));
    api.stop();
}

#[test]
fn without_an_edge_in_the_process_the_core_is_looked_up() {
    let api = Api::start(false, None);
    let client = api.open_client();
    client.put_zone("a.test", ZONE, "x", Patience::default()).unwrap();
    let found = client.lookup("ns1.a.test", Some("A"), None).unwrap();
    assert_eq!((found.at.as_str(), found.entries.len()), ("core", 1));
    let error = client.lookup("ns1.a.test", None, Some("edge")).unwrap_err().to_string();
    assert!(error.contains("--at core"), "{error}");
    api.stop();
}

#[test]
fn a_condition_on_bringing_a_zone_back_is_refused_as_no_zone_is_there_to_meet_it() {
    let api = Api::start(false, None);
    let client = api.open_client();
    client.put_zone("a.test", ZONE, "x", Patience::default()).unwrap();
    client.delete_zone("a.test", true, Patience::default()).unwrap();
    match client.only_at(Some(1)).undelete_zone("a.test", Patience::default()) {
        Err(ClientError::Refused { status: 400, detail }) => assert!(detail.message.contains("if-match"), "{detail:?}"),
        other => panic!("{other:?}"),
    }
    client.undelete_zone("a.test", Patience::default()).unwrap();
    api.stop();
}
