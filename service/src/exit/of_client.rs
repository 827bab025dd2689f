//! Trouble with a core that was asked, and with standard output, as failures of the command line.

use zonecast_api::{ClientError, ClientOptionsError};

use super::{Code, Failure, is_disk_full};

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let mut message = error.to_string();
        let (code, findings) = match error {
            ClientError::Unreachable { .. } => (Code::Unreachable, vec![]),
            ClientError::Silent { .. } => {
                message.push_str("; its log and its process say which");
                (Code::Unreachable, vec![])
            }
            ClientError::Unknown { .. } => {
                message.push_str("; `zonecast zone log` shows what was done: look before you try again");
                (Code::Unknown, vec![])
            }
            ClientError::Untrusted { .. } => {
                message.push_str("; is --ca the CA of its certificate, and does the certificate name this host?");
                (Code::NotAllowed, vec![])
            }
            ClientError::SpeaksTls { .. } => {
                message.push_str(" in --core, with --ca FILE");
                (Code::Usage, vec![])
            }
            ClientError::SpeaksNoTls { .. } => (Code::Usage, vec![]),
            ClientError::Refused { status: 401, .. } => {
                message.push_str("; see --token-file and ZONECAST_TOKEN");
                (Code::NotAllowed, vec![])
            }
            ClientError::Refused { status: 403, .. } => (Code::NotAllowed, vec![]),
            ClientError::Foreign { .. } | ClientError::BrokenOff { .. } => (Code::Failed, vec![]),
            ClientError::Refused { detail, .. } if detail.fault.as_deref() == Some("disk") => (Code::Disk, vec![]),
            ClientError::Refused { detail, .. } if is_busy(&detail.code) => (Code::Busy, vec![]),
            // The change of a membership that was begun may still come to its end.
            ClientError::Refused { detail, .. } if detail.code == "not_now" => (Code::Unknown, vec![]),
            ClientError::Refused { detail, .. } => (Code::Failed, detail.findings),
        };
        Self { findings, ..Self::new(code, message) }
    }
}

impl From<ClientOptionsError> for Failure {
    fn from(error: ClientOptionsError) -> Self {
        let code = if matches!(error, ClientOptionsError::File(_)) { Code::Unreadable } else { Code::Usage };
        Self::new(code, error)
    }
}

fn is_busy(code: &str) -> bool {
    matches!(code, "busy" | "overloaded" | "too_many_keys" | "not_leader" | "no_leader" | "no_majority")
}

impl From<std::io::Error> for Failure {
    /// Only standard output is written outside [`Failure::io`].
    fn from(error: std::io::Error) -> Self {
        let code = if is_disk_full(&error) { Code::Disk } else { Code::Failed };
        Self::new(code, format_args!("cannot write the result: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use zonecast_api::types::ErrorDetail;

    use super::*;

    fn code(error: ClientError) -> Code {
        Failure::from(error).code
    }

    fn refused(code: &str, fault: Option<&str>) -> ClientError {
        let (code, fault) = (code.to_owned(), fault.map(str::to_owned));
        ClientError::Refused { status: 503, detail: Box::new(ErrorDetail { code, fault, ..ErrorDetail::default() }) }
    }

    /// Scripts repeat what is not done, and look first where that is not known.
    #[test]
    fn what_is_not_known_has_a_code_of_its_own() {
        let unknown = ClientError::Unknown { core: "core".into(), reason: "perhaps".into() };
        for error in [unknown, refused("not_now", None)] {
            assert_eq!(code(error), Code::Unknown);
        }
        for word in ["busy", "overloaded", "too_many_keys", "not_leader", "no_leader", "no_majority"] {
            assert_eq!(code(refused(word, None)), Code::Busy, "{word}");
        }
        for word in ["held", "refused", "moved", "key_reused", "key_time", "unavailable"] {
            assert_eq!(code(refused(word, None)), Code::Failed, "{word}");
        }
        assert_eq!(code(refused("unavailable", Some("disk"))), Code::Disk);
    }
}
