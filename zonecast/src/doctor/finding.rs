//! What the doctor says about one thing.

use std::fmt;

use serde::Serialize;

/// How bad it is, mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// As it should be.
    Ok,
    /// It works, and will not or may not for long; or it could not be found out.
    Warn,
    /// It does not work.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `pad` minds the width that tables ask for.
        f.pad(match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Error => "ERROR",
        })
    }
}

/// The state of one thing that the doctor checked, and the advice that goes with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Which node, or file where no node is known.
    pub node: String,
    /// What was looked at, one word for programs.
    pub check: &'static str,
    /// How it is.
    pub message: String,
    /// What to do about it; empty where nothing is to be done.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub advice: String,
}

/// Findings about one node, as they are made.
#[derive(Debug)]
pub(super) struct About<'a> {
    node: &'a str,
    findings: &'a mut Vec<Finding>,
}

impl<'a> About<'a> {
    pub(super) fn new(node: &'a str, findings: &'a mut Vec<Finding>) -> Self {
        Self { node, findings }
    }

    /// As it should be.
    pub(super) fn ok(&mut self, check: &'static str, message: impl fmt::Display) {
        self.say(Severity::Ok, check, &message, &"");
    }

    /// It may not be so for long.
    pub(super) fn warn(&mut self, check: &'static str, message: impl fmt::Display, advice: impl fmt::Display) {
        self.say(Severity::Warn, check, &message, &advice);
    }

    /// It does not work.
    pub(super) fn error(&mut self, check: &'static str, message: impl fmt::Display, advice: impl fmt::Display) {
        self.say(Severity::Error, check, &message, &advice);
    }

    fn say(&mut self, severity: Severity, check: &'static str, message: &dyn fmt::Display, advice: &dyn fmt::Display) {
        let (node, message, advice) = (self.node.to_owned(), message.to_string(), advice.to_string());
        self.findings.push(Finding { severity, node, check, message, advice });
    }
}
