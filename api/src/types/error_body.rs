//! Errors and findings, the answers to requests that are refused.

use serde::{Deserialize, Serialize};

/// Body of every response that is not 2xx.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The error that ended the request.
    pub error: ErrorDetail,
}

/// What went wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// For programs: one of the words in docs/api.md.
    pub code: String,
    /// The error for people, in one line.
    pub message: String,
    /// The findings, if a zone file was refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// The fault that keeps the core from writing, if known: `disk` when the disk is full, read-only or failing, else
    /// `other`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// The time of the core, milliseconds of Unix time, if the time of an idempotency key is what is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_ms: Option<u64>,
    /// The present revision of the key whose comparison does not hold; absent if there is no such key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
}

/// The `code` of an error when it is not known whether a write was done. After any other error, a repeated write cannot
/// be done twice; under the same idempotency key, a write cannot be done twice in any case.
pub const UNKNOWN: &str = "unknown";

/// The `code` of an error when the idempotency key was made too long ago, or later than now.
pub const KEY_TIME: &str = "key_time";

/// Severity of a finding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The record is served, but probably a mistake.
    Warning,
    /// The zone or change is refused.
    #[default]
    Error,
}

/// An error or warning about a record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Severity of the finding.
    #[serde(default)]
    pub severity: Severity,
    /// File, if it came from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The record, or as much of it as could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// The name of the rule that the record breaks, for programs; docs/findings.md lists them.
    pub rule: String,
    /// What is wrong with the record, for people.
    pub message: String,
}
