//! The certificate authority of one installation: a folder with a key.
//!
//! # Format
//! ```text
//! ca.pem   certificate
//! ca.key   its key (PKCS #8); whoever has it can be anyone
//! issued   what it has issued and revoked; see `issued.rs`
//! crl.pem  whom it has revoked, signed; absent while that is nobody
//! lock     empty; locked while a process issues or revokes
//! ```
//! The folder has mode 0700, the files 0600.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use zonecast_kv_proto::DOMAIN;

use crate::certificate::Facts;
use crate::credentials::{CRL, Credentials, MAX_CRL, MAX_PEM, Pem};
use crate::files::{make_folder, read_text, read_text_if_there, write_private};
use crate::issued::{Issued, MAX_FILE};
use crate::peer::check_name;
use crate::{CaError, Host, Identity, IdentityError, IssueOptions, IssuedCertificate, Role, read_private};

const CERTIFICATE: &str = "ca.pem";
const KEY: &str = "ca.key";
const ISSUED: &str = "issued";
const LOCK: &str = "lock";

/// Clocks may differ so much when a certificate is used right after it was issued.
const BACKDATED: Duration = Duration::from_hours(24);

/// Longer than an installation, since replacing a CA needs every node.
const CA_VALIDITY: Duration = Duration::from_hours(20 * 365 * 24);

/// Bytes of its key in the name of a CA: two CAs must not have one name, or TLS takes the one for the other.
const NAME_BYTES: usize = 4;

/// A certificate authority.
pub struct Ca {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
    not_after: SystemTime,
}

impl std::fmt::Debug for Ca {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ca").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// The result of [`Ca::revoke`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// The certificates that are revoked now.
    pub revoked: Vec<IssuedCertificate>,
    /// The list to copy to every node.
    pub crl: PathBuf,
}

impl Ca {
    /// Opens the CA in a folder, or makes one there.
    ///
    /// # Errors
    /// A file cannot be used, or only half of the CA is there.
    pub fn open_or_create(folder: &Path) -> Result<Self, CaError> {
        match Self::open(folder) {
            Err(CaError::Missing(_)) => Self::create(folder),
            opened => opened,
        }
    }

    /// Opens the CA in a folder.
    ///
    /// # Errors
    /// A file cannot be used, or the CA or half of it is not there.
    pub fn open(folder: &Path) -> Result<Self, CaError> {
        let (certificate_path, key_path) = (folder.join(CERTIFICATE), folder.join(KEY));
        match (certificate_path.exists(), key_path.exists()) {
            (true, true) => {}
            (false, false) => return Err(CaError::Missing(folder.to_owned())),
            (true, false) => return Err(CaError::Half { found: certificate_path, missing: key_path }),
            (false, true) => return Err(CaError::Half { found: key_path, missing: certificate_path }),
        }
        let certificate = read_text(&certificate_path, MAX_PEM).map_err(CaError::file(&certificate_path))?;
        let key = KeyPair::from_pem(&read_private(&key_path, MAX_PEM)?)?;
        Self::new(folder, Issuer::from_ca_cert_pem(&certificate, key)?, certificate)
    }

