//! The exit codes, and the line that goes with one.

use std::fmt;
use std::io;
use std::path::Path;

use zonecast_api::types::Finding;

/// What the process returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// Done.
    Ok = 0,
    /// Something failed, was refused, or is not there.
    Failed = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// Another process works on the data folder.
    Locked = 3,
    /// A port to listen on is taken, or the address is not of this machine.
    Port = 4,
    /// A file or folder cannot be read or made.
    Unreadable = 5,
    /// The disk is full, or a write to it failed.
    Disk = 6,
    /// No core answers at the address; nothing was done.
    Unreachable = 7,
    /// Written, but not live on as many edges as `--wait` asks for in time.
    NotYetLive = 8,
    /// The zone is being replaced, or too much is under way: the same again in a moment will do.
    Busy = 9,
    /// The API wants another token, or cannot be trusted.
    NotAllowed = 10,
    /// A write was sent, and whether it was done is not known.
    Unknown = 11,
    /// Not every node that was to be compared was.
    NotCompared = 12,
}

impl Code {
    const ALL: [Self; 13] = [
        Self::Ok,
        Self::Failed,
        Self::Usage,
        Self::Locked,
        Self::Port,
        Self::Unreadable,
        Self::Disk,
        Self::Unreachable,
        Self::NotYetLive,
        Self::Busy,
        Self::NotAllowed,
        Self::Unknown,
        Self::NotCompared,
    ];

    /// What a child of the same program returned.
    #[must_use]
    pub fn from_child(code: i32) -> Self {
        Self::ALL.into_iter().find(|known| i32::from(*known as u8) == code).unwrap_or(Self::Failed)
    }
}

/// Why the program ends other than well.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What the process returns.
    pub code: Code,
    /// One line.
    pub message: String,
    /// Where in a zone, when that is what was refused.
    pub findings: Vec<Finding>,
}

/// What every command returns.
pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// With this code and line.
    pub fn new(code: Code, message: impl fmt::Display) -> Self {
        // Error chains may hold line ends; a failure is one line.
        let message = message.to_string().split('\n').map(str::trim).collect::<Vec<_>>().join(" ");
        Self { code, message, findings: vec![] }
    }

    /// [`Code::Failed`].
    pub fn failed(message: impl fmt::Display) -> Self {
        Self::new(Code::Failed, message)
    }

    /// [`Code::Usage`].
    pub fn usage(message: impl fmt::Display) -> Self {
        Self::new(Code::Usage, message)
    }

    /// A file or folder that could not be read, made or written.
    pub fn io(what: &str, path: &Path, error: &io::Error) -> Self {
        let code = if is_disk_full(error) { Code::Disk } else { Code::Unreadable };
        Self::new(code, format_args!("cannot {what} {}: {error}", path.display()))
    }

    /// A port that could not be bound.
    pub fn bind(what: &str, address: impl fmt::Display, error: &io::Error) -> Self {
        Self::new(Code::Port, format_args!("cannot listen for {what} on {address}: {error}"))
    }
}

/// Whether an error means that nothing more fits.
#[must_use]
pub fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<Code> for std::process::ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line() {
        assert_eq!(Failure::failed("first\n  second").message, "first second");
    }

    #[test]
    fn a_full_disk_is_told_apart_from_a_missing_file() {
        let path = Path::new("x");
        assert_eq!(Failure::io("write", path, &io::ErrorKind::StorageFull.into()).code, Code::Disk);
        assert_eq!(Failure::io("read", path, &io::ErrorKind::NotFound.into()).code, Code::Unreadable);
    }
}
