//! RRsets as values hold them.

use domain::base::iana::Rtype;
use serde_bytes::Bytes;
use zonecast_records::{RdataListBuilder, Rrset};

use crate::node::{Node, Rr, RrsetRef};

/// An RRset as it is stored, owned.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packed {
    ttl: u32,
    pub(crate) data: Vec<u8>,
    sigs: Vec<u8>,
}

impl Packed {
    pub(crate) fn new<D: AsRef<[u8]>>(rrset: &RrsetRef<'_, D>) -> Self {
        let data = match rrset.rtype {
            Rtype::A | Rtype::AAAA => {
                let mut data = Vec::new();
                rrset.rrs.iter().for_each(|rr| data.extend_from_slice(rr.rdata.as_ref()));
                data
            }
            _ => pack(rrset.rrs.iter()),
        };
        Self { ttl: rrset.ttl(), data, sigs: pack(rrset.sigs.iter()) }
    }

    pub(crate) fn stored(ttl: u32, data: &[u8]) -> Self {
        Self { ttl, data: data.to_vec(), sigs: Vec::new() }
    }

    pub(crate) fn without_sigs(self) -> Self {
        Self { sigs: Vec::new(), ..self }
    }

    /// RRSIGs over no RRset, which have a value of their own.
    pub(crate) fn orphans<D: AsRef<[u8]>>(ttl: u32, sigs: &[&Rr<D>]) -> Self {
        Self { ttl, data: pack(sigs.iter().copied()), sigs: vec![] }
    }

    pub(crate) fn as_rrset(&self) -> Rrset<'_> {
        Rrset { ttl: self.ttl, data: Bytes::new(&self.data), sigs: Bytes::new(&self.sigs) }
    }
}

/// RDATA of records as a value holds them.
fn pack<'n, D: AsRef<[u8]> + 'n>(rrs: impl Iterator<Item = &'n Rr<D>>) -> Vec<u8> {
    let mut list = RdataListBuilder::new();
    rrs.for_each(|rr| list.push(rr.rdata.as_ref()));
    list.into_bytes()
}

/// A and AAAA RRsets of a node as glue of a delegation, which is never signed.
pub(crate) fn glue_of<D: AsRef<[u8]>>(node: &Node<D>) -> [Option<Packed>; 2] {
    [Rtype::A, Rtype::AAAA].map(|rtype| node.rrset(rtype).map(|rrset| Packed::new(&rrset).without_sigs()))
}
