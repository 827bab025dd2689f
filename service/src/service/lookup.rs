//! What the store of the core or of an edge holds for a name.

use domain::base::iana::Rtype;
use zonecast_ingest::parse_type;
use zonecast_kv_proto::{Version, View};
use zonecast_records::Name;

use super::{LocalEdge, Service, inspect};
use crate::error::ServiceError;
use crate::zone::{StoredZone, blocking};
use zonecast_api::types::Lookup;

impl Service {
    /// Keys and values for a name, or only those that hold one type; `at` is `core`, `edge` for the first one of
    /// this process, or the name of one; without it an edge is asked if there is one, else the core.
    ///
    /// # Errors
    /// Not a type or edge, or the store could not be read.
    pub async fn lookup(&self, name: Name, rtype: Option<String>, at: Option<String>) -> Result<Lookup, ServiceError> {
        let rtype = rtype.map(|rtype| parse_type(&rtype)).transpose().map_err(ServiceError::bad)?;
        let has_edge = !self.parts.edges.is_empty();
        let at = at.unwrap_or_else(|| if has_edge { "edge" } else { "core" }.into());
        if at == "core" {
            let core = self.core().clone();
            return blocking(move || {
                let view = core.view();
                let version = view.position().map_err(ServiceError::internal)?.version;
                lookup(&view, at, version, &name, rtype)
            })
            .await;
        }
        let edge = self.parts.edges.iter().find(|edge| at == "edge" || edge.name == at);
        let edge = edge.ok_or(ServiceError::NoEdge(at))?.clone();
        edge.read(name, rtype).await
    }
}

impl LocalEdge {
    /// Keys and values for a name, or only those that hold one type.
    ///
    /// # Errors
    /// Not a type, or the store could not be read.
    pub async fn lookup(&self, name: Name, rtype: Option<String>) -> Result<Lookup, ServiceError> {
        let rtype = rtype.map(|rtype| parse_type(&rtype)).transpose().map_err(ServiceError::bad)?;
        self.clone().read(name, rtype).await
    }

    async fn read(self, name: Name, rtype: Option<Rtype>) -> Result<Lookup, ServiceError> {
        blocking(move || match self.states.load() {
            Some(state) => lookup(&state.snapshot.view(), self.name, state.position.version, &name, rtype),
            None => Ok(Lookup { at: self.name, name: name.to_string(), ..Lookup::default() }),
        })
        .await
    }
}

fn lookup(
    view: &impl View,
    at: String,
    version: Version,
    name: &Name,
    rtype: Option<Rtype>,
) -> Result<Lookup, ServiceError> {
    let zone = StoredZone::enclosing(view, name).map_err(ServiceError::internal)?;
    let entries = zone.map(|zone| inspect::entries(view, &zone, name, rtype)).transpose();
    Ok(Lookup {
        at,
        version: version.get(),
        name: name.to_string(),
        zone: zone.map(|zone| zone.apex.to_string()),
        entries: entries.map_err(ServiceError::internal)?.unwrap_or_default(),
    })
}
