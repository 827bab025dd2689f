//! What the core keeps for one zone beside the published zone key: the counts behind the bits of its summary, and where
//! it came from.

use serde_bytes::Bytes;
use zonecast_kv_proto::{positional, read_whole};

use crate::{Guards, SerialPolicy, Summary, ValueError, ZoneSettings};

const FORMAT: u8 = 1;

/// Most NSEC3 chains in one zone: a zone has one, and two while its parameters change.
pub const MAX_CHAINS: usize = 64;

/// Most iterations of an NSEC3 chain: validators take no proof with more (RFC 9276 section 3.2 lets them, and they do), and
/// each of them is made several times in every negative answer.
pub const MAX_NSEC3_ITERATIONS: u16 = 50;

/// Depths that a [`Summary`] tells apart.
const DEPTHS: usize = u32::BITS as usize;

positional! {
    /// The private value of a zone, under the same path as its zone key.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct CoreZone<'a> {
        /// 1.
        pub format: u8,
        /// Set by whoever imported the zone and handed back unread, so that a restart imports only what differs: the
        /// digest of a file.
        pub origin: &'a Bytes,
        /// How many records it serves, hidden ones included.
        pub records: u64,
        /// How many wildcards stand behind each bit of [`Summary::wildcards`]; zeros at the end are left out.
        pub wildcards: Vec<u64> where len <= DEPTHS,
        /// The same for [`Summary::cuts`].
        pub cuts: Vec<u64> where len <= DEPTHS,
        /// The same for [`Summary::dnames`].
        pub dnames: Vec<u64> where len <= DEPTHS,
        /// NSEC3 chains by ascending parameters.
        pub chains: Vec<Nsec3Chain<'a>> where len <= MAX_CHAINS,
        /// Number of the [`SerialPolicy`].
        pub serial: u8,
        /// [`ZoneSettings::default_ttl`].
        pub default_ttl: u32,
        /// How many names have something laid over what the source has, or records that are disabled.
        pub layered: u64,
        /// [`ZoneSettings::flatten`].
        pub flatten: bool,
        /// [`Guards::max_shrink`], as [`Guards`] writes it.
        pub max_shrink: u8,
        /// [`Guards::older_serial`], as [`Guards`] writes it.
        pub older_serial: u8,
    }
}

positional! {
    /// How many NSEC3 keys stand under one set of parameters.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct Nsec3Chain<'a> {
        /// As they stand in keys: 1 algorithm, 2 iterations, 1 length of salt, salt.
        pub parameters: &'a Bytes,
        /// Keys.
        pub count: u64,
    }
}

impl<'a> CoreZone<'a> {
    /// With this origin, the rest empty yet.
    #[must_use]
    pub fn new(origin: &'a [u8]) -> Self {
        Self { format: FORMAT, origin: Bytes::new(origin), ..Self::default() }
    }

    /// With these settings.
    #[must_use]
    pub fn with_settings(self, settings: ZoneSettings) -> Self {
        let ZoneSettings { serial, default_ttl, flatten, guards } = settings;
        let (max_shrink, older_serial) = guards.to_numbers();
        Self { serial: serial as u8, default_ttl, flatten, max_shrink, older_serial, ..self }
    }

    /// What was chosen for the zone.
    #[must_use]
    pub fn settings(&self) -> ZoneSettings {
        let serial = SerialPolicy::from_number(self.serial).unwrap_or_default();
        let guards = Guards::from_numbers(self.max_shrink, self.older_serial).unwrap_or_default();
        ZoneSettings { serial, default_ttl: self.default_ttl, flatten: self.flatten, guards }
    }

    /// The published bits.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary { wildcards: bits(&self.wildcards), cuts: bits(&self.cuts), dnames: bits(&self.dnames) }
    }

    /// Reads a stored value.
    ///
    /// # Errors
    /// The bytes are damaged or of another format.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, ValueError> {
        let value: Self = read_whole(bytes)?;
        match SerialPolicy::from_number(value.serial) {
            _ if value.format != FORMAT => Err(ValueError::Format(value.format)),
            None => Err(ValueError::Field("serial")),
            Some(_) if Guards::from_numbers(value.max_shrink, value.older_serial).is_none() => {
                Err(ValueError::Field("guards"))
            }
            Some(_) => Ok(value),
        }
    }

    /// The bytes to store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        rmp_serde::to_vec(self).expect("plain data always encodes")
    }
}

fn bits(counts: &[u64]) -> u32 {
    let used = counts.iter().enumerate().filter(|(_, count)| **count > 0);
    used.map(|(depth, _)| Summary::bit(depth)).fold(0, |bits, bit| bits | bit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{OlderSerial, Percent};

    #[test]
    fn reads_what_it_wrote_and_refuses_every_truncation() {
        let chain = Nsec3Chain { parameters: Bytes::new(&[1, 0, 0, 0]), count: 3 };
        let settings = ZoneSettings {
            serial: SerialPolicy::Date,
            default_ttl: 3600,
            flatten: true,
            guards: Guards { max_shrink: Some(Percent::ALL), older_serial: Some(OlderSerial::Refuse) },
        };
        let value =
            CoreZone { wildcards: vec![0, 2], dnames: vec![1], chains: vec![chain], ..CoreZone::new(b"digest") };
        let value = value.with_settings(settings);
        let bytes = value.encode();
        assert_eq!(CoreZone::decode(&bytes).unwrap(), value);
        assert_eq!(value.settings(), settings);
        assert!(CoreZone::decode(&CoreZone { serial: 4, ..value.clone() }.encode()).is_err());
        assert!(CoreZone::decode(&CoreZone { max_shrink: 102, ..value.clone() }.encode()).is_err());
        assert_eq!(value.summary(), Summary { wildcards: 2, cuts: 0, dnames: 1 });
        for cut in 0..bytes.len() {
            assert!(CoreZone::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
    }
}
