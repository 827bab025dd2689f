//! The two keys of a zone itself: the published one that every answer begins with, and its private counterpart.

use domain::base::iana::Rtype;
use zonecast_kv_proto::{Key, KeyspaceId, Value, View};
use zonecast_records::{CoreZone, KeyBuffer, Name, ZoneValue};

use crate::node::Node;
use crate::packed::Packed;
use crate::read_error::ReadError;
use crate::settings::Settings;
use crate::shape::{Shape, ZoneIdentity};
use crate::tally::Tally;

/// Values of the two keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ZoneKeys {
    pub(crate) published: Vec<u8>,
    pub(crate) private: Vec<u8>,
}

/// A present zone.
#[derive(Clone, Debug)]
pub(crate) struct PresentZone {
    pub(crate) shape: Shape,
    pub(crate) keys: ZoneKeys,
    pub(crate) tally: Tally,
    /// What went into its keys beside records.
    pub(crate) settings: Settings,
}

impl ZoneKeys {
    /// From the apex and the counts.
    pub(crate) fn new<D: AsRef<[u8]>>(shape: &Shape, apex: &Node<D>, tally: &Tally, settings: &Settings) -> Self {
        let [soa, ns] =
            [Rtype::SOA, Rtype::NS].map(|rtype| apex.rrset(rtype).map(|rrset| Packed::new(&rrset)).unwrap_or_default());
        let core = tally.to_core(settings.origin()).with_settings(settings.zone());
        let value = ZoneValue {
            summary: core.summary(),
            soa: soa.as_rrset(),
            ns: ns.as_rrset(),
            ..ZoneValue::new(&shape.apex, shape.identity.id, shape.identity.generation)
        };
        Self { published: value.encode(), private: core.encode() }
    }

    /// Key and value, published first.
    pub(crate) fn entries(&self, apex: &Name) -> [(Key, Value); 2] {
        [(KeyspaceId::DNS, &self.published), (KeyspaceId::CORE, &self.private)].map(|(keyspace, value)| {
            (zone_key(keyspace, apex), Value::new(value.clone()).expect("SOA and NS set are far below the limit"))
        })
    }
}

impl PresentZone {
    /// Reads the two keys of a zone; `None` when there is no such zone, or it is one that was never loaded.
    pub(crate) fn read(view: &dyn View, apex: &Name) -> Result<Option<Self>, ReadError> {
        let (mut published, mut private) = (Vec::new(), Vec::new());
        let key = zone_key(KeyspaceId::DNS, apex);
        if !view.get(key.as_bytes(), &mut published)? {
            return Ok(None);
        }
        let damaged = |source| ReadError::Value { key: key.clone(), source };
        let value = ZoneValue::decode(&published).map_err(damaged)?;
        if !value.has_data() {
            return Ok(None);
        }
        let apex = value.apex().map_err(damaged)?;
        let shape = Shape { apex, identity: ZoneIdentity { id: value.id, generation: value.generation } };
        let core_key = zone_key(KeyspaceId::CORE, &apex);
        if !view.get(core_key.as_bytes(), &mut private)? {
            return Err(ReadError::counts(&apex));
        }
        let core = CoreZone::decode(&private).map_err(|source| ReadError::Value { key: core_key, source })?;
        let (tally, settings) = (Tally::read(&core), Settings::of_core(&core));
        Ok(Some(Self { shape, keys: ZoneKeys { published, private }, tally, settings }))
    }
}

impl PresentZone {
    /// The published zone key.
    pub(crate) fn value(&self) -> Result<ZoneValue<'_>, ReadError> {
        ZoneValue::decode(&self.keys.published).map_err(|_| ReadError::counts(&self.shape.apex))
    }

    /// Of its SOA.
    pub(crate) fn serial(&self) -> Result<u32, ReadError> {
        let serial = self.value()?.serial().map_err(|_| ReadError::counts(&self.shape.apex))?;
        Ok(serial.into_int())
    }
}

/// The key of a zone in a keyspace.
pub(crate) fn zone_key(keyspace: KeyspaceId, apex: &Name) -> Key {
    let mut buffer = KeyBuffer::new();
    buffer.zone(keyspace, apex);
    buffer.to_key()
}
