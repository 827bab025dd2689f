//! Hashed owner names, RFC 5155 section 5.

use sha1::{Digest, Sha1};
use zonecast_records::{MAX_NSEC3_ITERATIONS, Name, Nsec3Parameters};

/// Bytes of a SHA-1 hash, the only kind there is.
pub(crate) const HASH_LEN: usize = 20;

/// Algorithm 1, RFC 5155 section 11.
const SHA_1: u8 = 1;

/// RFC 4648 section 7, in the lower case that owner names have.
const BASE32_HEX: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";

/// Parameters of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parameters<'a> {
    iterations: u16,
    salt: &'a [u8],
}

impl<'a> Parameters<'a> {
    /// From the RDATA of an NSEC3PARAM record, RFC 5155 section 4.2; nothing for what cannot be used.
    pub(crate) fn read(rdata: &'a [u8]) -> Option<Self> {
        let (&[algorithm, flags, high, low, salt_len], salt) = rdata.split_first_chunk::<5>()?;
        let iterations = u16::from_be_bytes([high, low]);
        let usable = algorithm == SHA_1 && flags == 0 && iterations <= MAX_NSEC3_ITERATIONS;
        (usable && salt.len() == usize::from(salt_len)).then_some(Self { iterations, salt })
    }

    /// As keys have them.
    pub(crate) fn as_key(&self) -> Nsec3Parameters<'a> {
        Nsec3Parameters { algorithm: SHA_1, iterations: self.iterations, salt: self.salt }
    }

    /// Bytes that they take in a key.
    pub(crate) fn key_len(&self) -> usize {
        4 + self.salt.len()
    }

    /// The hash of a name.
    pub(crate) fn hash(&self, name: &Name) -> [u8; HASH_LEN] {
        let mut hash = self.once(name.to_lowercase().as_wire());
        for _ in 0..self.iterations {
            hash = self.once(&hash);
        }
        hash
    }

    fn once(&self, bytes: &[u8]) -> [u8; HASH_LEN] {
        Sha1::new().chain_update(bytes).chain_update(self.salt).finalize().into()
    }
}

/// The name that an NSEC3 record of this hash stands at.
pub(crate) fn owner(hash: &[u8; HASH_LEN], apex: &Name) -> Option<Name> {
    let mut label = [0; HASH_LEN / 5 * 8];
    for (bytes, digits) in hash.chunks_exact(5).zip(label.chunks_exact_mut(8)) {
        let number = bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        for (at, digit) in digits.iter_mut().rev().enumerate() {
            *digit = usize::try_from(number >> (5 * at) & 31).ok().and_then(|value| BASE32_HEX.get(value)).copied()?;
        }
    }
    Name::below(apex, [&label[..]].into_iter()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5155 appendix A.
    #[test]
    fn names_hash_as_in_the_rfc() {
        let rdata = [1, 0, 0, 12, 4, 0xaa, 0xbb, 0xcc, 0xdd];
        let chain = Parameters::read(&rdata).unwrap();
        let apex: Name = "example".parse().unwrap();
        for (name, hash) in [
            ("example", "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"),
            ("A.example", "35mthgpgcu1qg68fab165klnsnk3dpvl"),
            ("*.w.example", "r53bq7cc2uvmubfu5ocmm6pers9tk9en"),
        ] {
            let owner = owner(&chain.hash(&name.parse().unwrap()), &apex).unwrap();
            assert_eq!(owner.to_string(), format!("{hash}.example."));
        }
    }

    #[test]
    fn what_is_not_of_the_rfc_is_not_used() {
        assert_eq!(Parameters::read(&[1, 0, 0, 0, 0]).map(|chain| chain.key_len()), Some(4));
        for rdata in [&[2, 0, 0, 0, 0][..], &[1, 1, 0, 0, 0], &[1, 0, 0, 51, 0], &[1, 0, 0, 0, 1], &[1, 0, 0]] {
            assert_eq!(Parameters::read(rdata), None, "{rdata:?}");
        }
    }
}
