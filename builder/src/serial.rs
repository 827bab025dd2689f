//! The serial of a zone, and how changes raise it (RFC 1982).

use domain::base::Serial;
use domain::base::iana::Rtype;
use zonecast_records::SerialPolicy;

use crate::change::SerialTime;
use crate::present::OwnedNode;

/// The serial after a change.
pub(crate) fn raised_serial(present: u32, policy: SerialPolicy, now: SerialTime) -> u32 {
    let wanted = match policy {
        SerialPolicy::Keep => return present,
        SerialPolicy::Increment => present,
        SerialPolicy::Date => now.date.wrapping_mul(100),
        SerialPolicy::Unix => now.unix,
    };
    if Serial(wanted) > Serial(present) { wanted } else { present.wrapping_add(1) }
}

/// The serial in the SOA of an apex, in wire form.
pub(crate) fn soa_serial(apex: &mut OwnedNode) -> Option<&mut [u8; 4]> {
    let soa = apex.rrs.iter_mut().find(|rr| rr.rtype == Rtype::SOA)?;
    let start = soa.rdata.len().checked_sub(20)?;
    soa.rdata.get_mut(start..)?.first_chunk_mut::<4>()
}
