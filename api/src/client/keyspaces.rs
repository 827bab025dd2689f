//! Keyspaces beside DNS: the part of the client for `/v1/kv`.

use std::io::{BufRead as _, BufReader};
use std::ops::ControlFlow;
use std::time::Duration;

use ureq::http::HeaderMap;

use super::{Asked, Client, LARGE_READ_WITHIN, MAX_RESPONSE, PATIENCE, Patience, READ_WITHIN, flag, waiting};
use crate::ClientError;
use crate::paths::{escape_bytes_into, escape_into};
use crate::timeout::MAX_TIMEOUT;
use crate::types::{
    GroupContent, GroupLog, KeyPage, KeyTransaction, KeyspaceInfo, KeyspaceList, KeyspaceSetup, KeyspaceWritten,
    RollbackRequest, WatchLine,
};

/// When a key is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyWhen {
    /// Whatever is there.
    #[default]
    Always,
    /// There is no such key.
    Absent,
    /// Its last change has this revision.
    Revision(u64),
}

/// The value of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyRead {
    /// The value.
    pub value: Vec<u8>,
    /// The revision of its last change.
    pub revision: u64,
    /// The version that was read.
    pub version: u64,
}

/// Which keys to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyList {
    /// All begin so.
    pub prefix: Vec<u8>,
    /// All come after this key.
    pub after: Option<Vec<u8>>,
    /// Keys on a page at most.
    pub limit: Option<usize>,
    /// Leave out the values.
    pub keys_only: bool,
    /// The store to read: `core` (the default), `edge` for the first edge in the process of the core, or its name.
    pub at: Option<String>,
}

/// What to watch, and for how long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchOptions {
    /// Keys that begin so.
    pub prefix: Vec<u8>,
    /// Changes after this version; by default those from now on.
    pub from: Option<u64>,
    /// For how long; by default for as long as the core allows.
    pub timeout: Option<Duration>,
}

impl Client {
    /// All keyspaces.
    ///
    /// # Errors
    /// No answer.
    pub fn keyspaces(&self) -> Result<KeyspaceList, ClientError> {
        self.get("/v1/kv", &[])
    }

    /// One keyspace.
    ///
    /// # Errors
    /// No answer, or no such keyspace.
    pub fn keyspace(&self, keyspace: &str) -> Result<KeyspaceInfo, ClientError> {
        self.get(&keyspace_path(keyspace, ""), &[])
    }

    /// Makes a keyspace, or changes its limits.
    ///
    /// # Errors
    /// No answer, or refused.
    pub fn put_keyspace(&self, keyspace: &str, setup: &KeyspaceSetup) -> Result<KeyspaceInfo, ClientError> {
        self.once(PATIENCE, |core| {
            let request = core.keyed(core.agent.put(core.url(&keyspace_path(keyspace, ""), &[])));
            core.written(request.config().timeout_global(Some(PATIENCE)).build().send_json(setup))
        })
    }

    /// Drops a keyspace; one that has keys only `with_keys`.
    ///
    /// # Errors
    /// No answer, no such keyspace, or it has keys.
    pub fn drop_keyspace(
        &self,
        keyspace: &str,
        with_keys: bool,
        patience: Patience,
    ) -> Result<KeyspaceWritten, ClientError> {
        let query: Vec<_> = waiting(patience).into_iter().chain(flag("with_keys", with_keys)).collect();
        self.delete(&keyspace_path(keyspace, ""), &query, patience)
    }

    /// Reads a key; `at` as in [`KeyList::at`].
    ///
    /// # Errors
    /// No answer, no such keyspace or key.
    pub fn key(&self, keyspace: &str, key: &[u8], at: Option<&str>) -> Result<KeyRead, ClientError> {
        let query: Vec<_> = at.map(|at| ("at", at.to_owned())).into_iter().collect();
        self.at_one(|core| {
            let request = core.agent.get(core.url(&key_path(keyspace, key), &query));
            let mut response = core.accepted(core.asked(request, READ_WITHIN)?, Asked::Read)?;
            let number = |name: &str| number(response.headers(), name).unwrap_or_default();
            let (revision, version) = (number("zonecast-revision"), number("zonecast-version"));
            let value = response.body_mut().with_config().limit(MAX_RESPONSE).read_to_vec();
            Ok(KeyRead { value: value.map_err(|error| core.foreign(error))?, revision, version })
        })
    }

