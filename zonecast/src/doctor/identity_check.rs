//! An identity folder: its files, who may read them, and how long its certificate lasts.

use super::facts::{Answer, CertificateFacts, FileState, LocalFacts};
use super::finding::About;
use zonecast_service::day;

const DAY: u64 = 24 * 60 * 60;

/// A certificate that lasts less is to be renewed: time for a holiday, and for a second try.
const RENEW_BEFORE: u64 = 30 * DAY;

pub(super) fn check(now: u64, local: &LocalFacts, about: &mut About<'_>) {
    let identity = &local.identity;
    let folder = &identity.folder.path;
    check_modes(local, about);
    let certificate = match &identity.certificate {
        Ok(certificate) => certificate,
        // It has been said, with what to do.
        Err(_) if identity.key.state.is_some_and(|key| key.mode & 0o077 != 0) => return,
        Err(why) => {
            let advice =
                format_args!("issue one: `zonecast ca issue CA --role {} --name NAME --out {folder}`", local.role);
            return about.error("certificate", why, advice);
        }
    };
    let (is_of, role) = (&certificate.role, local.role);
    if is_of != role {
        let advice = format_args!("issue one with `--role {role}`, or name another folder in `identity`");
        about.error("certificate", format_args!("{folder} holds one of role {is_of}, this is a {role}"), advice);
    }
    check_times(now, certificate, about);
}

/// The certificate in use, which may be another than the one in the folder.
pub(super) fn compare(local: &LocalFacts, answer: &Answer, about: &mut About<'_>) {
    let in_use = answer.status.vitals().and_then(|vitals| vitals.certificate.as_ref());
    if let (Ok(here), Some(in_use)) = (&local.identity.certificate, in_use)
        && here.serial != in_use.serial
    {
        let (folder, serial) = (&local.identity.folder.path, &in_use.serial);
        about.warn(
            "certificate",
            format_args!("{folder} holds {}, the running node uses {serial}", here.serial),
            "a node takes a new one over within five seconds; if it does not, its log says why, or restart it",
        );
    }
}

/// What holds of the certificate of any node, wherever it was seen.
pub(super) fn check_end(now: u64, not_after: u64, revoked: bool, about: &mut About<'_>) -> bool {
    let advice = "issue a new one: `zonecast ca issue ... --force`, and copy its folder to the node";
    if revoked {
        about.error("certificate", "revoked: peers refuse the node", advice);
    } else if not_after <= now {
        about.error("certificate", format_args!("expired on {}: peers refuse the node", day(not_after)), advice);
    } else if not_after - now < RENEW_BEFORE {
        let days = (not_after - now) / DAY;
        about.warn("certificate", format_args!("expires in {days} days, on {}", day(not_after)), advice);
    } else {
        return true;
    }
    false
}

fn check_times(now: u64, certificate: &CertificateFacts, about: &mut About<'_>) {
    let CertificateFacts { role, name, not_before, not_after, revoked, .. } = certificate;
    if now < *not_before {
        let message = format_args!("good only from {} on: peers refuse the node", day(*not_before));
        return about.error("certificate", message, "put the clock of this machine right");
    }
    if check_end(now, *not_after, *revoked, about) {
        about.ok("certificate", format_args!("{role} {name}, until {}", day(*not_after)));
    }
}

fn check_modes(local: &LocalFacts, about: &mut About<'_>) {
    let (identity, data) = (&local.identity, local.data.folder.state);
    let mut fine = true;
    let own = [(&identity.folder, 0o700), (&identity.key, 0o600)];
    for (file, mode) in own.into_iter().chain(local.secrets.iter().map(|secrets| (secrets, 0o600))) {
        let Some(state) = file.state else { continue };
        let path = &file.path;
        if state.mode & 0o077 != 0 {
            fine = false;
            about.error(
                "identity",
                format_args!("others than its owner may use {path} (mode {:03o})", state.mode),
                format_args!("chmod {mode:o} {path}; make a new one if somebody may have read it"),
            );
        }
        if let Some(FileState { owner, .. }) = data.filter(|data| data.owner != state.owner) {
            fine = false;
            about.warn(
                "identity",
                format_args!("{path} belongs to user {}, the data folder to user {owner}", state.owner),
                "give both to the user that the node runs as (chown), or it cannot read its key",
            );
        }
    }
    if fine && identity.key.state.is_some() {
        about.ok("identity", format_args!("{} is for its owner only", identity.folder.path));
    }
}
