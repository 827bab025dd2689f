//! The counts behind a zone's summary, kept by counting keys in as they come and out as they go.

use std::collections::BTreeMap;

use domain::base::iana::Rtype;
use serde_bytes::Bytes;
use zonecast_kv_proto::KeyspaceId;
use zonecast_records::{ADDRESS_KIND, AddressValue, CoreNode, CoreZone, DnsKey, KeySection, Nsec3Chain};

use crate::read_error::ReadError;

/// Depths that a summary tells apart.
const DEPTHS: usize = u32::BITS as usize;

/// Whether a key comes or goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyChange {
    Comes,
    Goes,
}

/// Counts of one zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    wildcards: [u64; DEPTHS],
    cuts: [u64; DEPTHS],
    dnames: [u64; DEPTHS],
    chains: BTreeMap<Vec<u8>, u64>,
    layered: u64,
    /// Of all nodes; those who know the nodes count them.
    pub(crate) records: u64,
}

impl Tally {
    /// As the core keeps it.
    pub(crate) fn read(core: &CoreZone<'_>) -> Self {
        let counts = |kept: &[u64]| {
            let mut counts = [0; DEPTHS];
            counts.iter_mut().zip(kept).for_each(|(count, kept)| *count = *kept);
            counts
        };
        Self {
            wildcards: counts(&core.wildcards),
            cuts: counts(&core.cuts),
            dnames: counts(&core.dnames),
            chains: core.chains.iter().map(|chain| (chain.parameters.to_vec(), chain.count)).collect(),
            layered: core.layered,
            records: core.records,
        }
    }

    /// As the core keeps it.
    pub(crate) fn to_core<'a>(&'a self, origin: &'a [u8]) -> CoreZone<'a> {
        let trimmed = |counts: &[u64]| {
            let used = counts.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
            counts.iter().take(used).copied().collect()
        };
        let chain =
            |(parameters, count): (&'a Vec<u8>, &u64)| Nsec3Chain { parameters: Bytes::new(parameters), count: *count };
        CoreZone {
            records: self.records,
            wildcards: trimmed(&self.wildcards),
            cuts: trimmed(&self.cuts),
            dnames: trimmed(&self.dnames),
            chains: self.chains.iter().map(chain).collect(),
            layered: self.layered,
            ..CoreZone::new(origin)
        }
    }

    /// How many NSEC3 chains there are.
    pub(crate) fn chains(&self) -> usize {
        self.chains.len()
    }

    /// How many names have something laid over their records.
    pub(crate) fn layered(&self) -> u64 {
        self.layered
    }

    /// Parameters of each NSEC3 chain as they stand in keys.
    pub(crate) fn chain_parameters(&self) -> impl Iterator<Item = &[u8]> {
        self.chains.keys().map(Vec::as_slice)
    }

    /// Counts one entry of a generation; `false` when it would take away what was never counted.
    pub(crate) fn count(&mut self, key: &[u8], value: &[u8], turn: KeyChange) -> Result<bool, ReadError> {
        let parsed = DnsKey::parse(key).map_err(|source| ReadError::Key { key: key.to_vec(), source })?;
        match (parsed.keyspace, parsed.section, parsed.kind) {
            (KeyspaceId::DNS, KeySection::Name, ADDRESS_KIND) => {
                let value = AddressValue::decode(value).map_err(|source| ReadError::value(key, source))?;
                let path = parsed.node_path().map_err(|source| ReadError::Key { key: key.to_vec(), source })?;
                let depth = path.depth();
                let mut counted = true;
                if path.is_wildcard() {
                    counted &= step(&mut self.wildcards, depth.saturating_sub(1), turn);
                }
                if value.cut.is_some() {
                    counted &= step(&mut self.cuts, depth, turn);
                }
                if value.types().contains(Rtype::DNAME) {
                    counted &= step(&mut self.dnames, depth, turn);
                }
                Ok(counted)
            }
            (KeyspaceId::CORE, KeySection::Name, ADDRESS_KIND) => {
                let value = CoreNode::decode(value).map_err(|source| ReadError::value(key, source))?;
                Ok(!value.is_layered() || turned(&mut self.layered, turn))
            }
            (KeyspaceId::DNS, KeySection::Nsec3, _) => {
                Ok(parsed.nsec3_parts().is_some_and(|(parameters, _)| self.count_chain(parameters, turn)))
            }
            _ => Ok(true),
        }
    }

    fn count_chain(&mut self, parameters: &[u8], turn: KeyChange) -> bool {
        let count = self.chains.entry(parameters.to_vec()).or_default();
        let counted = turned(count, turn);
        if *count == 0 {
            self.chains.remove(parameters);
        }
        counted
    }
}

fn step(counts: &mut [u64; DEPTHS], depth: usize, turn: KeyChange) -> bool {
    counts.get_mut(depth.min(DEPTHS - 1)).is_some_and(|count| turned(count, turn))
}

fn turned(count: &mut u64, turn: KeyChange) -> bool {
    let next = match turn {
        KeyChange::Comes => count.checked_add(1),
        KeyChange::Goes => count.checked_sub(1),
    };
    *count = next.unwrap_or(*count);
    next.is_some()
}