    /// Puts a key.
    ///
    /// # Errors
    /// No answer, no such keyspace, the key is not as it is to be, or a limit is reached.
    pub fn put_key(
        &self,
        keyspace: &str,
        key: &[u8],
        value: &[u8],
        when: KeyWhen,
        patience: Patience,
    ) -> Result<KeyspaceWritten, ClientError> {
        let query: Vec<_> = waiting(patience).into_iter().chain(condition(when)).collect();
        self.once(patience.timeout, |core| {
            let request = core.keyed(core.agent.put(core.url(&key_path(keyspace, key), &query)));
            let request = request.header("content-type", "application/octet-stream");
            core.written(request.config().timeout_global(Some(patience.timeout + PATIENCE)).build().send(value))
        })
    }

    /// Deletes a key if it is there.
    ///
    /// # Errors
    /// No answer, no such keyspace, or the key is not as it is to be.
    pub fn delete_key(
        &self,
        keyspace: &str,
        key: &[u8],
        when: KeyWhen,
        patience: Patience,
    ) -> Result<KeyspaceWritten, ClientError> {
        let query: Vec<_> = waiting(patience).into_iter().chain(condition(when)).collect();
        self.delete(&key_path(keyspace, key), &query, patience)
    }

    /// A page of the keys of a keyspace.
    ///
    /// # Errors
    /// No answer, or no such keyspace.
    pub fn keys(&self, keyspace: &str, list: &KeyList) -> Result<KeyPage, ClientError> {
        let KeyList { prefix, after, limit, keys_only, at } = list;
        let mut path = keyspace_path(keyspace, "/keys?prefix=");
        escape_bytes_into(&mut path, prefix);
        if let Some(after) = after {
            path.push_str("&after=");
            escape_bytes_into(&mut path, after);
        }
        if let Some(limit) = limit {
            path.push_str(&format!("&limit={limit}"));
        }
        if *keys_only {
            path.push_str("&keys_only=true");
        }
        if let Some(at) = at {
            path.push_str("&at=");
            escape_into(&mut path, at);
        }
        self.get_within(&path, &[], LARGE_READ_WITHIN)
    }

    /// Does all changes of a transaction, if all its comparisons hold.
    ///
    /// # Errors
    /// No answer, no such keyspace, a comparison does not hold, or a limit is reached.
    pub fn key_transaction(
        &self,
        keyspace: &str,
        transaction: &KeyTransaction,
        patience: Patience,
    ) -> Result<KeyspaceWritten, ClientError> {
        self.post_once(&keyspace_path(keyspace, "/txn"), &waiting(patience), transaction, patience.timeout)
    }

