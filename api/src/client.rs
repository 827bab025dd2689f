//! A blocking client of `/v1`, for the command line, tests and benches.

mod keyspaces;
mod verifications;

use std::io::{self, Read as _};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::http::Response;
use ureq::typestate::WithoutBody;
use ureq::{Agent, Body, RequestBuilder};

use zonecast_kv_proto::{RequestKey, WaitFor};

use crate::attempts::Attempts;
use crate::client_error::ClientError;
use crate::client_options::{ClientOptions, ClientOptionsError};
use crate::client_trouble::Trouble;
use crate::cores::{Cores, Target};
use crate::paths::{escape_into, zone_path};
use crate::timeout::DEFAULT_TIMEOUT;
use crate::types::{
    AddCore, BackupInfo, BackupRequest, ChainInfo, ChangeRequest, ClusterInfo, DeletedZones, EdgeInfo, EdgeList,
    ErrorBody, ImportAt, Lookup, NewToken, NodeStatus, Receipt, RemoveCores, Revocations, RollbackRequest, RrsetPage,
    SettingsChange, Status, StoreSettings, StoreSettingsChange, TokenInfo, TokenList, TransferLead, UNKNOWN, Written,
    ZoneDiff, ZoneInfo, ZoneLog, ZonePage, ZoneSettingsInfo,
};
use crate::{OutOfZone, Tolerance, WithoutNs};
pub use keyspaces::{KeyList, KeyRead, KeyWhen, WatchOptions};

/// To reach the core and to hear from it beyond the wait that was asked for; importing a million records takes some.
const PATIENCE: Duration = Duration::from_mins(5);

/// From the request of a read to the head of its answer, and then for its body to begin and go on: a core that works
/// answers in milliseconds.
const READ_WITHIN: Duration = Duration::from_secs(15);

/// For what takes long to put together or to send: zone files and differences of millions of records.
const LARGE_READ_WITHIN: Duration = Duration::from_mins(5);

/// A backup on another disk copies everything.
const BACKUP_PATIENCE: Duration = Duration::from_hours(6);

/// Largest response that is held in memory as a whole.
const MAX_RESPONSE: u64 = 1 << 30;

/// Bytes of a zone file that are read at once.
const READ_AT_ONCE: usize = 64 * 1024;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// A read, which can be repeated.
    Read,
    /// A write.
    Write,
}

/// How long a write waits for edges.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How many edges to wait for; `None` returns when the write is committed.
    pub wait: Option<WaitFor>,
    /// Longest time to wait.
    pub timeout: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { wait: None, timeout: DEFAULT_TIMEOUT }
    }
}

/// Options of the import of a zone file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PutOptions {
    /// Settings of the zone to change with the import.
    pub settings: SettingsChange,
    /// Rules for zone files to relax.
    pub tolerance: Tolerance,
    /// Import the file even if the zone loses a large share of its records.
    pub allow_shrink: bool,
    /// Return what would change, and change nothing.
    pub dry_run: bool,
}

/// A client of the API of one core, or of the cores of one cluster.
#[derive(Clone, Debug)]
pub struct Client {
    core: String,
    agent: Agent,
    /// What writes want.
    only_at: Option<u64>,
    /// Whom it asks in place of `core`, if there are several.
    cores: Option<Arc<Cores>>,
    /// How long a write is asked for again, if that was chosen.
    retry_within: Option<Duration>,
    /// Of the write that is asked for now.
    key: Option<RequestKey>,
}

impl Client {
    /// Makes a client of the core at this URL, such as `http://127.0.0.1:8053`. It connects at the first request and
    /// keeps the connection. A core with tokens or TLS needs [`Client::with_options`].
    #[must_use]
    pub fn new(core: &str) -> Self {
        Self::over(core, ClientOptions::default())
    }

    /// Makes a client with a token, or for an `https` URL.
    ///
    /// # Errors
    /// The URL is invalid, needs a CA, or would send the token unencrypted.
    pub fn with_options(core: &str, options: ClientOptions) -> Result<Self, ClientOptionsError> {
        options.check(core)?;
        Ok(Self::over(core, options))
    }

