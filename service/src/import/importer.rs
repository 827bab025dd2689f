//! The core whose folder of zone files is imported: one of a cluster, named in the replicated state, so that cores with
//! different folders do not undo each other's zones.
//!
//! # Format
//! The key is the keyspace `8002` and `i`. The value is the positional MessagePack array `[format, name]`.

use bytes::Bytes;
use zonecast_kv_proto::{Key, KeyspaceId, Op, Value, View, positional, read_whole};

use crate::error::ServiceError;

const FORMAT: u8 = 1;

/// After the keyspace in the key.
const IMPORTER: u8 = b'i';

positional! {
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    struct Stored {
        format: u8,
        name: String,
    }
}

/// The name of the core, if one is named.
pub(crate) fn read_importer(view: &(impl View + ?Sized)) -> Result<Option<String>, ServiceError> {
    let mut value = Vec::new();
    if !view.get(key().as_bytes(), &mut value).map_err(ServiceError::internal)? {
        return Ok(None);
    }
    match read_whole::<Stored>(&value) {
        Ok(Stored { format: FORMAT, name }) => Ok(Some(name)),
        Ok(Stored { format, .. }) => Err(ServiceError::internal(format_args!("the importer has format {format}"))),
        Err(error) => Err(ServiceError::internal(format_args!("the importer: {error}"))),
    }
}

/// Names the core.
pub(crate) fn put_importer(name: &str) -> Op {
    let stored = Stored { format: FORMAT, name: name.to_owned() };
    let value = rmp_serde::to_vec(&stored).expect("plain data always encodes");
    Op::Put { key: key(), value: Value::new(value).expect("a name is short") }
}

fn key() -> Key {
    let [high, low] = KeyspaceId::ACCESS.get().to_be_bytes();
    Key::new(Bytes::copy_from_slice(&[high, low, IMPORTER])).expect("three bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{ACCESS, read_tokens};
    use zonecast_kv_proto::{Batch, MemoryView, Section};

    #[test]
    fn it_is_read_as_it_was_written_and_is_no_token() {
        let mut view = MemoryView::new();
        assert_eq!(read_importer(&view).unwrap(), None);
        let sections = vec![Section { id: ACCESS, ops: vec![put_importer("core-2")] }];
        view.apply(&Batch { preconditions: vec![], sections });
        assert_eq!(read_importer(&view).unwrap().as_deref(), Some("core-2"));
        assert!(read_tokens(&view).unwrap().is_empty());
    }
}
