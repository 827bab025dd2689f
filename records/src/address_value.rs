//! The value of an address key: everything needed to answer for addresses, aliases and referrals at one node.

use serde_bytes::Bytes;
use zonecast_kv_proto::{positional, read_whole, read_whole_into};

use crate::{RdataList, RdataListBuilder, Rrset, TypeBitmap, ValueError};

const FORMAT: u8 = 1;

positional! {
    /// The value of an address key.
    ///
    /// A node without types is an empty non-terminal; one with a cut is a delegation; a DNAME shows in the types.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct AddressValue<'a> {
        /// 1.
        pub format: u8,
        /// Bitmap of the types that the zone has at this node with authority: at a cut NS, DS and NSEC.
        pub types: &'a Bytes,
        /// 4 bytes each.
        pub a: Option<Rrset<'a>>,
        /// 16 bytes each.
        pub aaaa: Option<Rrset<'a>>,
        /// One record.
        pub cname: Option<Rrset<'a>>,
        /// Present at a zone cut.
        pub cut: Option<Cut<'a>>,
    }
}

positional! {
    /// A delegation.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Cut<'a> {
        /// The NS set.
        pub ns: Rrset<'a>,
        /// In-domain glue: addresses of those name servers that lie at or below the cut, a [`RdataList`] of encoded
        /// [`Glue`] in the order of the NS set.
        pub glue: &'a Bytes,
        /// The DS set.
        pub ds: Option<Rrset<'a>>,
    }
}

positional! {
    /// Addresses of one name server.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Glue<'a> {
        /// Its name in wire form.
        pub name: &'a Bytes,
        /// 4 bytes each.
        pub a: Option<Rrset<'a>>,
        /// 16 bytes each.
        pub aaaa: Option<Rrset<'a>>,
    }
}

impl<'a> AddressValue<'a> {
    /// With these types and nothing else yet.
    #[must_use]
    pub fn new(types: &'a Bytes) -> Self {
        Self { format: FORMAT, types, ..Self::default() }
    }

    /// Reads a stored value.
    ///
    /// # Errors
    /// The bytes are damaged or of another format.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, ValueError> {
        let mut value = Self::default();
        value.read(bytes)?;
        Ok(value)
    }

    /// The same in place of another value, where moving it would cost more than reading it.
    ///
    /// # Errors
    /// As [`AddressValue::decode`]; what the place then holds means nothing.
    pub fn read(&mut self, bytes: &'a [u8]) -> Result<(), ValueError> {
        *self = Self::default();
        read_whole_into(bytes, self)?;
        if self.format != FORMAT {
            return Err(ValueError::Format(self.format));
        }
        TypeBitmap::check(self.types, "types")?;
        check_addresses(self.a.as_ref(), self.aaaa.as_ref())?;
        self.cname.as_ref().map_or(Ok(()), |cname| cname.check("cname"))?;
        if let Some(cut) = &self.cut {
            cut.ns.check("ns")?;
            cut.ds.as_ref().map_or(Ok(()), |ds| ds.check("ds"))?;
            RdataList::check(cut.glue, "glue")?;
        }
        Ok(())
    }

    /// The bytes to store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode_into(&mut out);
        out
    }

    /// Writes the bytes to store to the end of `out`.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        rmp_serde::encode::write(out, self).expect("writing plain data into memory cannot fail");
    }

    /// Types present.
    #[must_use]
    pub fn types(&self) -> TypeBitmap<'a> {
        TypeBitmap::checked(self.types)
    }
}

impl<'a> Cut<'a> {
    /// In-domain glue in the order of the NS set.
    ///
    /// # Errors
    /// Each item on its own: an entry is damaged.
    pub fn glue(&self) -> impl Iterator<Item = Result<Glue<'a>, ValueError>> {
        RdataList::checked(self.glue).iter().map(|entry| {
            let glue: Glue<'a> = read_whole(entry)?;
            check_addresses(glue.a.as_ref(), glue.aaaa.as_ref())?;
            Ok(glue)
        })
    }

    /// Packs glue for [`Cut::glue`](struct@Cut).
    pub fn pack_glue<'g>(glue: impl IntoIterator<Item = Glue<'g>>) -> RdataListBuilder {
        RdataListBuilder::from_items(
            glue.into_iter().map(|entry| rmp_serde::to_vec(&entry).expect("plain data always encodes")),
        )
    }
}

fn check_addresses(a: Option<&Rrset<'_>>, aaaa: Option<&Rrset<'_>>) -> Result<(), ValueError> {
    a.map_or(Ok(()), |a| a.check_fixed(4, "a"))?;
    aaaa.map_or(Ok(()), |aaaa| aaaa.check_fixed(16, "aaaa"))
}

#[cfg(test)]
mod tests {
    use domain::base::iana::Rtype;

    use super::*;
    use crate::TypeBitmapBuilder;

    fn stored() -> Vec<u8> {
        let types = TypeBitmapBuilder::from_types([Rtype::NS, Rtype::DS]);
        let ns = RdataListBuilder::from_items([b"\x02ns\x01x\x00"]);
        let ds = RdataListBuilder::from_items([[7; 24]]);
        let address = Rrset { ttl: 60, data: Bytes::new(&[192, 0, 2, 1]), sigs: Bytes::new(&[]) };
        let glue = Cut::pack_glue([Glue { name: Bytes::new(b"\x02ns\x01x\x00"), a: Some(address), aaaa: None }]);
        let rrset = |list: &RdataListBuilder| -> Vec<u8> { list.as_bytes().to_vec() };
        let (ns, ds) = (rrset(&ns), rrset(&ds));
        AddressValue {
            cut: Some(Cut {
                ns: Rrset { ttl: 3600, data: Bytes::new(&ns), sigs: Bytes::new(&[]) },
                glue: glue.as_bytes(),
                ds: Some(Rrset { ttl: 3600, data: Bytes::new(&ds), sigs: Bytes::new(&[]) }),
            }),
            ..AddressValue::new(types.as_bytes())
        }
        .encode()
    }

    #[test]
    fn reads_what_it_wrote() {
        let bytes = stored();
        let value = AddressValue::decode(&bytes).unwrap();
        assert!(value.types().contains(Rtype::DS) && !value.types().contains(Rtype::A));
        let cut = value.cut.unwrap();
        let glue: Vec<_> = cut.glue().map(Result::unwrap).collect();
        assert_eq!(glue[0].a.unwrap().fixed(4).next().unwrap(), [192, 0, 2, 1]);
        assert_eq!(cut.ds.unwrap().rdata().iter().next().unwrap(), [7; 24]);
    }

    #[test]
    fn every_truncation_is_an_error_and_no_flip_panics() {
        let bytes = stored();
        for cut in 0..bytes.len() {
            assert!(AddressValue::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                if let Ok(AddressValue { cut: Some(cut), .. }) = AddressValue::decode(&flipped) {
                    let _ = cut.glue().count();
                }
            }
        }
    }

    #[test]
    fn an_address_takes_few_bytes() {
        let types = TypeBitmapBuilder::from_types([Rtype::A]);
        let a = Rrset { ttl: 300, data: Bytes::new(&[192, 0, 2, 1]), sigs: Bytes::new(&[]) };
        let value = AddressValue { a: Some(a), ..AddressValue::new(types.as_bytes()) };
        assert!(value.encode().len() <= 17, "{} bytes", value.encode().len());
    }
}
