//! Reports how an edge loses or leaves an upstream: in metrics, log and status, at a limited rate.
//!
//! Pure: time is an argument.

use std::time::Duration;

use zonecast_kv_proto::{FollowerEnd, SubscribeRefusal};
use zonecast_kv_transport::{CertificateFault, NotTrusted};

use crate::EdgeError;

/// A line that needs a hand is not repeated more often: an operator who reads the log finds it, and it stays readable.
const LINE_EVERY: Duration = Duration::from_secs(60);

/// How long it is shown after it was noticed that another process uses this identity: some turns of both.
const TWIN_FOR: Duration = Duration::from_secs(120);

/// What to do when two processes use one identity.
const ANOTHER_NAME: &str = "stop one of them, or issue it a certificate with a name of its own";

/// What to do when there is no connection.
const REACH: &str = "is the core running, and does UDP reach it?";

/// What to do when the name of an upstream leads nowhere.
const RESOLVE: &str = "does the resolver of this machine know it? An address in its place needs none";

/// What to do when an upstream is this node.
const NOT_ITSELF: &str = "remove the address from `upstreams`";

/// Decides what to count, log and show when an upstream is lost; a line with the same advice is logged once a minute.
#[derive(Debug, Default)]
pub(crate) struct UpstreamReport {
    /// The advice of the last line that needs a hand.
    told: Option<(&'static str, Duration)>,
    /// When another process with this identity was noticed last.
    replaced: Option<Duration>,
}

/// Why there is no upstream.
#[derive(Debug)]
pub(crate) enum Parting {
    /// No connection was made.
    NoConnection(EdgeError),
    /// It was, and is gone.
    Lost(Option<NotTrusted>, String),
    /// Another process with this identity has connected, says the upstream.
    Replaced(String),
    /// This edge does not want it any more.
    Left(FollowerEnd),
}

/// What to say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Say {
    /// Count one more, for this reason.
    Count(&'static str),
    /// Log what is wrong with a certificate, if that was not logged lately.
    CertificateFault(CertificateFault, String),
    /// Log this.
    Error(String),
    /// Log that another upstream is tried instead of this one, which is no fault.
    PassedOver(String),
    /// Show why there is no upstream.
    Trouble(String),
    /// Show that another process uses this identity.
    Twin(String),
}

impl UpstreamReport {
    /// There is no upstream any more, or still none.
    pub(crate) fn parted(&mut self, now: Duration, upstream: &str, parting: &Parting) -> Vec<Say> {
        match parting {
            Parting::NoConnection(error) => self.not_connected(now, upstream, error),
            Parting::Lost(refused, why) => not_followed(upstream, "lost", *refused, why, REACH),
            Parting::Replaced(why) => self.replaced(now, upstream, why),
            Parting::Left(end) => self.left(now, upstream, end),
        }
    }

    /// Whether nothing has shown for a while that another process uses this identity.
    pub(crate) fn is_alone(&self, now: Duration) -> bool {
        self.replaced.is_none_or(|at| now.saturating_sub(at) >= TWIN_FOR)
    }

    fn not_connected(&mut self, now: Duration, upstream: &str, error: &EdgeError) -> Vec<Say> {
        let why = error.to_string();
        match error {
            EdgeError::Itself => self.itself(now, upstream, &why),
            EdgeError::Unresolved(_) => not_followed(upstream, "resolve", None, &why, RESOLVE),
            EdgeError::Endpoint(error) => not_followed(upstream, "connect", error.refused(), &why, REACH),
            _ => not_followed(upstream, "connect", None, &why, REACH),
        }
    }

    fn itself(&mut self, now: Duration, upstream: &str, why: &str) -> Vec<Say> {
        let line = self.is_due(now, NOT_ITSELF).then(|| Say::Error(format!("not followed: {why}; {NOT_ITSELF}")));
        let shown = Say::Trouble(format!("{upstream}: {why}; {NOT_ITSELF}"));
        [Say::Count("itself")].into_iter().chain(line).chain([shown]).collect()
    }

    fn replaced(&mut self, now: Duration, upstream: &str, why: &str) -> Vec<Say> {
        self.replaced = Some(now);
        let line = format!("another process uses this identity: {why}; {ANOTHER_NAME}");
        let shown = format!("another process uses this identity: {upstream} says: {why}; {ANOTHER_NAME}");
        let line = self.is_due(now, ANOTHER_NAME).then_some(Say::Error(line));
        [Say::Count("replaced")].into_iter().chain(line).chain([Say::Twin(shown)]).collect()
    }

    fn left(&mut self, now: Duration, upstream: &str, end: &FollowerEnd) -> Vec<Say> {
        if let FollowerEnd::Behind(_) = end {
            return vec![Say::Count(reason(end)), Say::PassedOver(end.to_string())];
        }
        let advice = advice(end);
        let is_line = end.needs_a_hand() && self.is_due(now, advice);
        let line = is_line.then(|| {
            Say::Error(format!("following has stopped: {end}; answers go on from the last good version; {advice}"))
        });
        let shown = Say::Trouble(format!("{upstream}: {end}; {advice}"));
        [Say::Count(reason(end))].into_iter().chain(line).chain([shown]).collect()
    }

