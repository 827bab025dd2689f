//! The DNS data model: which keys a zone becomes and what their values hold.
//!
//! ```text
//! zone key      dns | generation 0 | zone | apex path            | SOA      one per zone, where every answer begins
//! address key   dns | generation   | name | path below the apex  | ADDRESS  one per node: A, AAAA, CNAME, types, cut
//! RRset key     dns | generation   | name | path below the apex  | type     one per node and other type
//! glue key      dns | generation   | glue | path below the apex  | ADDRESS  occluded A and AAAA, under their own name
//! NSEC key      dns | generation   | nsec | path below the apex  | NSEC
//! NSEC3 key     dns | generation   | nsec3| parameters, hash     | NSEC3
//!
//! core zone     core | generation 0| zone | apex path            | SOA      counts behind the summary, origin
//! core node     core | generation  | name | path below the apex  | ADDRESS  letter case, TTLs of mixed RRsets
//! hidden RRset  core | generation  | name | path below the apex  | type     occluded, other than addresses
//! change        core | generation 0| history | zone id, number   | 0        one per change of a zone, with its inverse
//! alias         core | generation 0| alias | name, zone id       | 0        which zones flatten an alias through the name
//! retired       core | generation 0| retired | zone id, generation| 0       a generation before the present one
//! deleted       core | generation 0| deleted | apex, zone id     | 0        a zone that can be brought back
//! store         core | generation 0| store   |                   | 0        what is chosen for all zones
//! ```
//! The keyspace `core` never leaves the core; the rest is what edges hold.
//!
//! Paths are labels from the apex down, so the order of keys is the canonical order of RFC 4034 section 6.1 and a node
//! stands right before its descendants. docs/format.md has every byte.

mod address_value;
mod alias_value;
mod bitmap;
mod canonical_rdata;
mod core_node;
mod core_zone;
mod guards;
#[cfg(test)]
mod hostile;
mod key;
mod name;
mod path;
mod rdata_field;
mod rdata_list;
mod record;
mod retired_generation;
mod rrset;
mod summary;
mod value_error;
mod zone_change;
mod zone_settings;
mod zone_value;

pub use address_value::{AddressValue, Cut, Glue};
pub use alias_value::AliasValue;
pub use bitmap::{TypeBitmap, TypeBitmapBuilder};
pub use canonical_rdata::{canonical_rdata, canonical_rdata_cmp, is_well_formed_rdata};
pub use core_node::{AsideRecord, CoreNode, MAX_ASIDE, NotServed, OwnTtls};
pub use core_zone::{CoreZone, MAX_CHAINS, MAX_NSEC3_ITERATIONS, Nsec3Chain};
pub use guards::{Guards, OlderSerial, OlderSerialError, Percent};
pub use key::{
    ADDRESS_KIND, DnsKey, DnsKeyError, Generation, KEY_PREFIX_LEN, KeyBuffer, KeySection, NameInZone, Nsec3Parameters,
    ZoneId, generation_range,
};
pub use name::{MAX_NAME_LEN, Name, NameError};
pub use path::Path;
pub use rdata_field::{CompressedNames, RdataField};
pub use rdata_list::{RdataList, RdataListBuilder};
pub use record::RecordRef;
pub use retired_generation::RetiredGeneration;
pub use rrset::{Rrset, RrsetValue};
pub use summary::Summary;
pub use value_error::ValueError;
pub use zone_change::{ChangeKind, ZoneChange};
pub use zone_settings::{SerialPolicy, SerialPolicyError, ZoneSettings};
pub use zone_value::ZoneValue;
