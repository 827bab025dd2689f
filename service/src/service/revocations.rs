//! Revoked certificates: the list of the CA, published through the leader, in force at every core and edge that applies it.

use std::sync::Arc;

use zonecast_api::types::Revocations;
use zonecast_kv_core::Core;
use zonecast_kv_proto::{Batch, RevokedList, RevokedListError, Section, View};
use zonecast_kv_transport::{Identity, RevocationList, Serial};

use super::Service;
use crate::error::ServiceError;
use crate::import::committed;
use crate::who::Who;
use crate::zone::blocking;

impl From<RevokedListError> for ServiceError {
    fn from(error: RevokedListError) -> Self {
        Self::internal(error)
    }
}

impl Service {
    /// The certificates that are revoked as it is applied here.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn revocations(&self) -> Result<Revocations, ServiceError> {
        let core = self.core().clone();
        blocking(move || Ok(described(&RevokedList::read(&core.view())?))).await
    }

    /// Has every core and edge refuse whom a list names, which the CA of this system has signed. It takes the place of the
    /// list before.
    ///
    /// # Errors
    /// It is not such a list, there is a later one, or the core cannot commit.
    pub async fn publish_revocations(self: &Arc<Self>, pem: String, who: &Who) -> Result<Revocations, ServiceError> {
        let identity = self.parts.identity.clone();
        let list = blocking(move || identity.read_list(&pem).map_err(ServiceError::bad)).await?;
        let service = Arc::clone(self);
        let published = self.to_the_end(who, async move { service.publish_list(list).await }).await?;
        let (by, number) = (who.name(), published.number);
        tracing::info!(
            by,
            number,
            certificates = published.serials.len(),
            "the list of revoked certificates is in force"
        );
        Ok(published)
    }

    async fn publish_list(self: &Arc<Self>, list: RevocationList) -> Result<Revocations, ServiceError> {
        let RevocationList { number, serials } = list;
        let next = RevokedList { number, serials: serials.iter().map(|serial| serial.as_bytes().to_vec()).collect() };
        let build = move |view: &dyn View, _: &zonecast_kv_core::Editions<'_>| {
            let before = RevokedList::read(view)?;
            if next.number < before.number {
                return Err(ServiceError::refused(
                    format_args!("list {} is in force, which is later than list {number}", before.number),
                    vec![],
                ));
            }
            let ops = next.since(&before);
            let sections = if ops.is_empty() { vec![] } else { vec![Section { id: RevokedList::SECTION, ops }] };
            Ok((Batch { preconditions: vec![], sections }, described(&next)))
        };
        let (published, pending) = self.core().change(build).await?;
        committed(pending.await)?;
        self.refresh_access().await?;
        Ok(published)
    }

    /// Takes over what is applied of it.
    pub(super) fn refresh_revocations(&self) -> Result<(), ServiceError> {
        let mut seen = self.revocations_seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let edition = self.core().view().edition(RevokedList::SECTION).map_err(ServiceError::internal)?;
        if *seen != edition {
            take_revocations(self.core(), &self.parts.identity)?;
            *seen = edition;
        }
        Ok(())
    }
}

/// Refuses whom the applied state names.
pub(crate) fn take_revocations(core: &Core, identity: &Identity) -> Result<(), ServiceError> {
    let list = RevokedList::read(&core.view())?;
    identity.revoke(list.serials.iter().map(|serial| Serial::new(serial)).collect());
    Ok(())
}

fn described(list: &RevokedList) -> Revocations {
    let serials = list.serials.iter().map(|serial| Serial::new(serial).to_string()).collect();
    Revocations { number: list.number, serials }
}