    /// Makes a client of the cores at these URLs, all of one cluster. A request goes to the one that answered last, and
    /// to the next one when that cannot be reached.
    ///
    /// # Errors
    /// There is no URL, or one is invalid, needs a CA, or would send the token unencrypted.
    pub fn of_cores(cores: &[String], options: ClientOptions) -> Result<Self, ClientOptionsError> {
        let (first, others) = cores.split_first().ok_or_else(|| ClientOptionsError::Url(String::new()))?;
        let client = Self::with_options(first, options.clone())?;
        if others.is_empty() {
            return Ok(client);
        }
        let mut targets = vec![client.target()];
        for core in others {
            targets.push(Self::with_options(core, options.clone())?.target());
        }
        Ok(Self { cores: Some(Arc::new(Cores::new(targets))), ..client })
    }

    fn over(core: &str, options: ClientOptions) -> Self {
        let (core, agent) = (core.trim_end_matches('/').into(), options.agent(core));
        Self { core, agent, only_at: None, cores: None, retry_within: None, key: None }
    }

    fn target(&self) -> Target {
        Target { core: self.core.clone(), agent: self.agent.clone() }
    }

    /// Sends a request to one core, whichever is reached. It is built anew for each.
    fn at_one<T>(&self, ask: impl Fn(&Self) -> Result<T, ClientError>) -> Result<T, ClientError> {
        match &self.cores {
            None => ask(self),
            Some(cores) => cores.ask(|Target { core, agent }| ask(&Self { core, agent, cores: None, ..self.clone() })),
        }
    }

    /// Asks for a write under a key of its own, again and again while its outcome is not known or no core leads.
    fn once<T>(&self, timeout: Duration, ask: impl Fn(&Self) -> Result<T, ClientError>) -> Result<T, ClientError> {
        let mut attempts = Attempts::new(self.retry_within.unwrap_or(timeout.max(DEFAULT_TIMEOUT)));
        loop {
            let keyed = Self { key: Some(attempts.key()), ..self.clone() };
            match keyed.at_one(&ask).map_err(|error| attempts.after(error, Instant::now())) {
                Ok(done) => return Ok(done),
                Err(ControlFlow::Continue(pause)) => std::thread::sleep(pause),
                Err(ControlFlow::Break(error)) => return Err(error),
            }
        }
    }

    /// Makes a client that asks for a write again for at most this long, instead of for as long as the write may wait for
    /// edges and at least 10 s. It does so under the same idempotency key, when the outcome is not known or no core leads.
    #[must_use]
    pub fn retry_within(&self, within: Duration) -> Self {
        Self { retry_within: Some(within), ..self.clone() }
    }

    /// Makes a client whose writes are done only if the last change of the zone has this number.
    #[must_use]
    pub fn only_at(&self, change: Option<u64>) -> Self {
        Self { only_at: change, ..self.clone() }
    }

    /// The status of the core and its edges.
    ///
    /// # Errors
    /// No answer.
    pub fn status(&self) -> Result<Status, ClientError> {
        self.get("/v1/status", &[])
    }

    /// The status of the node at the URL, a core or an edge.
    ///
    /// # Errors
    /// No answer.
    pub fn node(&self) -> Result<NodeStatus, ClientError> {
        self.get("/v1/status", &[])
    }

    /// The chain at a version, as the core knows it.
    ///
    /// # Errors
    /// No answer.
    pub fn chain(&self, version: u64) -> Result<ChainInfo, ClientError> {
        self.get(&format!("/v1/chain/{version}"), &[])
    }

    /// A page of the zones after `after`, in canonical order.
    ///
    /// # Errors
    /// No answer, or `after` is no name.
    pub fn zones(&self, after: Option<&str>) -> Result<ZonePage, ClientError> {
        let query: Vec<_> = after.map(|after| ("after", after.into())).into_iter().collect();
        self.get("/v1/zones", &query)
    }