    /// Calls `visit` for each line of a watch, until it breaks or the watch ends. The last version that it saw is where the
    /// next watch begins.
    ///
    /// # Errors
    /// No answer, no such keyspace, what is before the first change is not kept any more, or the connection broke off.
    pub fn watch_keys(
        &self,
        keyspace: &str,
        options: &WatchOptions,
        mut visit: impl FnMut(WatchLine) -> ControlFlow<()>,
    ) -> Result<(), ClientError> {
        let WatchOptions { prefix, from, timeout } = options;
        let mut path = keyspace_path(keyspace, "/watch?prefix=");
        escape_bytes_into(&mut path, prefix);
        if let Some(from) = from {
            path.push_str(&format!("&from={from}"));
        }
        if let Some(timeout) = timeout {
            path.push_str(&format!("&timeout={}ms", timeout.as_millis()));
        }
        let mut response = self.at_one(|core| {
            let request = core.agent.get(core.url(&path, &[]));
            let config = request.config().timeout_recv_response(Some(READ_WITHIN));
            let within = timeout.unwrap_or(MAX_TIMEOUT) + READ_WITHIN;
            core.accepted(config.timeout_recv_body(Some(within)).build().call(), Asked::Read)
        })?;
        let broken = |reason: String| ClientError::BrokenOff { core: self.core.clone(), reason };
        let body = BufReader::new(response.body_mut().with_config().limit(u64::MAX).reader());
        for line in body.lines() {
            let line = line.map_err(|error| broken(error.to_string()))?;
            let line: WatchLine = serde_json::from_str(&line).map_err(|error| broken(error.to_string()))?;
            if let Some(error) = line.error {
                return Err(broken(error));
            }
            if visit(line).is_break() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Makes a group exactly these keys.
    ///
    /// # Errors
    /// No answer, no such keyspace, much of the group would go, or a limit is reached.
    pub fn publish_group(
        &self,
        keyspace: &str,
        group: &str,
        content: &GroupContent,
        allow_shrink: bool,
        patience: Patience,
    ) -> Result<KeyspaceWritten, ClientError> {
        let query: Vec<_> = waiting(patience).into_iter().chain(flag("allow_shrink", allow_shrink)).collect();
        self.once(patience.timeout, |core| {
            let request = core.keyed(core.agent.put(core.url(&group_path(keyspace, group, ""), &query)));
            core.written(request.config().timeout_global(Some(patience.timeout + PATIENCE)).build().send_json(content))
        })
    }

    /// The last changes of a group, newest first.
    ///
    /// # Errors
    /// No answer, no such keyspace or group.
    pub fn group_log(&self, keyspace: &str, group: &str, limit: usize) -> Result<GroupLog, ClientError> {
        self.get(&group_path(keyspace, group, "/log"), &[("limit", limit.to_string())])
    }

    /// Makes a group what it was after a revision, or before its last change.
    ///
    /// # Errors
    /// No answer, no such keyspace or group, or that state is not kept.
    pub fn roll_back_group(
        &self,
        keyspace: &str,
        group: &str,
        request: &RollbackRequest,
        patience: Patience,
    ) -> Result<KeyspaceWritten, ClientError> {
        self.post_once(&group_path(keyspace, group, "/rollback"), &waiting(patience), request, patience.timeout)
    }

    fn delete(&self, path: &str, query: &[(&str, String)], patience: Patience) -> Result<KeyspaceWritten, ClientError> {
        self.once(patience.timeout, |core| {
            let request = core.keyed(core.agent.delete(core.url(path, query)));
            core.written(request.config().timeout_global(Some(patience.timeout + PATIENCE)).build().call())
        })
    }
}

fn condition(when: KeyWhen) -> Option<(&'static str, String)> {
    match when {
        KeyWhen::Always => None,
        KeyWhen::Absent => Some(("if_absent", "true".into())),
        KeyWhen::Revision(revision) => Some(("if_revision", revision.to_string())),
    }
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

fn keyspace_path(keyspace: &str, rest: &str) -> String {
    let mut path = String::from("/v1/kv/");
    escape_into(&mut path, keyspace);
    path + rest
}

fn key_path(keyspace: &str, key: &[u8]) -> String {
    let mut path = keyspace_path(keyspace, "/keys/");
    escape_bytes_into(&mut path, key);
    path
}

fn group_path(keyspace: &str, group: &str, rest: &str) -> String {
    let mut path = keyspace_path(keyspace, "/groups/");
    escape_into(&mut path, group);
    path + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_key_fits_a_path() {
        assert_eq!(key_path("rules", b"a/b \xff%"), "/v1/kv/rules/keys/a%2Fb%20%FF%25");
        assert_eq!(group_path("rules", "eu", "/log"), "/v1/kv/rules/groups/eu/log");
    }
}