    /// Whether to write a line that gives this advice: once a minute while it stays the same.
    fn is_due(&mut self, now: Duration, advice: &'static str) -> bool {
        let is_due = self.told.is_none_or(|(last, at)| last != advice || now.saturating_sub(at) >= LINE_EVERY);
        if is_due {
            self.told = Some((advice, now));
        }
        is_due
    }
}

/// What a certificate has to do with needs a hand.
fn not_followed(
    upstream: &str,
    reason: &'static str,
    refused: Option<NotTrusted>,
    why: &str,
    advice: &'static str,
) -> Vec<Say> {
    let refusal = refused.map(|refused| refused.refusal);
    let advice = refusal.map_or(advice, CertificateFault::advice);
    let line = refusal.map(|refusal| Say::CertificateFault(refusal, format!("not followed: {why}; {advice}")));
    let counted = Say::Count(refusal.map_or(reason, |_| "certificate"));
    let shown = Say::Trouble(format!("{upstream}: {why}; {advice}"));
    [counted].into_iter().chain(line).chain([shown]).collect()
}

/// As metrics call it.
fn reason(end: &FollowerEnd) -> &'static str {
    match end {
        FollowerEnd::Goodbye => "goodbye",
        FollowerEnd::Silent => "silent",
        FollowerEnd::Unconfirmed => "unconfirmed",
        FollowerEnd::Behind(_) => "behind",
        FollowerEnd::Damaged => "damaged",
        FollowerEnd::Filter => "filter",
        FollowerEnd::HoldsLess => "holds_less",
        FollowerEnd::Trickling => "trickling",
        FollowerEnd::Refused(_) => "refused",
        FollowerEnd::Circle(_) => "circle",
        FollowerEnd::Tables(_) => "snapshot",
        FollowerEnd::Elsewhere(_) => "store",
        _ => "malformed",
    }
}

/// What to do when the upstream is left.
fn advice(end: &FollowerEnd) -> &'static str {
    match end {
        FollowerEnd::Goodbye => "it was stopped; this edge comes back to it by itself",
        FollowerEnd::Silent => REACH,
        FollowerEnd::Unconfirmed => "this edge goes to the next upstream; look why that core reaches no majority",
        FollowerEnd::Behind(_) | FollowerEnd::HoldsLess => "this edge goes to the next upstream",
        FollowerEnd::Damaged => "the core sends it anew",
        FollowerEnd::Filter => "the upstream sends a snapshot of what this node is to hold now",
        FollowerEnd::Circle(_) => {
            "this relay goes to the next upstream; one of its upstreams must lead to a core by another way"
        }
        FollowerEnd::Far(_) => "let it follow a node that is nearer to a core",
        FollowerEnd::Trickling => "check the network between them",
        FollowerEnd::Tables(_) => "this edge tries again; if that goes on, look at its disk and at the one of the core",
        FollowerEnd::Elsewhere(_) => "this edge takes the snapshot from its upstream; look at the object store",
        FollowerEnd::Refused(SubscribeRefusal::Ahead(_)) | FollowerEnd::Back(_) => {
            "if the core was put back to an older state and that is to hold, stop it and run `zonecast cluster recover` on its \
             data folder: this edge follows then by itself"
        }
        FollowerEnd::Refused(SubscribeRefusal::ForkedAt { .. } | SubscribeRefusal::ChainDiffers { .. }) => {
            "if what the core holds is to hold, stop it and run `zonecast cluster recover` on its data folder: this edge \
             follows then by itself; else keep the data folder of this edge for whoever looks into it, and start it on an empty one"
        }
        FollowerEnd::Refused(SubscribeRefusal::Protocol(_)) => "bring both to releases one step apart",
        FollowerEnd::Refused(SubscribeRefusal::Filter) => {
            "let it follow a core, or a relay whose `keyspaces` include all of its own"
        }
        FollowerEnd::Refused(SubscribeRefusal::NotAllowed) => {
            "issue a certificate of role edge, with a name of its own"
        }
        _ => "if this edge belongs here, remove its data folder and start it again",
    }
}

#[cfg(test)]
mod tests {
    use zonecast_kv_proto::{Position, StoreId};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    const UPSTREAM: &str = "192.0.2.1:4000";

    fn lost(refusal: Option<CertificateFault>) -> Parting {
        Parting::Lost(refusal.map(|refusal| NotTrusted { refusal, by_peer: true }), "it broke".into())
    }

    fn text(text: &str) -> String {
        text.to_owned()
    }

    #[test]
    fn a_connection_that_is_lost_is_counted_and_shown() {
        let said = UpstreamReport::default().parted(SECOND, UPSTREAM, &lost(None));
        let shown = Say::Trouble(format!("192.0.2.1:4000: it broke; {REACH}"));
        assert_eq!(said, [Say::Count("lost"), shown]);
        let parting = Parting::NoConnection(EdgeError::Connect(text("no answer")));
        let said = UpstreamReport::default().parted(SECOND, UPSTREAM, &parting);
        let shown = Say::Trouble(format!("192.0.2.1:4000: no answer; {REACH}"));
        assert_eq!(said, [Say::Count("connect"), shown]);
    }

