//! The rules that a node must keep to be served, and what is odd about it.

use domain::base::iana::Rtype;
use zonecast_records::{MAX_NAME_LEN, MAX_NSEC3_ITERATIONS, Name, Path, RdataField, is_well_formed_rdata};

use crate::finding::{Finding, Location, Report, Rule, Warning};
use crate::node::{Node, NodeAt, RrsetRef, covered};
use crate::node_role::{NodeRole, Placement};
use crate::shape::Shape;
use crate::tolerance::Tolerance;

/// Bytes of a header and of an OPT record without options.
const HEADER_AND_OPT_LEN: usize = 12 + 11;
/// Bytes of type and class in the question.
const QUESTION_TAIL_LEN: usize = 4;
/// Bytes of a record beside its RDATA, its owner compressed to a pointer.
pub(crate) const RECORD_HEAD_LEN: usize = 12;
/// Largest DNS message, RFC 1035 section 4.2.2.
const MAX_MESSAGE_LEN: usize = 65_535;

/// Findings about one node.
struct Check<'c, D> {
    shape: &'c Shape,
    node: &'c Node<D>,
    path: Path<'c>,
    tolerance: Tolerance,
    report: &'c mut Report,
}

/// Checks one normalised node.
pub(crate) fn check_node<D: AsRef<[u8]>>(
    NodeAt { path, node }: NodeAt<'_, D>,
    role: &NodeRole,
    shape: &Shape,
    tolerance: Tolerance,
    report: &mut Report,
) {
    let mut check = Check { shape, node, path, tolerance, report };
    for rrs in node.rrs.chunk_by(|one, other| one.rtype == other.rtype) {
        let Some(rtype) = rrs.first().map(|rr| rr.rtype) else { continue };
        if is_meta(rtype) {
            check.refuse(rtype, Rule::MetaType);
        }
        for rr in rrs.iter().filter(|rr| !is_well_formed_rdata(rtype, rr.rdata.as_ref())) {
            check.refuse_at(rtype, rr.location, Rule::Rdata);
        }
    }
    check.singletons(role.is_apex);
    check.owner(role.is_apex);
    check.targets();
    if role.is_apex {
        check.nsec3_parameters();
    }
    for rrset in node.rrsets() {
        check.size(&rrset);
        check.oddities(&rrset, role);
    }
    for orphan in node.orphan_sigs() {
        check.warn_at(covered(orphan), orphan.location, Warning::OrphanSignature);
    }
    if role.cut && path.is_wildcard() {
        check.warn(Rtype::NS, Warning::WildcardNs);
    }
}

/// Types that are no zone data, RFC 6895 section 3.1: reserved ones, OPT, and those for queries and messages.
fn is_meta(rtype: Rtype) -> bool {
    matches!(rtype.to_int(), 0 | 41 | 128..=255 | 65_535)
}

/// What keeps clients from asking for a name.
fn oddity_of_name(name: &Name) -> Option<Warning> {
    let mut above = name.labels().skip(1);
    let is_service = above.next().is_some_and(|label| label.starts_with(b"_"))
        && above.next().is_some_and(|label| label.eq_ignore_ascii_case(b"_tcp") || label.eq_ignore_ascii_case(b"_udp"));
    // The first label of a service instance is text for people, RFC 6763 section 4.1.1, but without control characters.
    let host = |number: usize| number > 0 || !is_service;
    let labels = || name.labels().enumerate();
    if labels().any(|(number, label)| label.iter().any(|byte| byte.is_ascii_control() || *byte == b' ' && host(number)))
    {
        return Some(Warning::Blank);
    }
    labels().any(|(number, label)| host(number) && !label.is_ascii()).then_some(Warning::NotAscii)
}

/// Whether the name that these bytes begin with has printing characters of ASCII only, as nearly every name.
fn is_usual_name(mut wire: &[u8]) -> bool {
    while let Some((length @ 1.., rest)) = wire.split_first() {
        let Some((label, rest)) = rest.split_at_checked(usize::from(*length)) else { return false };
        if !label.iter().all(|byte| matches!(byte, b'!'..=b'~')) {
            return false;
        }
        wire = rest;
    }
    true
}

/// Where the name stands that data of this type leads clients to.
fn target_at(rtype: Rtype) -> Option<usize> {
    let of_hosts = matches!(rtype, Rtype::NS | Rtype::CNAME | Rtype::DNAME | Rtype::PTR | Rtype::MX);
    let of_services = matches!(rtype, Rtype::KX | Rtype::AFSDB | Rtype::SRV | Rtype::SVCB | Rtype::HTTPS);
    if of_hosts || of_services { RdataField::first_name_at(rtype) } else { None }
}