    /// Makes a CA in a folder.
    ///
    /// # Errors
    /// There is one already, or a file cannot be written.
    pub fn create(folder: &Path) -> Result<Self, CaError> {
        let (certificate_path, key_path) = (folder.join(CERTIFICATE), folder.join(KEY));
        if certificate_path.exists() || key_path.exists() {
            return Err(CaError::Exists(folder.to_owned()));
        }
        let key = KeyPair::generate()?;
        let mark: String =
            key.public_key_raw().iter().rev().take(NAME_BYTES).map(|byte| format!("{byte:02x}")).collect();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, format!("zonecast CA {mark}"));
        let now = SystemTime::now();
        params.not_before = (now - BACKDATED).into();
        params.not_after = (now + CA_VALIDITY).into();
        let certificate = params.self_signed(&key)?.pem();
        make_folder(folder).map_err(CaError::file(folder))?;
        // The key first: a certificate alone would be the CA of nobody.
        write_private(&key_path, &key.serialize_pem()).map_err(CaError::file(&key_path))?;
        write_private(&certificate_path, &certificate).map_err(CaError::file(&certificate_path))?;
        Self::new(folder, Issuer::new(params, key), certificate)
    }

    fn new(folder: &Path, issuer: Issuer<'static, KeyPair>, certificate: String) -> Result<Self, CaError> {
        let der = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(|_| IdentityError::Certificate)?;
        let not_after = Facts::of(&der)?.not_after;
        Ok(Self { folder: folder.to_owned(), issuer, certificate, not_after })
    }

    /// When it expires.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// Makes a key and a certificate for a node of this process. It stands in no file, so it cannot be revoked; what
    /// leaves the process is for [`Ca::issue_with`].
    ///
    /// # Errors
    /// The name is not one lower-case label.
    pub fn issue(&self, role: Role, name: &str) -> Result<Identity, CaError> {
        Ok(Identity::fixed(self.sign(&IssueOptions::new(role, name))?))
    }

    /// Makes a key and a certificate for a node, and writes down that it did.
    ///
    /// # Errors
    /// The name is not one lower-case label, or what was issued cannot be written down.
    pub fn issue_with(&self, options: &IssueOptions) -> Result<Identity, CaError> {
        let credentials = self.sign(options)?;
        let _lock = self.lock()?;
        let mut issued = self.read_issued()?;
        let entry = IssuedCertificate {
            serial: credentials.facts.serial.clone(),
            role: options.role,
            name: options.name.clone(),
            not_after: credentials.facts.not_after,
            revoked_at: None,
            hosts: credentials.facts.hosts.clone(),
        };
        let path = self.folder.join(ISSUED);
        issued.add(entry, SystemTime::now()).map_err(|source| CaError::Issued { path, source })?;
        self.write_issued(&issued)?;
        Ok(Identity::fixed(credentials))
    }

    /// Everything it has issued and keeps in mind, oldest first.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn issued(&self) -> Result<Vec<IssuedCertificate>, CaError> {
        Ok(self.read_issued()?.0)
    }

    /// Revokes one certificate by its serial, or all of a name, and writes the list that nodes need. What was revoked
    /// before stays so; the list is written anew all the same.
    ///
    /// # Errors
    /// Nothing of this name or serial was issued, the name stands for several nodes, or a file cannot be written.
    pub fn revoke(&self, which: &str) -> Result<Revocation, CaError> {
        let _lock = self.lock()?;
        let mut issued = self.read_issued()?;
        let serial = which.parse().ok().filter(|serial| issued.0.iter().any(|one| one.serial == *serial));
        let is_meant = |one: &IssuedCertificate| match &serial {
            Some(serial) => one.serial == *serial,
            None => one.name == which,
        };
        let meant: Vec<Role> = issued.0.iter().filter(|one| is_meant(one)).map(|one| one.role).collect();
        match meant.first() {
            None => return Err(CaError::Unknown(which.to_owned())),
            Some(role) if meant.iter().any(|other| other != role) => return Err(CaError::Ambiguous(which.to_owned())),
            Some(_) => {}
        }
        let now = SystemTime::now();
        let mut revoked = Vec::new();
        for one in issued.0.iter_mut().filter(|one| is_meant(one)) {
            one.revoked_at.get_or_insert(now);
            revoked.push(one.clone());
        }
        // First, so that a list that could not be written is written by the next.
        self.write_issued(&issued)?;
        let crl = self.folder.join(CRL);
        write_private(&crl, &self.revocation_list(&issued, now)?).map_err(CaError::file(&crl))?;
        Ok(Revocation { revoked, crl })
    }

    fn sign(&self, options: &IssueOptions) -> Result<Credentials, CaError> {
        let IssueOptions { role, name, hosts, valid_for } = options;
        check_name(name)?;
        let mut names = vec![format!("{name}.{}.{DOMAIN}", role.label()), role.server_name()];
        names.extend(hosts.iter().map(Host::to_string));
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, format!("{role} {name}"));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if role.serves() || !hosts.is_empty() {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        let now = SystemTime::now();
        let end = now.checked_add(*valid_for).filter(|_| valid_for.as_secs() > 0).ok_or(CaError::Validity)?;
        params.not_before = (now - BACKDATED).into();
        params.not_after = end.min(self.not_after).into();
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let crl_path = self.folder.join(CRL);
        let crl = read_text_if_there(&crl_path, MAX_CRL).map_err(CaError::file(&crl_path))?;
        let (certificate, key, root) = (certificate.pem(), key.serialize_pem(), self.certificate.clone());
        Ok(Credentials::from_pem(Pem { certificate, key, root, crl })?)
    }

    fn revocation_list(&self, issued: &Issued, now: SystemTime) -> Result<String, CaError> {
        let revoked = issued.0.iter().filter_map(|one| {
            Some(RevokedCertParams {
                serial_number: SerialNumber::from_slice(one.serial.as_bytes()),
                revocation_time: one.revoked_at?.into(),
                reason_code: None,
                invalidity_date: None,
            })
        });
        // Must only ever grow.
        let number = u64::try_from(now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or(u64::MAX);
        let list = CertificateRevocationListParams {
            this_update: (now - BACKDATED).into(),
            next_update: self.not_after.max(now + BACKDATED).into(),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(list.signed_by(&self.issuer)?.pem()?)
    }

    fn read_issued(&self) -> Result<Issued, CaError> {
        let path = self.folder.join(ISSUED);
        match read_text_if_there(&path, MAX_FILE).map_err(CaError::file(&path))? {
            Some(text) => Issued::parse(&text).map_err(|source| CaError::Issued { path, source }),
            None => Ok(Issued::default()),
        }
    }

    fn write_issued(&self, issued: &Issued) -> Result<(), CaError> {
        let path = self.folder.join(ISSUED);
        write_private(&path, &issued.to_text()).map_err(CaError::file(&path))
    }

    /// Held until dropped; another process that issues waits.
    fn lock(&self) -> Result<File, CaError> {
        let path = self.folder.join(LOCK);
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(CaError::file(&path))?;
        file.lock().map_err(CaError::file(&path))?;
        Ok(file)
    }
}
