//! What is chosen for all zones of a store.

use zonecast_kv_proto::{Batch, Key, Op, Value, View};
use zonecast_records::{Guards, KeyBuffer, ZoneId};

use crate::ops::batch_of;
use crate::read_error::ReadError;

/// Section of what belongs to no zone.
const NO_ZONE: ZoneId = ZoneId::new(0);

/// What writes must not do to zones that choose nothing themselves.
///
/// # Errors
/// The store could not be read.
pub fn store_guards(view: &dyn View) -> Result<Guards, ReadError> {
    let (key, mut value) = (store_key(), vec![]);
    if !view.get(key.as_bytes(), &mut value)? {
        return Ok(Guards::default());
    }
    Guards::decode(&value).map_err(|source| ReadError::Value { key, source })
}

/// Chooses other ones; empty when they are those it has.
///
/// # Errors
/// The store could not be read.
pub fn choose_guards(view: &dyn View, guards: Guards) -> Result<Batch, ReadError> {
    if store_guards(view)? == guards {
        return Ok(Batch::default());
    }
    let value = Value::new(guards.encode()).expect("some numbers");
    Ok(batch_of(NO_ZONE, vec![], vec![Op::Put { key: store_key(), value }]))
}

fn store_key() -> Key {
    let mut buffer = KeyBuffer::new();
    buffer.store();
    buffer.to_key()
}
