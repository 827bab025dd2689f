//! Where NSEC3 records stand: under the hash that their owner name spells (RFC 5155 section 3), not under its path.

use domain::utils::base32;
use zonecast_records::{Nsec3Parameters, Path};

use crate::node::Rr;

/// Where an NSEC3 key stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Nsec3Place {
    pub(crate) algorithm: u8,
    pub(crate) iterations: u16,
    pub(crate) salt: Vec<u8>,
    pub(crate) hash: Vec<u8>,
}

impl Nsec3Place {
    /// Where the NSEC3 records of one owner stand; `None` without any, with an owner that is not a hash right below the
    /// apex, or with parameters of several chains.
    pub(crate) fn of<D: AsRef<[u8]>>(path: Path<'_>, rrs: &[Rr<D>]) -> Option<Self> {
        let mut chains = rrs.iter().map(|rr| parameters(rr.rdata.as_ref()));
        let chain = chains.next()??;
        if chains.any(|other| other != Some(chain)) {
            return None;
        }
        let Nsec3Parameters { algorithm, iterations, salt } = chain;
        Some(Self { algorithm, iterations, salt: salt.to_vec(), hash: hash_at(path)? })
    }

    pub(crate) fn parameters(&self) -> Nsec3Parameters<'_> {
        Nsec3Parameters { algorithm: self.algorithm, iterations: self.iterations, salt: &self.salt }
    }
}

/// Those of NSEC3 RDATA, RFC 5155 section 3.2.
fn parameters(rdata: &[u8]) -> Option<Nsec3Parameters<'_>> {
    let (&[algorithm, _flags, high, low, salt_len], rest) = rdata.split_first_chunk::<5>()?;
    let salt = rest.get(..usize::from(salt_len))?;
    Some(Nsec3Parameters { algorithm, iterations: u16::from_be_bytes([high, low]), salt })
}

/// The hash that a path right below the apex spells, RFC 5155 section 3.
pub(crate) fn hash_at(path: Path<'_>) -> Option<Vec<u8>> {
    let label = path.as_bytes().strip_suffix(&[0]).filter(|label| !label.contains(&0))?;
    let hash: Vec<u8> = base32::decode_hex(std::str::from_utf8(label).ok()?).ok()?;
    (hash_label(&hash).as_bytes() == label).then_some(hash)
}

/// The path of the owner that a hash spells.
pub(crate) fn hash_path(hash: &[u8]) -> Vec<u8> {
    [hash_label(hash).as_bytes(), &[0]].concat()
}

/// The label that spells a hash.
fn hash_label(hash: &[u8]) -> String {
    base32::encode_string_hex(hash).to_ascii_lowercase()
}