impl<D: AsRef<[u8]>> Check<'_, D> {
    /// What a name has at most once, alone, or at least once.
    fn singletons(&mut self, is_apex: bool) {
        let node = self.node;
        let count = |rtype| node.of_type(rtype).len();
        if count(Rtype::CNAME) > 1 {
            self.refuse(Rtype::CNAME, Rule::SeveralCnames);
        }
        let beside = |rtype| !matches!(rtype, Rtype::CNAME | Rtype::RRSIG | Rtype::NSEC | Rtype::NSEC3);
        if node.has(Rtype::CNAME) && node.rrs.iter().any(|rr| beside(rr.rtype)) {
            self.refuse(Rtype::CNAME, Rule::CnameAndOther);
        }
        if count(Rtype::DNAME) > 1 {
            self.refuse(Rtype::DNAME, Rule::SeveralDnames);
        }
        match (is_apex, count(Rtype::SOA)) {
            (false, 0) | (true, 1) => {}
            (false, _) => self.refuse(Rtype::SOA, Rule::SoaBelowApex),
            (true, 0) => self.refuse(Rtype::SOA, Rule::NoSoa),
            (true, _) => self.refuse(Rtype::SOA, Rule::SeveralSoas),
        }
        match (is_apex && !node.has(Rtype::NS), self.tolerance.serve_without_ns) {
            (false, _) => {}
            (true, true) => self.warn(Rtype::NS, Warning::NoNs),
            (true, false) => self.refuse(Rtype::NS, Rule::NoNs),
        }
    }

    /// Whether anybody asks for the name.
    fn owner(&mut self, is_apex: bool) {
        let Some(first) = self.node.rrs.first() else { return };
        // A path has bytes of its own between labels; a closer look costs more, and few names need it.
        let is_usual = |byte: &u8| matches!(byte, 0 | b'!'..=b'~');
        if !is_apex && self.path.as_bytes().iter().all(is_usual) {
            return;
        }
        let owner = self.shape.name(self.path, self.node.owner.as_ref());
        if let Some(rule) = oddity_of_name(&owner) {
            self.warn_at(first.rtype, first.location, rule);
        }
    }

    /// Whether anybody finds what the data leads to.
    fn targets(&mut self) {
        for rr in &self.node.rrs {
            let wire = target_at(rr.rtype).and_then(|at| rr.rdata.as_ref().get(at..));
            let Some(wire) = wire.filter(|wire| !is_usual_name(wire)) else { continue };
            let rule = match Name::from_wire(wire).ok().as_ref().and_then(oddity_of_name) {
                Some(Warning::NotAscii) => Warning::TargetNotAscii,
                Some(_) => Warning::TargetBlank,
                None => continue,
            };
            self.warn_at(rr.rtype, rr.location, rule);
        }
    }

    /// What the zone says of its NSEC3 chains, RFC 5155 section 4.2.
    fn nsec3_parameters(&mut self) {
        for rr in self.node.of_type(Rtype::NSEC3PARAM) {
            let iterations = rr.rdata.as_ref().get(2..4).and_then(|bytes| bytes.first_chunk::<2>());
            let iterations = iterations.map_or(0, |bytes| u16::from_be_bytes(*bytes));
            if iterations > MAX_NSEC3_ITERATIONS {
                self.refuse_at(Rtype::NSEC3PARAM, rr.location, Rule::Nsec3Iterations(iterations));
            }
        }
    }

    /// Whether some answer can hold the RRset.
    fn size(&mut self, rrset: &RrsetRef<'_, D>) {
        let records = rrset.rrs.iter().chain(rrset.sigs).map(|rr| RECORD_HEAD_LEN + rr.rdata.as_ref().len());
        let beside_name = HEADER_AND_OPT_LEN + QUESTION_TAIL_LEN + records.sum::<usize>();
        if beside_name + MAX_NAME_LEN <= MAX_MESSAGE_LEN {
            return;
        }
        // A wildcard answers for the longest names.
        let name = match self.path.is_wildcard() {
            true => MAX_NAME_LEN,
            false => self.shape.name(self.path, self.node.owner.as_ref()).as_wire().len(),
        };
        let total = beside_name + name;
        if total > MAX_MESSAGE_LEN {
            self.refuse(rrset.rtype, Rule::TooLarge(u64::try_from(total).unwrap_or(u64::MAX)));
        }
    }

    fn oddities(&mut self, rrset: &RrsetRef<'_, D>, role: &NodeRole) {
        let ttl = rrset.ttl();
        if rrset.rrs.iter().chain(rrset.sigs).any(|rr| rr.ttl != ttl) {
            self.warn(rrset.rtype, Warning::MixedTtls);
        }
        if role.is_elsewhere(rrset.rtype) {
            self.warn(rrset.rtype, Warning::InAnotherZone);
            return;
        }
        match (rrset.rtype, role.placement(rrset.rtype)) {
            (Rtype::NSEC3, Placement::Hidden) => self.warn(rrset.rtype, Warning::StrayNsec3),
            (_, Placement::Hidden) => self.warn(rrset.rtype, Warning::Occluded),
            (_, Placement::Glue) if role.below_dname => self.warn(rrset.rtype, Warning::Occluded),
            (Rtype::DS, Placement::Rrset) => self.warn(rrset.rtype, Warning::StrayDs),
            _ => {}
        }
    }

    fn refuse(&mut self, rtype: Rtype, rule: Rule) {
        self.refuse_at(rtype, self.location(rtype), rule);
    }

    fn warn(&mut self, rtype: Rtype, rule: Warning) {
        self.warn_at(rtype, self.location(rtype), rule);
    }

    fn refuse_at(&mut self, rtype: Rtype, location: Option<Location>, rule: Rule) {
        let owner = self.shape.name(self.path, self.node.owner.as_ref());
        self.report.refusals.push(Finding { owner, rtype, location, rule });
    }

    fn warn_at(&mut self, rtype: Rtype, location: Option<Location>, rule: Warning) {
        let owner = self.shape.name(self.path, self.node.owner.as_ref());
        self.report.warnings.push(Finding { owner, rtype, location, rule });
    }

    /// Where the last record of a type came from: of several in conflict the later is the one to look at.
    fn location(&self, rtype: Rtype) -> Option<Location> {
        self.node.of_type(rtype).iter().filter_map(|rr| rr.location).max()
    }
}
