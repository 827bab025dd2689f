//! Where an object store is, as a configuration says.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

/// A folder, or a bucket with a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorePlace {
    /// A folder of this machine, mostly one that others have mounted, too.
    Folder(PathBuf),
    /// A bucket of an S3 service. Who may use it, its region and its endpoint are in the environment of the process.
    S3 {
        /// Its name.
        bucket: String,
        /// What all names in it begin with; empty for all of the bucket.
        prefix: String,
    },
}

/// Text that says no such place.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is no object store: write \"file:///FOLDER\" or \"s3://BUCKET/PREFIX\"")]
pub struct StorePlaceError(String);

impl FromStr for StorePlace {
    type Err = StorePlaceError;

    fn from_str(text: &str) -> Result<Self, StorePlaceError> {
        let wrong = || StorePlaceError(text.to_owned());
        if let Some(folder) = text.strip_prefix("file://") {
            let folder = PathBuf::from(folder);
            return if folder.is_absolute() && folder.parent().is_some() {
                Ok(Self::Folder(folder))
            } else {
                Err(wrong())
            };
        }
        let place = text.strip_prefix("s3://").ok_or_else(wrong)?;
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.';
        let prefix = prefix.trim_end_matches('/');
        let is_clean = prefix.is_empty() || prefix.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if bucket.is_empty() || !bucket.bytes().all(is_name) || !is_clean {
            return Err(wrong());
        }
        Ok(Self::S3 { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }
}

impl fmt::Display for StorePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "file://{}", folder.display()),
            Self::S3 { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_and_buckets_are_read_and_written() {
        for text in ["file:///srv/zonecast", "s3://bucket", "s3://my.bucket-1/a/b"] {
            assert_eq!(text.parse::<StorePlace>().unwrap().to_string(), text);
        }
        assert_eq!("s3://bucket/a/".parse::<StorePlace>().unwrap().to_string(), "s3://bucket/a");
    }

    #[test]
    fn what_is_neither_is_told_what_to_write() {
        for text in [
            "",
            "/srv",
            "file://",
            "file:///",
            "file://srv",
            "s3://",
            "s3:///a",
            "s3://b//a",
            "s3://b/../a",
            "gs://b",
            "S3://b",
            "s3://B/a",
        ] {
            let told = text.parse::<StorePlace>().unwrap_err().to_string();
            assert!(told.contains("file:///FOLDER"), "{text}: {told}");
        }
    }
}
