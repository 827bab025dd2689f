//! How a failure is told.

use std::io::Write as _;

use super::text;
use zonecast_service::exit::Failure;

/// Why we end, on standard error whatever the log level: one line, or a JSON object.
pub(super) fn complain(failure: &Failure, json: bool) {
    let mut err = std::io::stderr().lock();
    let Failure { code, message, findings } = failure;
    // Nothing can be done about a closed standard error.
    let _ = if json {
        let line = serde_json::json!({
            "level": "ERROR", "message": message, "exit": *code as u8, "findings": findings,
        });
        writeln!(err, "{line}")
    } else {
        let findings: String = findings.iter().map(|finding| format!("; {}", text::finding(finding))).collect();
        writeln!(err, "zonecast: {message}{findings}")
    };
}
