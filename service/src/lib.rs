//! What the API and the roles of zonecast do, without HTTP: zones, records, their history, imports, settings, aliases,
//! backups, and how the system stands.
//!
//! ```text
//! ZoneFolder ──▶ Service ──▶ import ──▶ zone: text, settings, guards, conditions of one zone
//!                   │           └─────▶ builder: keys
//!                   └──▶ kv/core (proposals), kv/transport (who has what)
//! ```
//! [`RunningService`] is a core with all of its parts but the API. Its callers are the binary's HTTP side and its roles.

mod access;
mod answer;
pub mod backup;
mod cluster_metrics;
mod core_streams;
mod day;
mod edge_news;
mod error;
pub mod exit;
mod fault;
mod folder;
#[cfg(test)]
mod folder_order_tests;
mod holdings;
mod import;
mod leading;
mod metrics;
mod part;
mod progress;
mod requests;
mod running;
mod scope;
mod service;
mod shares;
mod sink;
#[cfg(test)]
mod test_service;
mod verification;
mod vitals;
mod who;
mod zone;

pub use access::{Secret, SecretHash, Token, TokenDraft, TokenError, TokenRecord, TokenTable};
pub use answer::{Answer, Done, Earlier, Wrote};
pub use core_streams::REQUESTS;
pub use day::{age, day, day_and_time};
pub use error::ServiceError;
pub use fault::Fault;
pub use folder::{ImportChoices, ImportReport, ListedZones, import_folder};
pub use holdings::{Holdings, warn_of_unlisted};
pub use import::{mark, mark_all, unmark_unlisted};
pub use metrics::{Imported, Metrics};
pub use part::run_part;
pub use progress::Progress;
pub use running::{ClusterSetup, EndingService, RunningService, ServiceSetup, StoppedService};
pub use scope::Scope;
pub use service::{
    KeyValue, KeyWatch, KeysWanted, LocalEdge, MAX_WRITES, ReceiptWatch, Service, Upload, WatchFrom, edge_info,
};
pub use shares::{Place, Shares};
pub use verification::{VERIFY_BYTES_PER_SECOND, VerifyOptions};
pub use vitals::{VitalSigns, disk_space, free_space};
pub use who::Who;
pub use zone::{ChangeTag, Condition, Nesting, Tagged, Terms, Wanted, as_built, zone_file};
