//! The value of a zone key: what every answer from the zone begins with.

use serde_bytes::Bytes;
use zonecast_kv_proto::{positional, read_whole};

use crate::{Generation, Name, Rrset, Summary, ValueError, ZoneId};

const FORMAT: u8 = 1;

positional! {
    /// The value of a zone key.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct ZoneValue<'a> {
        /// 1.
        pub format: u8,
        /// Apex in wire form, in the letter case of the source.
        pub apex: &'a Bytes,
        /// Stable identity.
        pub id: ZoneId,
        /// Where its keys are.
        pub generation: Generation,
        /// What it has at which depth.
        pub summary: Summary,
        /// The SOA record.
        pub soa: Rrset<'a>,
        /// The NS set of the apex.
        pub ns: Rrset<'a>,
    }
}

impl<'a> ZoneValue<'a> {
    /// Of a zone that is listed and was never loaded: whoever asks for it gets SERVFAIL. Its generation is
    /// [`Generation::ZONES`], under which no zone lives, and it has neither SOA nor NS.
    #[must_use]
    pub fn without_data(apex: &'a Name, id: ZoneId) -> Self {
        Self::new(apex, id, Generation::ZONES)
    }

    /// Whether the zone has data, and so a SOA.
    #[must_use]
    pub fn has_data(&self) -> bool {
        self.generation != Generation::ZONES
    }

    /// For this zone, the rest empty yet.
    #[must_use]
    pub fn new(apex: &'a Name, id: ZoneId, generation: Generation) -> Self {
        Self { format: FORMAT, apex: Bytes::new(apex.as_wire()), id, generation, ..Self::default() }
    }

    /// Reads a stored value.
    ///
    /// # Errors
    /// The bytes are damaged or of another format.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, ValueError> {
        let value: Self = read_whole(bytes)?;
        if value.format != FORMAT {
            return Err(ValueError::Format(value.format));
        }
        Name::from_wire(value.apex).map_err(|_| ValueError::Field("apex"))?;
        if !value.has_data() {
            let is_bare = (value.summary, value.soa, value.ns) == Default::default();
            return if is_bare { Ok(value) } else { Err(ValueError::Field("generation")) };
        }
        value.soa.check("soa")?;
        value.ns.check("ns")?;
        value.soa_rdata()?;
        Ok(value)
    }

    /// The bytes to store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        rmp_serde::to_vec(self).expect("plain data always encodes")
    }

    /// The apex.
    ///
    /// # Errors
    /// The bytes are damaged; never after [`ZoneValue::decode`].
    pub fn apex(&self) -> Result<Name, ValueError> {
        Name::from_wire(self.apex).map_err(|_| ValueError::Field("apex"))
    }

    /// RDATA of the SOA in wire form.
    ///
    /// # Errors
    /// The zone has no data, or the bytes are damaged, which they are never after [`ZoneValue::decode`].
    pub fn soa_rdata(&self) -> Result<&'a [u8], ValueError> {
        // The two shortest names and five 32-bit numbers.
        const SHORTEST: usize = 22;
        let rdata = self.soa.rdata().iter().next();
        rdata.filter(|rdata| rdata.len() >= SHORTEST).ok_or(ValueError::Field("soa"))
    }

    /// Serial of the SOA.
    ///
    /// # Errors
    /// As [`ZoneValue::soa_rdata`].
    pub fn serial(&self) -> Result<domain::base::Serial, ValueError> {
        self.soa_number(20).map(domain::base::Serial)
    }

    /// TTL of the SOA in negative answers: the smaller of its own and its last field, RFC 2308 section 3.
    ///
    /// # Errors
    /// As [`ZoneValue::soa_rdata`].
    pub fn negative_ttl(&self) -> Result<u32, ValueError> {
        Ok(self.soa_number(4)?.min(self.soa.ttl))
    }

    /// The number this many bytes before the end of the SOA.
    fn soa_number(&self, from_end: usize) -> Result<u32, ValueError> {
        let rdata = self.soa_rdata()?;
        let tail = rdata.len().checked_sub(from_end).and_then(|start| rdata.get(start..));
        let number = tail.and_then(|tail| tail.first_chunk::<4>()).ok_or(ValueError::Field("soa"))?;
        Ok(u32::from_be_bytes(*number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RdataListBuilder;

    #[test]
    fn reads_what_it_wrote_and_refuses_every_truncation() {
        let apex: Name = "Example.com".parse().unwrap();
        let numbers: Vec<u8> = [2024_u32, 3600, 600, 86400, 300].iter().flat_map(|n| n.to_be_bytes()).collect();
        let soa = RdataListBuilder::from_items([[&b"\x01m\x00\x01r\x00"[..], &numbers].concat()]);
        let ns = RdataListBuilder::from_items([b"\x02ns\x00"]);
        let (soa, ns) = (soa.as_bytes().to_vec(), ns.as_bytes().to_vec());
        let rrset = |ttl, data| Rrset { ttl, data: Bytes::new(data), sigs: Bytes::new(&[]) };
        let value = ZoneValue {
            soa: rrset(900, &soa),
            ns: rrset(3600, &ns),
            ..ZoneValue::new(&apex, ZoneId::new(1), Generation::new(2))
        };
        let bytes = value.encode();
        let read = ZoneValue::decode(&bytes).unwrap();
        assert_eq!(read, value);
        assert_eq!(read.serial().unwrap().into_int(), 2024);
        assert_eq!(read.negative_ttl().unwrap(), 300);
        assert!(read.apex().unwrap().same_case(&apex));
        for cut in 0..bytes.len() {
            assert!(ZoneValue::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn a_zone_without_data_has_nothing_but_its_name() {
        let apex: Name = "example.com".parse().unwrap();
        let bytes = ZoneValue::without_data(&apex, ZoneId::new(1)).encode();
        let read = ZoneValue::decode(&bytes).unwrap();
        assert!(!read.has_data() && read.serial().is_err() && read.negative_ttl().is_err());
        assert_eq!(read.apex().unwrap(), apex);
        let with_ns = ZoneValue { ns: Rrset { ttl: 1, ..Rrset::default() }, ..read };
        assert!(ZoneValue::decode(&with_ns.encode()).is_err());
        // A zone with data has a SOA.
        let without_soa = ZoneValue::new(&apex, ZoneId::new(1), Generation::new(2));
        assert!(ZoneValue::decode(&without_soa.encode()).is_err());
    }
}