    #[test]
    fn what_a_certificate_has_to_do_with_says_so() {
        let said = UpstreamReport::default().parted(SECOND, UPSTREAM, &lost(Some(CertificateFault::Revoked)));
        let advice = CertificateFault::Revoked.advice();
        let expected = [
            Say::Count("certificate"),
            Say::CertificateFault(CertificateFault::Revoked, format!("not followed: it broke; {advice}")),
            Say::Trouble(format!("192.0.2.1:4000: it broke; {advice}")),
        ];
        assert_eq!(said, expected);
    }

    #[test]
    fn a_name_that_leads_nowhere_is_shown_like_a_connection_that_failed() {
        let error = EdgeError::Unresolved(std::io::Error::other("no such name"));
        let said = UpstreamReport::default().parted(SECOND, "core.test:1", &Parting::NoConnection(error));
        let shown = Say::Trouble(format!("core.test:1: the host name cannot be resolved: no such name; {RESOLVE}"));
        assert_eq!(said, [Say::Count("resolve"), shown]);
    }

    #[test]
    fn an_upstream_that_is_this_node_is_told_what_to_do_once_a_minute() {
        let mut standing = UpstreamReport::default();
        let mut said = |second| standing.parted(SECOND * second, UPSTREAM, &Parting::NoConnection(EdgeError::Itself));
        let (line, shown) = (Say::Error(format!("not followed: this is this node itself; {NOT_ITSELF}")), || {
            Say::Trouble(format!("192.0.2.1:4000: this is this node itself; {NOT_ITSELF}"))
        });
        assert_eq!(said(1), [Say::Count("itself"), line, shown()]);
        assert_eq!(said(11), [Say::Count("itself"), shown()]);
    }

    #[test]
    fn one_that_is_behind_is_neither_an_error_nor_shown() {
        let end = FollowerEnd::Behind(Position::origin(StoreId::new(5)));
        let passed_over = Say::PassedOver(end.to_string());
        let said = UpstreamReport::default().parted(SECOND, UPSTREAM, &Parting::Left(end));
        assert_eq!(said, [Say::Count("behind"), passed_over]);
    }

    #[test]
    fn what_needs_a_hand_has_a_line_a_minute_and_a_new_one_when_the_advice_changes() {
        let mut standing = UpstreamReport::default();
        let mut left = |second, end| {
            let said = standing.parted(SECOND * second, UPSTREAM, &Parting::Left(end));
            let has_line = said.iter().any(|say| matches!(say, Say::Error(_)));
            (said.len(), has_line)
        };
        assert_eq!(left(0, FollowerEnd::Goodbye), (2, false));
        assert_eq!(left(1, FollowerEnd::Snapshot), (3, true));
        assert_eq!(left(60, FollowerEnd::Snapshot), (2, false));
        assert_eq!(left(61, FollowerEnd::Snapshot), (3, true));
        assert_eq!(left(62, FollowerEnd::Refused(SubscribeRefusal::NotAllowed)), (3, true));
        assert_eq!(left(63, FollowerEnd::Silent), (2, false));
        assert_eq!(left(64, FollowerEnd::Snapshot), (3, true));
    }

    #[test]
    fn leaving_says_why_and_what_to_do() {
        let said = UpstreamReport::default().parted(SECOND, UPSTREAM, &Parting::Left(FollowerEnd::Snapshot));
        let (end, advice) = (FollowerEnd::Snapshot, advice(&FollowerEnd::Snapshot));
        let expected = [
            Say::Count("malformed"),
            Say::Error(format!("following has stopped: {end}; answers go on from the last good version; {advice}")),
            Say::Trouble(format!("192.0.2.1:4000: {end}; {advice}")),
        ];
        assert_eq!(said, expected);
    }

    #[test]
    fn a_twin_is_shown_for_some_turns_of_both_and_logged_once_a_minute() {
        let mut standing = UpstreamReport::default();
        assert!(standing.is_alone(SECOND));
        let parting = Parting::Replaced(text("from 192.0.2.9"));
        let says = format!("another process uses this identity: from 192.0.2.9; {ANOTHER_NAME}");
        let shown = format!("another process uses this identity: 192.0.2.1:4000 says: from 192.0.2.9; {ANOTHER_NAME}");
        let said = standing.parted(SECOND, UPSTREAM, &parting);
        assert_eq!(said, [Say::Count("replaced"), Say::Error(says), Say::Twin(shown.clone())]);
        assert_eq!(standing.parted(SECOND * 30, UPSTREAM, &parting), [Say::Count("replaced"), Say::Twin(shown)]);
        assert!(!standing.is_alone(SECOND * 149));
        assert!(standing.is_alone(SECOND * 150));
    }
}
