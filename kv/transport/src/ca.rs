//! The certificate authority of one installation: a folder with a key, made on first start.
//!
//! # Format
//! `ca.pem` and `ca.key` (readable by the owner only) in a folder of mode 0700.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use thiserror::Error;

use crate::identity::{DOMAIN, Pem, check_name};
use crate::{Identity, IdentityError, Role};

const CERTIFICATE: &str = "ca.pem";
const KEY: &str = "ca.key";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Clocks may differ so much when a certificate is used right after it was issued.
const BACKDATED: Duration = DAY;
/// Longer than an installation, since replacing a CA needs every node.
const CA_DAYS: u32 = 20 * 365;
/// Until certificates renew themselves, an edge left alone must not fall silent.
const NODE_DAYS: u32 = 5 * 365;

/// A certificate authority.
pub struct Ca {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

/// What goes wrong with a CA.
#[derive(Debug, Error)]
pub enum CaError {
    /// A file cannot be read or written.
    #[error("{} cannot be used: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Half of the CA is missing: restore it from a backup, or remove the other half to start anew.
    #[error("{} exists without {}", found.display(), missing.display())]
    Half {
        /// The half that is there.
        found: PathBuf,
        /// The half that is not.
        missing: PathBuf,
    },
    /// A key or certificate that cannot be made or read.
    #[error("certificate authority: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A name that no certificate is made for.
    #[error(transparent)]
    Name(#[from] IdentityError),
}

impl Ca {
    /// Opens the CA in a folder, or makes one there.
    ///
    /// # Errors
    /// A file cannot be used, or only half of the CA is there.
    pub fn open_or_create(folder: &Path) -> Result<Self, CaError> {
        let (certificate_path, key_path) = (folder.join(CERTIFICATE), folder.join(KEY));
        match (certificate_path.exists(), key_path.exists()) {
            (true, true) => Self::open(&certificate_path, &key_path),
            (false, false) => Self::create(folder, &certificate_path, &key_path),
            (true, false) => Err(CaError::Half { found: certificate_path, missing: key_path }),
            (false, true) => Err(CaError::Half { found: key_path, missing: certificate_path }),
        }
    }

    fn open(certificate_path: &Path, key_path: &Path) -> Result<Self, CaError> {
        let read = |path: &Path| std::fs::read_to_string(path).map_err(file_error(path));
        let certificate = read(certificate_path)?;
        let key = KeyPair::from_pem(&read(key_path)?)?;
        Ok(Self { issuer: Issuer::from_ca_cert_pem(&certificate, key)?, certificate })
    }

    fn create(folder: &Path, certificate_path: &Path, key_path: &Path) -> Result<Self, CaError> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "zonecast CA");
        set_validity(&mut params, CA_DAYS);
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.pem();
        make_folder(folder).map_err(file_error(folder))?;
        // The key first: a certificate alone would be the CA of nobody.
        write_private(key_path, &key.serialize_pem()).map_err(file_error(key_path))?;
        write_private(certificate_path, &certificate).map_err(file_error(certificate_path))?;
        Ok(Self { issuer: Issuer::new(params, key), certificate })
    }

    /// Makes a key and a certificate for one node.
    ///
    /// # Errors
    /// The name is not one lower-case label.
    pub fn issue(&self, role: Role, name: &str) -> Result<Identity, CaError> {
        check_name(name)?;
        let names = vec![format!("{name}.{}.{DOMAIN}", role.label()), role.server_name()];
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, format!("{role} {name}"));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if role.serves() {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        set_validity(&mut params, NODE_DAYS);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let (certificate, key, root) = (certificate.pem(), key.serialize_pem(), self.certificate.clone());
        Ok(Identity::from_pem(Pem { certificate, key, root })?)
    }
}

fn set_validity(params: &mut CertificateParams, days: u32) {
    let now = SystemTime::now();
    params.not_before = (now - BACKDATED).into();
    params.not_after = (now + DAY * days).into();
}

fn file_error(path: &Path) -> impl FnOnce(io::Error) -> CaError {
    let path = path.to_path_buf();
    |source| CaError::File { path, source }
}

/// A folder that only its owner may enter.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// A file that only its owner may read, there whole or not at all.
pub(crate) fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&new, path)
}