    /// Calls `visit` for all zones, one page at a time.
    ///
    /// # Errors
    /// No answer, or the error of `visit`.
    pub fn each_page<E: From<ClientError>>(&self, mut visit: impl FnMut(ZonePage) -> Result<(), E>) -> Result<(), E> {
        let mut after = None;
        loop {
            let page = self.zones(after.as_deref())?;
            after.clone_from(&page.next);
            visit(page)?;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// One zone.
    ///
    /// # Errors
    /// No answer, or no such zone.
    pub fn zone(&self, zone: &str) -> Result<ZoneInfo, ClientError> {
        self.get(&zone_path(zone, ""), &[])
    }

    /// Replaces or makes a zone from the text of a zone file; `file` names it in messages.
    ///
    /// # Errors
    /// No answer, or refused with findings.
    pub fn put_zone(&self, zone: &str, text: &[u8], file: &str, patience: Patience) -> Result<Written, ClientError> {
        self.put_zone_choosing(zone, text, file, &PutOptions::default(), patience)
    }

    /// Like [`Client::put_zone`], with options.
    ///
    /// # Errors
    /// No answer, or refused with findings.
    pub fn put_zone_choosing(
        &self,
        zone: &str,
        text: &[u8],
        file: &str,
        options: &PutOptions,
        patience: Patience,
    ) -> Result<Written, ClientError> {
        let PutOptions { settings, tolerance, allow_shrink, dry_run } = options;
        let SettingsChange { serial_policy, default_ttl, flatten_apex, max_shrink, older_serial } = settings;
        let mut query = waiting(patience);
        query.extend((tolerance.out_of_zone == OutOfZone::Drop).then(|| ("out_of_zone", "drop".into())));
        query.extend((tolerance.without_ns == WithoutNs::Serve).then(|| ("without_ns", "serve".into())));
        query.push(("file", file.into()));
        query.extend(serial_policy.clone().map(|policy| ("serial_policy", policy)));
        query.extend(default_ttl.map(|ttl| ("default_ttl", ttl.to_string())));
        query.extend(flatten_apex.map(|flatten| ("flatten_apex", flatten.to_string())));
        query.extend(max_shrink.clone().map(|share| ("max_shrink", share)));
        query.extend(older_serial.clone().map(|what| ("older_serial", what)));
        query.extend(flag("allow_shrink", *allow_shrink));
        query.extend(flag("dry_run", *dry_run));
        let put = |core: &Self| {
            let url = core.url(&zone_path(zone, ""), &query);
            // So that who is refused hears why, instead of being cut off while still sending.
            let request = core.agent.put(url).header("content-type", "text/dns").header("expect", "100-continue");
            let request = core.conditional(request);
            core.written(request.config().timeout_global(Some(patience.timeout + PATIENCE)).build().send(text))
        };
        if *dry_run { self.at_one(put) } else { self.once(patience.timeout, put) }
    }

    /// Deletes a zone. Without `allow_shrink` the deletion is held.
    ///
    /// # Errors
    /// No answer, no such zone, or held.
    pub fn delete_zone(&self, zone: &str, allow_shrink: bool, patience: Patience) -> Result<Written, ClientError> {
        let query: Vec<_> = waiting(patience).into_iter().chain(flag("allow_shrink", allow_shrink)).collect();
        self.once(patience.timeout, |core| {
            let request = core.conditional(core.agent.delete(core.url(&zone_path(zone, ""), &query)));
            core.written(request.config().timeout_global(Some(patience.timeout + PATIENCE)).build().call())
        })
    }

    /// A page of the deleted zones after `after` that can be restored, in canonical order.
    ///
    /// # Errors
    /// No answer, or `after` is no name.
    pub fn deleted_zones(&self, after: Option<&str>) -> Result<DeletedZones, ClientError> {
        let query: Vec<_> = after.map(|after| ("after", after.into())).into_iter().collect();
        self.get("/v1/deleted-zones", &query)
    }

    /// Restores a deleted zone with its history.
    ///
    /// # Errors
    /// No answer, or no deleted zone of this name can be restored.
    pub fn undelete_zone(&self, zone: &str, patience: Patience) -> Result<Written, ClientError> {
        self.post_once(&zone_path(zone, "/undelete"), &waiting(patience), &(), patience.timeout)
    }

    /// The settings that apply to zones without settings of their own.
    ///
    /// # Errors
    /// No answer.
    pub fn store_settings(&self) -> Result<StoreSettings, ClientError> {
        self.get("/v1/settings", &[])
    }

    /// Changes the settings that apply to zones without settings of their own.
    ///
    /// # Errors
    /// No answer, or refused.
    pub fn change_store_settings(&self, change: &StoreSettingsChange) -> Result<StoreSettings, ClientError> {
        self.once(DEFAULT_TIMEOUT, |core| {
            let request = core.conditional(core.agent.patch(core.url("/v1/settings", &[])));
            core.written(request.config().timeout_global(Some(PATIENCE)).build().send_json(change))
        })
    }

    /// The zone as a zone file.
    ///
    /// # Errors
    /// No answer, no such zone, or the file broke off.
    pub fn export_zone(&self, zone: &str) -> Result<Vec<u8>, ClientError> {
        let mut text = vec![];
        self.export_zone_to(zone, |part| {
            text.extend_from_slice(part);
            Ok::<_, ClientError>(())
        })?;
        Ok(text)
    }

    /// Like [`Client::export_zone`], but passes the file to `take` in parts. The file is complete only if this returns
    /// `Ok`.
    ///
    /// # Errors
    /// No answer, no such zone, the file broke off, or the error of `take`.
    pub fn export_zone_to<E: From<ClientError>>(
        &self,
        zone: &str,
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut response = self.at_one(|core| {
            let request = core.agent.get(core.url(&zone_path(zone, "/file"), &[]));
            core.accepted(core.asked(request, LARGE_READ_WITHIN)?, Asked::Read)
        })?;
        let mut body = response.body_mut().with_config().limit(u64::MAX).reader();
        let mut part = vec![0; READ_AT_ONCE];
        loop {
            match body.read(&mut part) {
                Ok(0) => return Ok(()),
                Ok(length) => take(part.get(..length).unwrap_or_default())?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => Err(ClientError::BrokenOff { core: self.core.clone(), reason: error.to_string() })?,
            }
        }
    }

    /// The settings of a zone.
    ///
    /// # Errors
    /// No answer, or no such zone.
    pub fn settings(&self, zone: &str) -> Result<ZoneSettingsInfo, ClientError> {
        self.get(&zone_path(zone, "/settings"), &[])
    }

    /// Changes the settings of a zone.
    ///
    /// # Errors
    /// No answer, refused, or busy: try again.
    pub fn change_settings(&self, zone: &str, change: &SettingsChange) -> Result<ZoneSettingsInfo, ClientError> {
        self.once(DEFAULT_TIMEOUT, |core| {
            let request = core.agent.patch(core.url(&zone_path(zone, "/settings"), &[]));
            let request = core.conditional(request).config().timeout_global(Some(PATIENCE)).build();
            core.written(request.send_json(change))
        })
    }

    /// The last changes of a zone, newest first.
    ///
    /// # Errors
    /// No answer, or no such zone.
    pub fn zone_log(&self, zone: &str, limit: usize) -> Result<ZoneLog, ClientError> {
        self.get(&zone_path(zone, "/log"), &[("limit", limit.to_string())])
    }

    /// The records that differ between two states of a zone, given by the change before each; by default, the
    /// difference that the last change made.
    ///
    /// # Errors
    /// No answer, no such zone, or a state that is not kept.
    pub fn zone_diff(&self, zone: &str, from: Option<u64>, to: Option<u64>) -> Result<ZoneDiff, ClientError> {
        let query: Vec<_> = [("from", from), ("to", to)]
            .into_iter()
            .filter_map(|(key, number)| Some((key, number?.to_string())))
            .collect();
        self.get_within(&zone_path(zone, "/diff"), &query, LARGE_READ_WITHIN)
    }

    /// Restores an earlier state of a zone.
    ///
    /// # Errors
    /// No answer, no such zone, a state that is not kept, or busy: try again.
    pub fn roll_back(&self, zone: &str, request: &RollbackRequest, patience: Patience) -> Result<Written, ClientError> {
        self.post_once(&zone_path(zone, "/rollback"), &waiting(patience), request, patience.timeout)
    }

    /// Returns what a rollback would change, without doing it. Fails if the rollback would be refused.
    ///
    /// # Errors
    /// No answer, no such zone, or a state that is not kept.
    pub fn preview_rollback(&self, zone: &str, request: &RollbackRequest) -> Result<Written, ClientError> {
        let query: Vec<_> = flag("dry_run", true).into_iter().collect();
        self.at_one(|core| {
            let post = core.conditional(core.agent.post(core.url(&zone_path(zone, "/rollback"), &query)));
            core.read(post.config().timeout_global(Some(LARGE_READ_WITHIN)).build().send_json(request))
        })
    }

    /// RRsets of a zone, of one name, of one name and type.
    ///
    /// # Errors
    /// No answer, no such zone, not a name or type.
    pub fn records(&self, zone: &str, name: Option<&str>, rtype: Option<&str>) -> Result<RrsetPage, ClientError> {
        let query: Vec<_> =
            [("name", name), ("type", rtype)].into_iter().filter_map(|(key, part)| Some((key, part?.into()))).collect();
        self.get(&zone_path(zone, "/records"), &query)
    }

    /// Changes records of one zone as one version.
    ///
    /// # Errors
    /// No answer, refused, or busy: try again.
    pub fn change(&self, zone: &str, change: &ChangeRequest, patience: Patience) -> Result<Written, ClientError> {
        self.change_allowing(zone, change, false, patience)
    }

    /// Like [`Client::change`]. With `allow_shrink` the change is done even if the zone loses a large share of its
    /// records.
    ///
    /// # Errors
    /// No answer, refused, or busy: try again.
    pub fn change_allowing(
        &self,
        zone: &str,
        change: &ChangeRequest,
        allow_shrink: bool,
        patience: Patience,
    ) -> Result<Written, ClientError> {
        let query: Vec<_> = waiting(patience).into_iter().chain(flag("allow_shrink", allow_shrink)).collect();
        self.post_once(&zone_path(zone, "/changes"), &query, change, patience.timeout)
    }

    /// Which edges serve a version.
    ///
    /// # Errors
    /// No answer.
    pub fn receipt(&self, version: u64, patience: Patience) -> Result<Receipt, ClientError> {
        self.at_one(|core| {
            let request = core.agent.get(core.url(&format!("/v1/receipts/{version}"), &waiting(patience)));
            core.read(request.config().timeout_global(Some(patience.timeout + PATIENCE)).build().call())
        })
    }

    /// The edges that `--wait all` waits for, and all others that have connected.
    ///
    /// # Errors
    /// No answer.
    pub fn edges(&self) -> Result<EdgeList, ClientError> {
        self.get("/v1/edges", &[])
    }

    /// Adds an edge to those that `--wait all` waits for.
    ///
    /// # Errors
    /// No answer, not a name or role.
    pub fn expect_edge(&self, name: &str, role: &str) -> Result<EdgeInfo, ClientError> {
        self.once(DEFAULT_TIMEOUT, |core| {
            let request = core.keyed(core.agent.put(core.edge_url(name, role)));
            core.written(request.config().timeout_global(Some(PATIENCE)).build().send_empty())
        })
    }

    /// Removes an edge from those that `--wait all` waits for.
    ///
    /// # Errors
    /// No answer, the edge is not in the list, or it is connected.
    pub fn forget_edge(&self, name: &str, role: &str) -> Result<EdgeInfo, ClientError> {
        self.once(DEFAULT_TIMEOUT, |core| {
            let request = core.keyed(core.agent.delete(core.edge_url(name, role)));
            core.written(request.config().timeout_global(Some(PATIENCE)).build().call())
        })
    }

    fn edge_url(&self, name: &str, role: &str) -> String {
        let mut path = String::from("/v1/edges/");
        escape_into(&mut path, name);
        self.url(&path, &[("role", role.to_owned())])
    }

    /// Has the zone files of this core imported from its next start on, and those of no other.
    ///
    /// # Errors
    /// No answer, or no such core.
    pub fn import_at(&self, name: &str) -> Result<ClusterInfo, ClientError> {
        self.post("/v1/cluster/import-at", &[], &ImportAt { name: name.into() }, DEFAULT_TIMEOUT)
    }

    /// All tokens of the API, without the tokens themselves.
    ///
    /// # Errors
    /// No answer, or the token of this client is not of role admin.
    pub fn tokens(&self) -> Result<TokenList, ClientError> {
        self.get("/v1/tokens", &[])
    }

    /// Makes a token. The answer has the token itself, which cannot be read again.
    ///
    /// # Errors
    /// No answer, it makes no sense, or there is one of this name.
    pub fn create_token(&self, new: &NewToken) -> Result<TokenInfo, ClientError> {
        self.post("/v1/tokens", &[], new, DEFAULT_TIMEOUT)
    }

    /// Revokes a token.
    ///
    /// # Errors
    /// No answer, there is none of this name, or it is the last one of role admin.
    pub fn revoke_token(&self, name: &str) -> Result<TokenInfo, ClientError> {
        self.at_one(|core| {
            let mut path = String::from("/v1/tokens/");
            escape_into(&mut path, name);
            let request = core.agent.delete(core.url(&path, &[]));
            core.written(request.config().timeout_global(Some(PATIENCE)).build().call())
        })
    }

    /// The certificates that every core and edge refuses.
    ///
    /// # Errors
    /// No answer.
    pub fn revocations(&self) -> Result<Revocations, ClientError> {
        self.get("/v1/revocations", &[])
    }

    /// Has every core and edge refuse whom this list names, in PEM and signed by the CA of the system.
    ///
    /// # Errors
    /// No answer, it is no such list, or there is a later one.
    pub fn publish_revocations(&self, list: &str) -> Result<Revocations, ClientError> {
        self.at_one(|core| {
            let request = core.agent.put(core.url("/v1/revocations", &[]));
            core.written(request.config().timeout_global(Some(PATIENCE)).build().send(list))
        })
    }

    /// The cluster as the core at the URL knows it.
    ///
    /// # Errors
    /// No answer.
    pub fn cluster(&self) -> Result<ClusterInfo, ClientError> {
        self.get("/v1/cluster", &[])
    }

    /// Lets a core in that asks to join.
    ///
    /// # Errors
    /// No answer, it does not ask or is a member, or another core leads.
    pub fn add_core(&self, name: &str) -> Result<ClusterInfo, ClientError> {
        self.post("/v1/cluster/add", &[], &AddCore { name: name.into() }, DEFAULT_TIMEOUT)
    }

    /// Removes cores from the cluster.
    ///
    /// # Errors
    /// No answer, no such core, the number of voters would be even, or another core leads.
    pub fn remove_cores(&self, names: &[String]) -> Result<ClusterInfo, ClientError> {
        self.post("/v1/cluster/remove", &[], &RemoveCores { names: names.into() }, DEFAULT_TIMEOUT)
    }

    /// Gives the lead to a core.
    ///
    /// # Errors
    /// No answer, no such voter, it does not take the lead in time, or another core leads.
    pub fn transfer_lead(&self, to: &str) -> Result<ClusterInfo, ClientError> {
        self.post("/v1/cluster/transfer", &[], &TransferLead { to: to.into() }, DEFAULT_TIMEOUT)
    }

    /// The stored keys of a name, in the store of the core (`core`) or of an edge in its process (`edge`, or the name
    /// of the edge). Without `at`, in the store of an edge if the process has one.
    ///
    /// # Errors
    /// No answer, or not a name, type or node.
    pub fn lookup(&self, name: &str, rtype: Option<&str>, at: Option<&str>) -> Result<Lookup, ClientError> {
        let mut query = vec![("name", name.to_owned())];
        query.extend(at.map(|at| ("at", at.to_owned())));
        query.extend(rtype.map(|rtype| ("type", rtype.to_owned())));
        self.get("/v1/lookup", &query)
    }

    /// Makes a backup in a folder of backups on the machine of the core.
    ///
    /// # Errors
    /// No answer, or it could not be made.
    pub fn backup(&self, folder: &str) -> Result<BackupInfo, ClientError> {
        let request = BackupRequest { folder: folder.into() };
        self.post("/v1/backup", &[], &request, BACKUP_PATIENCE)
    }

    /// The metrics in Prometheus text format.
    ///
    /// # Errors
    /// No answer.
    pub fn metrics(&self) -> Result<String, ClientError> {
        let mut response = self.at_one(|core| {
            let request = core.agent.get(core.url("/metrics", &[]));
            core.accepted(core.asked(request, READ_WITHIN)?, Asked::Read)
        })?;
        response.body_mut().read_to_string().map_err(|error| self.foreign(error))
    }

    fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, String)]) -> Result<T, ClientError> {
        self.get_within(path, query, READ_WITHIN)
    }

    fn get_within<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
        within: Duration,
    ) -> Result<T, ClientError> {
        self.at_one(|core| core.read(core.asked(core.agent.get(core.url(path, query)), within)?))
    }

    /// Sends a read, which changes nothing and so may time out at any point.
    fn asked(
        &self,
        request: RequestBuilder<WithoutBody>,
        within: Duration,
    ) -> Result<Result<Response<Body>, ureq::Error>, ClientError> {
        let config = request.config();
        let request = config.timeout_recv_response(Some(within)).timeout_recv_body(Some(within)).build();
        match request.call() {
            Err(ureq::Error::Timeout(ureq::Timeout::RecvResponse | ureq::Timeout::RecvBody)) => {
                Err(ClientError::Silent { core: self.core.clone(), within })
            }
            answered => Ok(answered),
        }
    }

    fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
        body: &impl Serialize,
        timeout: Duration,
    ) -> Result<T, ClientError> {
        self.at_one(|core| {
            let request = core.conditional(core.agent.post(core.url(path, query)));
            core.written(request.config().timeout_global(Some(timeout + PATIENCE)).build().send_json(body))
        })
    }

    /// The same as a write that is done once.
    fn post_once<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
        body: &impl Serialize,
        timeout: Duration,
    ) -> Result<T, ClientError> {
        self.once(timeout, |core| core.post(path, query, body, timeout))
    }

    fn keyed<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        match self.key {
            Some(key) => request.header("idempotency-key", key.to_string()),
            None => request,
        }
    }

    fn conditional<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        let request = self.keyed(request);
        match self.only_at {
            Some(change) => request.header("if-match", format!("\"{change}\"")),
            None => request,
        }
    }

    fn read<T: DeserializeOwned>(&self, response: Result<Response<Body>, ureq::Error>) -> Result<T, ClientError> {
        let mut response = self.accepted(response, Asked::Read)?;
        response.body_mut().with_config().limit(MAX_RESPONSE).read_json().map_err(|error| self.foreign(error))
    }

    fn written<T: DeserializeOwned>(&self, response: Result<Response<Body>, ureq::Error>) -> Result<T, ClientError> {
        let mut response = self.accepted(response, Asked::Write)?;
        let body = response.body_mut().with_config().limit(MAX_RESPONSE).read_json();
        body.map_err(|error| self.unknown(format_args!("its answer cannot be read ({error})")))
    }

    fn accepted(
        &self,
        response: Result<Response<Body>, ureq::Error>,
        asked: Asked,
    ) -> Result<Response<Body>, ClientError> {
        let mut response = response.map_err(|source| self.unanswered(source, asked))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let odd = format_args!("status {status} without an error of ours");
        match response.body_mut().read_json::<ErrorBody>() {
            Ok(body) if body.error.code == UNKNOWN => Err(self.unknown(format_args!("says: {}", body.error.message))),
            Ok(body) => Err(ClientError::Refused { status: status.as_u16(), detail: Box::new(body.error) }),
            // Of a proxy, perhaps, behind which a core has it.
            Err(_) if asked == Asked::Write && status.is_server_error() => Err(self.unknown(odd)),
            Err(_) => Err(self.foreign(odd)),
        }
    }

    fn unknown(&self, reason: impl ToString) -> ClientError {
        ClientError::Unknown { core: self.core.clone(), reason: reason.to_string() }
    }

    fn unanswered(&self, source: ureq::Error, asked: Asked) -> ClientError {
        let core = self.core.clone();
        match (Trouble::of(&core, &source), asked) {
            (Trouble::SpeaksTls, _) => ClientError::SpeaksTls { core },
            (Trouble::SpeaksNoTls, _) => ClientError::SpeaksNoTls { core },
            (Trouble::Untrusted(reason), _) => ClientError::Untrusted { core, reason },
            (Trouble::MayHaveArrived, Asked::Write) => self.unknown(format_args!("the connection ended ({source})")),
            (Trouble::MayHaveArrived, Asked::Read) | (Trouble::NotReached, _) => {
                ClientError::Unreachable { core, source: Box::new(source) }
            }
        }
    }

    fn foreign(&self, reason: impl ToString) -> ClientError {
        ClientError::Foreign { core: self.core.clone(), reason: reason.to_string() }
    }

    fn url(&self, path: &str, query: &[(&str, String)]) -> String {
        let mut url = format!("{}{path}", self.core);
        for (number, (key, value)) in query.iter().enumerate() {
            url.push(if number == 0 { '?' } else { '&' });
            url.push_str(key);
            url.push('=');
            escape_into(&mut url, value);
        }
        url
    }
}

fn waiting(patience: Patience) -> Vec<(&'static str, String)> {
    let Some(wait) = patience.wait else { return vec![] };
    vec![("wait", wait.to_string()), ("timeout", format!("{}ms", patience.timeout.as_millis()))]
}

fn flag(name: &'static str, is_set: bool) -> Option<(&'static str, String)> {
    is_set.then(|| (name, "true".to_owned()))
}
