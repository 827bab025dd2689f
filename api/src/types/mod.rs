//! Requests and responses of `/v1` in JSON; the server and [`Client`](crate::Client) share them.
//!
//! Names are in presentation format with the trailing dot. Clients must ignore unknown fields of a response. Unknown
//! fields of a request are an error.

mod backup_info;
mod cluster;
mod deleted_zone;
mod edge_node;
mod error_body;
mod keyspace;
mod lookup;
mod octets;
mod ready;
mod record_change;
mod revocations;
mod status;
mod token;
mod verification;
mod vitals;
mod written;
mod zone_info;
mod zone_log;
mod zone_settings;

pub use backup_info::{BackupInfo, BackupRequest, ForkInfo};
pub use cluster::{
    AddCore, ClusterCandidate, ClusterInfo, ClusterMember, ClusterMemberState, ClusterRole, ImportAt, RemoveCores,
    TransferLead,
};
pub use deleted_zone::{DeletedZone, DeletedZones};
pub use edge_node::EdgeNode;
pub use error_body::{ErrorBody, ErrorDetail, Finding, KEY_TIME, Severity, UNKNOWN};
pub use keyspace::{
    GroupContent, GroupEntry, GroupLog, GroupLogEntry, KeyChange, KeyComparison, KeyEntry, KeyNews, KeyPage,
    KeyTransaction, KeyspaceInfo, KeyspaceList, KeyspaceSetup, KeyspaceWritten, WatchLine,
};
pub use lookup::{Entry, Lookup};
pub use octets::{Base64, Octets, OctetsError};
pub use ready::{Process, Ready, ReadyCore};
pub use record_change::{Action, ChangeRequest, RecordChange};
pub use revocations::Revocations;
pub use status::{ChainInfo, EdgeInfo, EdgeList, NodeStatus, Status};
pub use token::{NewToken, TokenInfo, TokenList, TokenRole, UnknownTokenRole};
pub use verification::{AgreedCopy, VerificationInfo, VerifiedNode, VerifiedState};
pub use vitals::{CertificateInfo, DiskSpace, Vitals};
pub use written::{EdgeReceipt, Receipt, ReceiptTook, Written};
pub use zone_info::{RrsetInfo, RrsetPage, ZoneInfo, ZonePage};
pub use zone_log::{DiffRecord, RollbackRequest, ZoneDiff, ZoneLog, ZoneLogEntry};
pub use zone_settings::{SettingsChange, StoreSettings, StoreSettingsChange, ZoneSettingsInfo};
