//! Generations that nothing refers to: left by a process that ended between building a generation and flipping to it,
//! or between a flip that was overtaken and deleting what was built for it.
//!
//! A generation that is built under the present lead has an id that was allocated under it, so whatever is older and
//! belongs to no zone key is an orphan.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use zonecast_builder::{ZoneIdentity, delete_generation, deleted_zones, retired_generations};
use zonecast_kv_core::Core;
use zonecast_kv_proto::{KeyspaceId, SectionId, View, ViewError};
use zonecast_records::{DnsKey, Generation, KeyBuffer, KeySection, ZoneId, ZoneValue};

use super::Committer;
use crate::error::ServiceError;

/// Section of an orphan's deletion: nobody knows any more which zone it was for, and no zone has id 0.
const NO_ZONE: ZoneId = ZoneId::new(0);

/// A section that each deletion of an orphan touches. What flips to a new generation requires that none was deleted since
/// it was planned: a lead that ended while an import was under way may be this core's again, and its sweep has taken the
/// generation for an orphan.
pub(crate) const SWEPT: SectionId = SectionId { keyspace: KeyspaceId::DNS, partition: NO_ZONE.get() };

/// Deletes every orphaned generation below `before`, the first id that the present lead may have allocated; says how many
/// there were. Costs a seek for each generation there is.
///
/// # Errors
/// The state could not be read, or the core cannot commit.
pub(crate) async fn sweep_orphans(core: &Core, before: u64) -> Result<usize, ServiceError> {
    let view = core.view();
    let found = tokio::task::spawn_blocking(move || orphans(&view, before)).await.map_err(ServiceError::internal)?;
    let found = found.map_err(ServiceError::internal)?;
    let mut committer = Committer::leading(core)?;
    for generation in &found {
        let deletion = delete_generation(ZoneIdentity { id: NO_ZONE, generation: *generation });
        committer.push(&deletion, ()).await?;
    }
    committer.finish().await?;
    Ok(found.len())
}

fn orphans(view: &dyn View, before: u64) -> Result<BTreeSet<Generation>, ViewError> {
    let live = live(view)?;
    let mut orphans = BTreeSet::new();
    for keyspace in [KeyspaceId::DNS, KeyspaceId::CORE] {
        let mut from = 1;
        while let Some(generation) = first_generation(view, keyspace, from, before)? {
            if !live.contains(&generation) {
                orphans.insert(generation);
            }
            from = generation.get().saturating_add(1);
        }
    }
    Ok(orphans)
}

/// Generations that zone keys refer to, and those that are kept for a while. A zone key that cannot be read stops the
/// sweep: its generation is not known.
fn live(view: &dyn View) -> Result<BTreeSet<Generation>, ViewError> {
    let bound = |section| KeyBuffer::new().prefix(KeyspaceId::DNS, Generation::ZONES, section).to_vec();
    let mut live = BTreeSet::new();
    let mut damaged = None;
    view.scan(&bound(KeySection::Zone), &bound(KeySection::Name), &mut |key, value| match ZoneValue::decode(value) {
        Ok(zone) => {
            live.insert(zone.generation);
            ControlFlow::Continue(())
        }
        Err(error) => {
            damaged = Some(ViewError(format!("zone key {}: {error}", key.escape_ascii())));
            ControlFlow::Break(())
        }
    })?;
    if let Some(damaged) = damaged {
        return Err(damaged);
    }
    let retired = retired_generations(view).map_err(|error| ViewError(error.to_string()))?;
    live.extend(retired.iter().map(|retired| retired.identity.generation));
    let deleted = deleted_zones(view, None, |zone| {
        live.insert(zone.identity.generation);
        ControlFlow::Continue(())
    });
    deleted.map_err(|error| ViewError(error.to_string()))?;
    Ok(live)
}

