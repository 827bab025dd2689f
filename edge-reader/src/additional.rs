//! Addresses that spare the resolver a question: of name servers, mail hosts and services in the same zone.
//!
//! They never set TC; what does not fit is left out. Names that only a wildcard makes are left out as well, except for
//! name servers, which could not be reached otherwise.

use domain::base::iana::Rtype;
use zonecast_kv_proto::View;
use zonecast_records::{ADDRESS_KIND, AddressValue, KeySection, Name, Path, Rrset};

use crate::answer_state::{AnswerError, Answering};
use crate::finder::Reads;
use crate::message::{MessageWriter, Section, WriteError};
use crate::scratch::Extra;
use crate::wire_name::split_name;
use crate::{FindError, Found, MAX_ADDITIONAL_TARGETS};

/// Bytes in front of the name that leads on, for types that have one.
fn target_offset(rtype: Rtype) -> Option<usize> {
    match rtype {
        Rtype::NS => Some(0),
        Rtype::MX | Rtype::SVCB | Rtype::HTTPS => Some(2),
        Rtype::SRV => Some(6),
        _ => None,
    }
}

/// For an RRset of the answer.
pub(crate) fn of_data<V: View>(
    answering: &mut Answering<'_, '_, V>,
    rtype: Rtype,
    rrset: &Rrset<'_>,
) -> Result<(), AnswerError> {
    let Some(offset) = target_offset(rtype) else { return Ok(()) };
    collect(answering, rrset, offset, |_| true);
    answering.addresses(rtype == Rtype::NS)
}

/// For the name servers of a referral that are not at or below the cut.
pub(crate) fn of_referral<V: View>(
    answering: &mut Answering<'_, '_, V>,
    ns: &Rrset<'_>,
    cut: &Name,
) -> Result<(), AnswerError> {
    collect(answering, ns, 0, |target| !target.is_within(cut));
    answering.addresses(true)
}

fn collect<V: View>(
    answering: &mut Answering<'_, '_, V>,
    rrset: &Rrset<'_>,
    offset: usize,
    wanted: impl Fn(&Name) -> bool,
) {
    answering.extra.targets.clear();
    for rdata in rrset.rdata().iter() {
        let name = rdata.get(offset..).and_then(split_name).and_then(|(name, _)| Name::from_wire(name).ok());
        // In SVCB and HTTPS the root says that there is no other name, RFC 9460 section 2.5.
        if let Some(name) = name.filter(|name| name.label_count() > 0)
            && answering.is_in_zone(&name)
            && wanted(&name)
            && answering.extra.targets.len() < MAX_ADDITIONAL_TARGETS
            && !answering.extra.targets.contains(&name)
        {
            answering.extra.targets.push(name);
        }
    }
}

impl<V: View> Answering<'_, '_, V> {
    /// Writes the addresses of every target: from its node, for name servers else from glue, else from a wildcard.
    fn addresses(&mut self, of_name_servers: bool) -> Result<(), AnswerError> {
        let sections: &[KeySection] =
            if of_name_servers { &[KeySection::Name, KeySection::Glue] } else { &[KeySection::Name] };
        let Self { reader, zone, message, extra, lookups, .. } = self;
        let Extra { key, path, value, targets, finder, .. } = &mut **extra;
        for target in targets.iter() {
            let full = Path::of(target, 0, path);
            let Some((_, below)) = full.split(zone.apex_len) else { continue };
            let mut is_found = false;
            for section in sections {
                let mut reads = Reads { view: reader.view, zone, count: &mut lookups.additional };
                if !is_found && reads.node(key, (*section, ADDRESS_KIND), below, value)? {
                    let node = AddressValue::decode(value).map_err(FindError::from)?;
                    is_found = node.a.is_some() || node.aaaa.is_some();
                    if !write(message, target, [node.a, node.aaaa])? {
                        return Ok(());
                    }
                }
            }
            if is_found || !of_name_servers || zone.summary.wildcards == 0 {
                continue;
            }
            for rtype in [Rtype::A, Rtype::AAAA] {
                let reads = Reads { view: reader.view, zone, count: &mut lookups.additional };
                if let Found::Data { rrset, .. } = finder.find(reads, full, rtype)? {
                    let found = [(rtype == Rtype::A).then_some(rrset), (rtype == Rtype::AAAA).then_some(rrset)];
                    if !write(message, target, found)? {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }
}

/// Writes A and AAAA and says whether they fit.
fn write(
    message: &mut MessageWriter<'_>,
    target: &Name,
    [a, aaaa]: [Option<Rrset<'_>>; 2],
) -> Result<bool, AnswerError> {
    for (rtype, rrset) in [(Rtype::A, a), (Rtype::AAAA, aaaa)] {
        let Some(rrset) = rrset else { continue };
        match message.rrset(Section::Additional, target.as_wire(), rtype, &rrset) {
            Ok(()) => {}
            Err(WriteError::Full) => return Ok(false),
            Err(WriteError::Damaged) => return Err(AnswerError::Rdata),
        }
    }
    Ok(true)
}
