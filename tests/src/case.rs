//! One question to everybody, and where the replies differ.

use std::collections::BTreeSet;
use std::fmt;

use crate::{Aspect, Mode, Question, Reply, Rr, ZoneData, differences};

/// One question, and what everybody said.
#[derive(Debug)]
pub struct Case<'a> {
    /// Asked.
    pub question: &'a Question,
    /// In this way.
    pub mode: Mode,
    /// Of the server under test.
    pub ours: &'a Reply,
    /// Of the peers, by name.
    pub peers: &'a [(&'static str, &'a Reply)],
    /// All zones that the servers host.
    pub zones: &'a [ZoneData],
}

impl Case<'_> {
    /// Whether any hosted zone holds exactly this record, or a wildcard above its owner does.
    #[must_use]
    pub fn is_hosted(&self, rr: &Rr) -> bool {
        self.zones.iter().any(|zone| zone.contains(rr) || zone.synthesises(rr))
    }

    /// Aspects in which ours differs from each peer.
    pub fn differences(&self) -> impl Iterator<Item = (&'static str, BTreeSet<Aspect>)> {
        self.peers.iter().map(|(name, reply)| (*name, differences(self.ours, reply)))
    }
}

impl fmt::Display for Case<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} over {:?}", self.question, self.mode)?;
        writeln!(f, "    ours: {}", self.ours)?;
        for (name, reply) in self.peers {
            let aspects = differences(self.ours, reply);
            if aspects.is_empty() {
                writeln!(f, "    {name}: the same")?;
            } else {
                writeln!(f, "    {name}: differs in {aspects:?}: {reply}")?;
            }
        }
        Ok(())
    }
}