/// The first generation in `from..before` that has a key.
fn first_generation(
    view: &dyn View,
    keyspace: KeyspaceId,
    from: u64,
    before: u64,
) -> Result<Option<Generation>, ViewError> {
    let bound = |number| KeyBuffer::new().prefix(keyspace, Generation::new(number), KeySection::Zone).to_vec();
    let mut first = Ok(None);
    view.scan(&bound(from), &bound(before), &mut |key, _| {
        first = match DnsKey::parse(key) {
            Ok(key) => Ok(Some(key.generation)),
            Err(error) => Err(ViewError(format!("key {}: {error}", key.escape_ascii()))),
        };
        ControlFlow::Break(())
    })?;
    first
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use domain::base::iana::Rtype;
    use zonecast_builder::{FullBuild, Location, Settings, ZoneSource};
    use zonecast_kv_core::{Applied, CoreConfig};
    use zonecast_kv_store::StateOptions;
    use zonecast_records::{Name, RecordRef};

    use super::*;

    fn build(number: u64, generation: u64) -> FullBuild {
        let apex: Name = "example".parse().unwrap();
        let mut source = ZoneSource::new(apex);
        let soa = [&b"\x01m\x00\x01r\x00"[..], &[0; 20]].concat();
        let mut push = |owner: &str, rtype, rdata: &[u8]| {
            let owner: Name = owner.parse().unwrap();
            source.push(RecordRef { owner: &owner, rtype, ttl: 60, rdata }, Location::new(0));
        };
        push("example", Rtype::SOA, &soa);
        push("example", Rtype::NS, b"\x02ns\x00");
        for host in 0..50 {
            push(&format!("Host-{host}.example"), Rtype::A, &[192, 0, 2, host]);
        }
        let identity = ZoneIdentity { id: ZoneId::new(number), generation: Generation::new(generation) };
        source.build(identity, &Settings::default()).unwrap()
    }

    fn entries(core: &Core) -> Vec<Vec<u8>> {
        let mut keys = vec![];
        let all = &mut |key: &[u8], _: &[u8]| {
            keys.push(key.to_vec());
            ControlFlow::Continue(())
        };
        for keyspace in [KeyspaceId::DNS, KeyspaceId::CORE] {
            let bound = |number| KeyBuffer::new().prefix(keyspace, Generation::new(number), KeySection::Zone).to_vec();
            core.view().scan(&bound(0), &bound(u64::MAX), all).unwrap();
        }
        keys
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_no_zone_refers_to_goes_and_the_rest_stays() {
        let folder = tempfile::tempdir().unwrap();
        let config = CoreConfig {
            data_dir: folder.path().into(),
            state: StateOptions::default(),
            registry: prometheus::Registry::new(),
            sink: Arc::new(|_: &Applied| {}),
            cluster: None,
        };
        let core = Core::start(config).await.unwrap();
        let mut committer = Committer::leading(&core).unwrap();
        for batch in build(1, 2).into_batches(512) {
            committer.push(&batch, ()).await.unwrap();
        }
        committer.finish().await.unwrap();
        let with_zone = entries(&core);

        // Bulk without its flip, of a generation of an earlier process and of one that is being built now.
        for generation in [3, 9] {
            let batches: Vec<_> = build(1, generation).into_batches(512).collect();
            for batch in &batches[..batches.len() - 1] {
                committer.push(batch, ()).await.unwrap();
            }
        }
        committer.finish().await.unwrap();
        let with_orphans = entries(&core).len();
        assert!(with_orphans > with_zone.len());

        assert_eq!(sweep_orphans(&core, 9).await.unwrap(), 1);
        assert!(entries(&core).len() > with_zone.len(), "a generation that is being built was taken");
        assert_eq!(sweep_orphans(&core, 10).await.unwrap(), 1);
        assert_eq!(entries(&core), with_zone);
        assert_eq!(sweep_orphans(&core, 10).await.unwrap(), 0);
        core.shutdown().await.unwrap();
    }
}
