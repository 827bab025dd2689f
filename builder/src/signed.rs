//! Changes to a signed zone must bring its signatures: nothing here signs, and an RRset without a good signature is
//! bogus to every validating resolver.
//!
//! What is checked is that each RRset that changes comes with other RRSIGs than it had (RFC 4035 section 2.2). Whether
//! they verify, and whether the NSEC or NSEC3 chain is whole, is for the signer to know.

use domain::base::iana::Rtype;

use crate::finding::{Finding, Report, Rule};
use crate::node::NodeAt;
use crate::node_role::{NodeRole, Placement};
use crate::present::OwnedNode;
use crate::shape::Shape;

/// Whether the zone of this apex is signed before and after.
pub(crate) fn is_signed(before: &OwnedNode, after: &OwnedNode) -> bool {
    let soa_is_signed = before.rrset(Rtype::SOA).is_some_and(|soa| !soa.sigs.is_empty());
    soa_is_signed && after.has(Rtype::DNSKEY)
}

/// What a name was before a change.
#[derive(Clone, Copy)]
pub(crate) struct Before<'n> {
    pub(crate) node: &'n OwnedNode,
    /// Whether its data was authoritative.
    pub(crate) was_published: bool,
}

/// Refuses what would leave an RRset of one name without a signature of its own.
pub(crate) fn check_signatures(
    Before { node: before, was_published }: Before<'_>,
    NodeAt { path, node: after }: NodeAt<'_, Vec<u8>>,
    role: &NodeRole,
    shape: &Shape,
    report: &mut Report,
) {
    for rrset in after.rrsets().filter(|rrset| is_to_be_signed(rrset.rtype, role)) {
        let old = before.rrset(rrset.rtype);
        let (same_data, same_sigs) =
            old.as_ref().map_or((false, false), |old| (old.rrs == rrset.rrs, old.sigs == rrset.sigs));
        let is_stale = !same_data && same_sigs;
        let was_signed = old.is_none_or(|old| !old.sigs.is_empty());
        let loses = rrset.sigs.is_empty() && (was_signed || !was_published);
        if is_stale || loses {
            let location = rrset.rrs.iter().filter_map(|rr| rr.location).max();
            let owner = shape.name(path, &after.owner);
            report.refusals.push(Finding { owner, rtype: rrset.rtype, location, rule: Rule::Unsigned });
        }
    }
}

/// RFC 4035 section 2.2: all authoritative data, and of a delegation DS and NSEC.
fn is_to_be_signed(rtype: Rtype, role: &NodeRole) -> bool {
    match role.placement(rtype) {
        Placement::Zone | Placement::Address | Placement::Rrset | Placement::Nsec | Placement::Nsec3 => true,
        Placement::Cut => rtype == Rtype::DS,
        Placement::Glue | Placement::Hidden => false,
    }
}
