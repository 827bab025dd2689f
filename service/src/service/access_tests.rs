//! Tokens, revoked certificates and the importer of zone files, at a core that is alone.

use zonecast_api::types::{NewToken, TokenRole};
use zonecast_kv_transport::{Ca, IssueOptions, Role};

use crate::error::ServiceError;
use crate::test_service::TestService;
use crate::who::Who;

fn new(name: &str, role: TokenRole) -> NewToken {
    NewToken { name: name.into(), role, ..NewToken::default() }
}

fn names(api: &TestService) -> Vec<String> {
    let list = api.runtime().block_on(api.service().tokens()).unwrap();
    list.tokens.into_iter().map(|token| token.name).collect()
}

#[test]
fn the_first_token_is_made_once_and_lies_in_its_file() {
    let api = TestService::start_with_tokens();
    let file = api.folder().join("first-token");
    let ensure = || api.runtime().block_on(api.service().ensure_admin_token()).unwrap();
    ensure();
    let first = std::fs::read_to_string(&file).unwrap();
    let found = api.service().token_table().find(first.trim()).unwrap();
    assert_eq!((found.name(), found.role()), ("first", TokenRole::Admin));
    ensure();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), first, "there is one already");

    // It may go once there is another one that can make others, and does not come back.
    let revoke = |name: &str| api.runtime().block_on(api.service().revoke_token(name.into(), &Who::default()));
    assert!(matches!(revoke("first"), Err(ServiceError::Refused { .. })), "nobody could make others");
    let create = |new| api.runtime().block_on(api.service().create_token(new, &Who::default()));
    let lasts_s = Some(0);
    create(NewToken { lasts_s, ..new("over", TokenRole::Admin) }).unwrap();
    assert!(matches!(revoke("first"), Err(ServiceError::Refused { .. })), "the other one has expired");
    create(new("root", TokenRole::Admin)).unwrap();
    revoke("first").unwrap();
    assert!(api.service().token_table().find(first.trim()).is_none(), "it is refused at once");
    ensure();
    assert_eq!(names(&api), ["over", "root"]);
    api.stop();
}

#[test]
fn a_token_that_makes_no_sense_is_refused() {
    let api = TestService::start();
    let create = |new| api.runtime().block_on(api.service().create_token(new, &Who::default()));
    let revoke = |name: &str| api.runtime().block_on(api.service().revoke_token(name.into(), &Who::default()));
    let made = create(NewToken { zones: vec!["Example.com".into()], ..new("ci", TokenRole::Write) }).unwrap();
    assert_eq!(made.zones, ["Example.com."]);
    assert!(matches!(create(new("ci", TokenRole::Read)), Err(ServiceError::Refused { .. })));
    assert!(matches!(create(new("a b", TokenRole::Read)), Err(ServiceError::BadRequest(_))));
    assert!(matches!(revoke("other"), Err(ServiceError::NoToken(_))));
    assert_eq!(revoke("ci").unwrap().name, "ci");
    assert!(names(&api).is_empty());
    api.stop();
}

#[test]
fn a_revocation_list_is_in_force_until_a_later_one_is() {
    let api = TestService::start();
    let ca = Ca::open(&api.folder().join("ca")).unwrap();
    let issue = |name: &str| ca.issue_with(&IssueOptions::new(Role::Edge, name)).unwrap();
    let (one, two) = (issue("edge-1"), issue("edge-2"));
    let list = |name: &str| std::fs::read_to_string(ca.revoke(name).unwrap().crl).unwrap();
    let publish = |pem: &str| api.runtime().block_on(api.service().publish_revocations(pem.into(), &Who::default()));
    let der = |identity: &zonecast_kv_transport::Identity| identity.certificate().to_vec();
    let is_over = |certificate: &[u8]| api.identity().is_over(certificate);

    let first = list("edge-1");
    let published = publish(&first).unwrap();
    assert_eq!(published.serials, [one.serial().to_string()]);
    assert!(is_over(&der(&one)) && !is_over(&der(&two)), "at once");
    let begin = std::time::Instant::now();
    while begin.elapsed().as_millis() < 2 {}
    let second = list("edge-2");
    assert_eq!(publish(&second).unwrap().serials.len(), 2);
    assert_eq!(publish(&second).unwrap().serials.len(), 2, "the same once more");
    assert!(matches!(publish(&first), Err(ServiceError::Refused { .. })), "an older one");
    assert!(matches!(publish("nonsense"), Err(ServiceError::BadRequest(_))));
    let present = api.runtime().block_on(api.service().revocations()).unwrap();
    assert_eq!(present.serials.len(), 2);
    assert!(is_over(&der(&two)));
    api.stop();
}

#[test]
fn the_first_core_that_asks_imports_until_another_member_is_named() {
    let api = TestService::start();
    let claim = |name: &str| api.runtime().block_on(api.service().claim_import(name)).unwrap();
    assert_eq!(api.service().importer().unwrap(), None);
    // One that is no member any more keeps nobody from it.
    assert_eq!(claim("core-9"), "core-9");
    assert_eq!(claim("core-1"), "core-1");
    assert_eq!(claim("core-2"), "core-1");
    let import_at = |name: &str| api.runtime().block_on(api.service().import_at(name.into(), &Who::default()));
    assert!(matches!(import_at("core-2"), Err(ServiceError::NoCore(_))));
    assert_eq!(import_at("core-1").unwrap().importer.as_deref(), Some("core-1"));
    api.stop();
}
