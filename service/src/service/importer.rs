//! Whose folder of zone files is imported: that of the core that asked first, until an operator names another one.
//!
//! ```text
//! core-2, with `[zones]` ─ a stream ─▶ leader: names core-2, if no member is named ─ the name ─▶ core-2
//!                                      gives the lead to core-2, if that is the one
//! ```
//! Only the core that leads imports, because only it can propose batches; so the one that is named asks for the lead first.

use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use zonecast_api::types::ClusterInfo;
use zonecast_kv_core::{Core, FIRST_OTHER_KIND, Member};
use zonecast_kv_proto::{Batch, Section, View};
use zonecast_kv_transport::CoreStream;

use super::Service;
use crate::access::ACCESS;
use crate::error::ServiceError;
use crate::import::{committed, put_importer, read_importer};
use crate::who::Who;

/// Kind of the streams on which a core asks whether its zone files are to be imported.
pub(crate) const IMPORT: u8 = FIRST_OTHER_KIND + 2;

/// For the core that asks to take the lead.
const LEAD_WITHIN: Duration = Duration::from_secs(10);

impl Service {
    /// The core whose zone files are imported, as it is applied here.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn importer(&self) -> Result<Option<String>, ServiceError> {
        read_importer(&self.core().view())
    }

    /// Names this core, unless another member is named; says who is. On the leader only.
    ///
    /// # Errors
    /// The core cannot commit.
    pub async fn claim_import(&self, name: &str) -> Result<String, ServiceError> {
        let (name, members) = (name.to_owned(), self.member_names().await);
        self.name_importer(move |present| match present {
            Some(present) if members.contains(&present) => present,
            Some(_) | None => name,
        })
        .await
    }

    /// Has the zone files of this core imported from its next start on, and those of no other.
    ///
    /// # Errors
    /// It is no member, or the core cannot commit.
    pub async fn import_at(self: &Arc<Self>, name: String, who: &Who) -> Result<ClusterInfo, ServiceError> {
        if !self.member_names().await.contains(&name) {
            return Err(ServiceError::NoCore(format!("no core of this cluster has the name {name}")));
        }
        let service = Arc::clone(self);
        let named = async move {
            let named = service.name_importer(move |_| name).await?;
            Ok((service.cluster().await, named))
        };
        let (cluster, named) = self.to_the_end(who, named).await?;
        tracing::info!(by = who.name(), core = named, "the zone files of this core are imported at its next start");
        Ok(cluster)
    }

    /// This core has zone files that are not imported, because those of this other one are.
    pub fn leave_import_to(&self, other: String) {
        // A core looks once, at its start.
        let _ = self.imported_elsewhere.set(other);
    }

    /// Asks the leader whether the zone files of this core are to be imported; says whose are. If it is this core, the
    /// leader gives it the lead.
    ///
    /// # Errors
    /// The leader cannot be reached, or does not lead any more.
    pub async fn ask_for_import(&self, leader: &Member) -> io::Result<String> {
        let CoreStream { sender, mut receiver } = self.core().open(leader, IMPORT).await?;
        sender.finish().await.map_err(io::Error::other)?;
        let answer = receiver.next().await.map_err(io::Error::other)?;
        let answer = answer.ok_or_else(|| io::Error::other("it did not answer"))?;
        String::from_utf8(answer.to_vec()).map_err(io::Error::other)
    }

    async fn member_names(&self) -> Vec<String> {
        self.core().cluster().await.members.into_iter().map(|member| member.member.name).collect()
    }

    async fn name_importer(
        &self,
        choose: impl FnOnce(Option<String>) -> String + Send + 'static,
    ) -> Result<String, ServiceError> {
        let build = move |view: &dyn View, _: &zonecast_kv_core::Editions<'_>| {
            let present = read_importer(view)?;
            let chosen = choose(present.clone());
            let is_new = present.as_ref() != Some(&chosen);
            let section = || Section { id: ACCESS, ops: vec![put_importer(&chosen)] };
            let sections = is_new.then(section).into_iter().collect();
            Ok::<_, ServiceError>((Batch { preconditions: vec![], sections }, chosen))
        };
        let (chosen, pending) = self.core().change(build).await?;
        committed(pending.await)?;
        Ok(chosen)
    }
}

/// Answers a core that asks whether its zone files are to be imported.
pub(crate) async fn answer_import(core: Core, service: Weak<Service>, name: String, stream: CoreStream) {
    let Some(service) = service.upgrade().filter(|_| core.leads()) else { return };
    let CoreStream { mut sender, mut receiver } = stream;
    // It asks nothing more; whoever lets go of the half before would look like one that refuses.
    if !matches!(receiver.next().await, Ok(None)) {
        return;
    }
    let named = match service.claim_import(&name).await {
        Ok(named) => named,
        Err(error) => return tracing::debug!(core = name, %error, "a core is not told whose zone files are imported"),
    };
    drop(service);
    if sender.send(Bytes::from(named.clone().into_bytes())).await.is_err() || sender.finish().await.is_err() {
        return;
    }
    if named == name
        && let Err(error) = core.transfer_lead(&name, LEAD_WITHIN).await
    {
        tracing::info!(core = name, %error, "this core did not get the lead to import its zone files; it asks again");
    }
}
