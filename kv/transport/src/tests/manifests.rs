//! Who may sign the manifest of a snapshot, and whom a node believes one.

use zonecast_kv_proto::SignedManifest;

use super::*;
use crate::ManifestFault;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn a_manifest_is_believed_as_a_core_has_signed_it_and_not_otherwise() {
    let folders = [folder(), folder()];
    let [ca, other] = folders.each_ref().map(|folder| Ca::open_or_create(folder.path()).unwrap());
    let (core, edge) = (ca.issue(Role::Core, "core-1").unwrap(), ca.issue(Role::Edge, "edge-1").unwrap());
    let manifest = Bytes::from_static(b"a manifest");
    let signed = core.sign_manifest(manifest.clone()).unwrap();
    edge.check_manifest(&signed).unwrap();
    let again = SignedManifest::from_bytes(&signed.to_bytes()).unwrap();
    edge.check_manifest(&again).unwrap();

    for role in [Role::Edge, Role::Relay, Role::Client] {
        let node = ca.issue(role, "other").unwrap();
        assert!(matches!(node.sign_manifest(manifest.clone()), Err(ManifestFault::Role(_))), "{role}");
        let forged = SignedManifest { certificate: Bytes::copy_from_slice(&node.certificate()), ..signed.clone() };
        assert!(matches!(edge.check_manifest(&forged), Err(ManifestFault::Certificate(_))), "{role}");
    }
    let stranger = other.issue(Role::Core, "core-1").unwrap().sign_manifest(manifest.clone()).unwrap();
    assert!(matches!(edge.check_manifest(&stranger), Err(ManifestFault::Certificate(_))));
    let second = ca.issue(Role::Core, "core-2").unwrap();
    let wrong = [
        SignedManifest { manifest: Bytes::from_static(b"A manifest"), ..signed.clone() },
        SignedManifest { signature: signed.signature.slice(1..), ..signed.clone() },
        SignedManifest { signature: Bytes::new(), ..signed.clone() },
        SignedManifest { scheme: 0, ..signed.clone() },
        SignedManifest { certificate: Bytes::copy_from_slice(&second.certificate()), ..signed.clone() },
    ];
    for (number, wrong) in wrong.iter().enumerate() {
        let checked = edge.check_manifest(wrong);
        assert!(matches!(checked, Err(ManifestFault::Signature)), "{number}: {checked:?}");
    }
    let none = SignedManifest { certificate: Bytes::from_static(b"no certificate"), ..signed };
    assert!(matches!(edge.check_manifest(&none), Err(ManifestFault::Certificate(_))));
}

#[test]
fn a_core_that_is_revoked_is_believed_no_manifest() {
    let folder = folder();
    let ca = Ca::open_or_create(folder.path()).unwrap();
    let (core, edge) = (ca.issue(Role::Core, "core-1").unwrap(), ca.issue(Role::Edge, "edge-1").unwrap());
    let signed = core.sign_manifest(Bytes::from_static(b"a manifest")).unwrap();
    edge.check_manifest(&signed).unwrap();
    edge.revoke([core.serial()].into());
    assert!(matches!(edge.check_manifest(&signed), Err(ManifestFault::Certificate(_))));
}
