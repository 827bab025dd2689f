//! Cores that do not believe each other: each side counts what it refuses, and says once a minute what to do about it.

use std::error::Error;
use std::io;

use zonecast_kv_transport::{CertificateFault, LinkError, NotTrusted, RefusalLog, StreamError};

use crate::member::Member;
use crate::message::Refused;

/// Of cores that are reached and are not what they should be.
const WRONG_NAME: &str = "wrong_name";
/// Of cores whose certificates are not good here.
const CERTIFICATE: &str = "certificate";

/// Of cores that ask to join and may not.
pub(crate) const JOIN: &str = "join";

/// Labels of the metric.
pub(crate) const REASONS: [&str; 7] =
    ["other_store", "other_node", "not_member", "other_name", JOIN, WRONG_NAME, CERTIFICATE];

/// Lines that were written, by core and reason. Who is named here has a certificate, or is a member.
#[derive(Debug, Default)]
pub(crate) struct Refusals(RefusalLog<(String, &'static str)>);

impl Refusals {
    /// This core refuses what another one asks.
    pub(crate) fn refuses(&self, core: &str, refused: &Refused) {
        let due = refused.label().and_then(|reason| self.0.due((core.to_owned(), reason)));
        if let Some(quiet) = due {
            let advice = refused.advice();
            tracing::warn!(core, quiet, "refused what another core asks: {refused}; {advice}");
        }
    }

    /// This core does not let another one in.
    pub(crate) fn refuses_join(&self, core: &str, why: &str) {
        if let Some(quiet) = self.0.due((core.to_owned(), JOIN)) {
            tracing::warn!(core, quiet, "refused to let another core in: {why}");
        }
    }

    /// Another core refuses what this one asks.
    pub(crate) fn refused_by(&self, core: &Member, refused: &Refused) {
        let due = refused.label().and_then(|reason| self.0.due((core.to_string(), reason)));
        if let Some(quiet) = due {
            let advice = refused.advice();
            tracing::warn!(%core, quiet, "another core refuses this one: {refused}; {advice}");
        }
    }

    /// Another core is not reached, or the way to it broke. Says why this one refuses it, if it does.
    pub(crate) fn not_reached(&self, core: &Member, error: &io::Error) -> Option<&'static str> {
        let Distrust { reason, advice, by_peer } = Distrust::of(error)?;
        if let Some(quiet) = self.0.due((core.to_string(), reason)) {
            tracing::warn!(%core, quiet, "another core is not spoken to: {error}{advice}");
        }
        (!by_peer).then_some(reason)
    }
}

/// What a failed way to another core has to do with who it is, or who this one is.
#[derive(Debug, PartialEq, Eq)]
struct Distrust {
    reason: &'static str,
    advice: String,
    by_peer: bool,
}

impl Distrust {
    fn of(error: &io::Error) -> Option<Self> {
        let error: &(dyn Error + 'static) = error.get_ref()?;
        let not_trusted = match error.downcast_ref() {
            // It says itself what to do.
            Some(LinkError::WrongName { .. }) => {
                return Some(Self { reason: WRONG_NAME, advice: String::new(), by_peer: false });
            }
            Some(LinkError::Dial { source, .. }) => source.refused(),
            Some(LinkError::Stream(error)) => error.refused(),
            Some(_) => None,
            None => error.downcast_ref::<StreamError>().and_then(StreamError::refused),
        };
        not_trusted.map(Self::from)
    }
}

impl From<NotTrusted> for Distrust {
    fn from(NotTrusted { refusal, by_peer }: NotTrusted) -> Self {
        // Cores dial nobody else.
        let advice = match refusal {
            CertificateFault::Role => "issue a certificate of role core to whoever is there, or correct the address",
            other => other.advice(),
        };
        Self { reason: CERTIFICATE, advice: format!("; {advice}"), by_peer }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_matter_of_trust_says_nothing() {
        let core = Member { name: "core-2".into(), address: "192.0.2.2:8054".into() };
        let refusals = Refusals::default();
        for error in [
            io::Error::from(io::ErrorKind::TimedOut),
            io::Error::other(LinkError::NoAddress("core-2".into())),
            io::Error::other("a disk"),
        ] {
            assert_eq!(refusals.not_reached(&core, &error), None, "{error}");
        }
        let address = "192.0.2.2:8054".parse().unwrap();
        let found = LinkError::WrongName { address, expected: "core-2".into(), found: "core-9".into() };
        assert_eq!(refusals.not_reached(&core, &io::Error::other(found)), Some(WRONG_NAME));
    }
}
