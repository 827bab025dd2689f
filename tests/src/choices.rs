//! The cases in which zonecast deliberately answers differently from all peers.
//!
//! Each choice matches only its own differences, so that it does not hide a bug. docs/conformance.md is generated from this
//! table; a test checks that they agree.

use std::fmt::Write;

use domain::base::ToName;
use domain::base::iana::{OptRcode, Rtype};
use zonecast_edge_reader::MAX_ADDITIONAL_TARGETS;

use crate::{Aspect, Case, Mode, Name, Reply, Rr, ZoneData, differences};

/// A deliberate difference from the peers.
pub struct Choice {
    /// Short name, as in reports.
    pub id: &'static str,
    /// The RFC that allows or requires our answer.
    pub source: &'static str,
    /// What zonecast does, what the peers do, and why.
    pub what: &'static str,
    /// Whether the choice explains the difference of a case.
    pub covers: fn(&Case<'_>) -> bool,
}

/// All choices, as docs/conformance.md lists them.
pub const CHOICES: &[Choice] = &[
    Choice {
        id: "chain-limit",
        source: "RFC 1034 section 3.6.2, RFC 6672 section 2.2",
        what: "zonecast follows a chain of CNAME and DNAME records for 20 steps and sends that part of the \
               chain; the resolver then queries for the last target. Knot stops after 5 steps, NSD has no \
               limit.",
        covers: chain_limit,
    },
    Choice {
        id: "chain-into-a-zone-below",
        source: "RFC 1034 section 4.3.2",
        what: "If a CNAME or DNAME leads from a zone into another hosted zone below it, zonecast goes on with the \
               records of the lower zone (step 3a returns to step 2). NSD and BIND stop after the CNAME. Knot \
               answers from the upper zone, with a referral or NXDOMAIN.",
        covers: chain_into_a_zone_below,
    },
    Choice {
        id: "signatures-over-nothing",
        source: "RFC 4035 section 2.2",
        what: "zonecast stores RRSIG records over types that their name does not have, but never sends them. \
               For a name that has only such records, it answers a query of type RRSIG or ANY with NODATA or \
               the NSEC record. The peers send the signatures.",
        covers: signatures_over_nothing,
    },
    Choice {
        id: "sibling-glue-that-fits",
        source: "RFC 9471 section 3.2",
        what: "zonecast adds the addresses of sibling name servers in the order of the NS set. It omits the \
               first address set that does not fit and all later ones, without TC, and looks up at most 16 \
               sibling name servers. The peers omit other sets.",
        covers: sibling_glue_that_fits,
    },
    Choice {
        id: "whole-is-not-truncated",
        source: "RFC 2181 section 9, RFC 9471 section 3.2",
        what: "zonecast does not set TC on a referral that has the whole NS set and all in-domain glue, even if \
               it fills the message. The peers set TC some bytes below the limit, because they compress less, \
               reserve room for sibling glue, or add sibling glue first.",
        covers: whole_is_not_truncated,
    },
    Choice {
        id: "glue-behind-an-alias",
        source: "RFC 9471 section 3.1",
        what: "When a CNAME or DNAME leads to a delegation, the referral has all in-domain glue or TC, as any \
               other referral. NSD and BIND omit some in-domain glue without TC and send sibling glue in its \
               place.",
        covers: glue_behind_an_alias,
    },
    Choice {
        id: "no-glue-from-a-hidden-wildcard",
        source: "RFC 9471 section 2.2, RFC 4592 section 2.2.1",
        what: "A zone cut hides a wildcard below it, so zonecast does not synthesise sibling glue from that \
               wildcard. NSD and Knot do.",
        covers: no_glue_from_a_hidden_wildcard,
    },
    Choice {
        id: "one-rrset-for-any",
        source: "RFC 8482 section 4.1",
        what: "zonecast answers a query of type ANY with one RRset of the name, as Knot does over UDP and TCP; \
               the BIND under test is configured to send all. At a name below a DNAME, zonecast, NSD and Knot \
               follow the DNAME; BIND stops after the synthesised CNAME. zonecast answers a query of type RRSIG \
               with the signatures of one RRset, as Knot does, but may choose another RRset; NSD sends all \
               signatures.",
        covers: one_rrset_for_any,
    },
    Choice {
        id: "delegation-by-a-wildcard",
        source: "RFC 4592 section 4.2",
        what: "RFC 4592 does not define NS records at a wildcard. zonecast sends a referral whose NS owner is \
               the name that the wildcard expands to. Knot sends a referral whose owner is the wildcard itself, \
               NSD sends an authoritative answer, BIND does not load the zone.",
        covers: delegation_by_a_wildcard,
    },
    Choice {
        id: "case-kept-by-compression",
        source: "RFC 4343 section 4.1",
        what: "zonecast compresses a name only against one with the same letter case, so that RDATA keeps its \
               letter case. If the query has another letter case than the zone, its answer can be some bytes \
               longer than those of the peers, and be truncated where theirs just fit.",
        covers: case_kept_by_compression,
    },
    Choice {
        id: "nsec-at-a-cut",
        source: "RFC 4035 section 2.3, RFC 4034 section 4",
        what: "zonecast answers a query of type NSEC at a delegation with the NSEC record of the parent zone, \
               which is authoritative for it, as it does for type DS. BIND does the same. NSD and Knot send a \
               referral to the child zone.",
        covers: nsec_at_a_cut,
    },
    Choice {
        id: "asterisk-below-a-hash",
        source: "RFC 5155 sections 7.2.5 and 7.2.6",
        what: "The owner names of NSEC3 records do not count as names of the zone. So a wildcard can match a \
               name below one of them, and zonecast then proves that there is no closer match. If the first \
               label of the query name is an asterisk, Knot omits that proof, and NSD answers NXDOMAIN.",
        covers: asterisk_below_a_hash,
    },
    Choice {
        id: "udp-payload",
        source: "RFC 9715 section 3.1, RFC 6891 section 6.2.5",
        what: "zonecast sends at most 1,232 bytes over UDP, even if the client accepts more, so that no answer \
               is fragmented. The peers under test are configured for 4,096 bytes.",
        covers: udp_payload,
    },
];

/// The text of docs/conformance.md.
#[must_use]
pub fn conformance_page() -> String {
    let mut page = String::from(
        "# Conformance\n\n\
         <!-- Generated from tests/src/choices.rs; `UPDATE_DOCS=1 cargo test -p zonecast-tests` writes it again. -->\n\n\
         `tests/` starts NSD and Knot DNS with the same zones as zonecast: the root zone and the small, difficult zones in\n\
         [tests/zones](../tests/zones). It compares with BIND for zones that NSD does not load. It queries every server for\n\
         each name and type of the zones, for types that a name does not have, and for names that do not exist at every\n\
         level, over UDP and TCP. It compares response code, AA, TC, answer, authority and referral glue. Names are compared\n\
         without letter case, RRsets as sets, with their TTLs. The queries are sent without DNSSEC and with it (DO=1), to\n\
         zones signed with NSEC, NSEC3, and NSEC3 with opt-out. A response passes if it equals that of one peer. These are\n\
         the only other differences that the tests accept:\n\n\
         | choice | reference | what the servers do |\n|---|---|---|\n",
    );
    for Choice { id, source, what, .. } in CHOICES {
        let _ = writeln!(page, "| {id} | {source} | {what} |");
    }
    page.push_str(
        "\nWhere NSD and Knot differ, zonecast does as Knot does for queries of type ANY and RRSIG (one RRset, RFC 8482\n\
         section 4.1) and for TC when in-domain glue does not fit (RFC 9471 section 3.1). It does as NSD does for labels\n\
         that contain zero bytes, which Knot confuses with its own separators.\n\n\
         The tests accept any addresses of hosts that the answer names in the additional section, if the same zone has\n\
         them. They check these addresses against the zone and not against the peers, because the rules of the peers\n\
         differ.\n\n\
         The tests do not compare the records of truncated responses, because a client repeats the query over TCP (RFC\n\
         2181 section 9).\n",
    );
    page
}

/// A chain from above that goes on in a hosted zone below: all that the peer says, and what is hosted.
fn chain_into_a_zone_below(case: &Case<'_>) -> bool {
    let ours = case.ours;
    let nearest = |name: &Name| {
        let apexes = case.zones.iter().map(|zone| &zone.apex).filter(|apex| name.ends_with(apex));
        apexes.max_by_key(|apex| apex.label_count())
    };
    let Some(home) = nearest(&case.question.name) else { return false };
    let below =
        |rr: &Rr| rr.target().as_ref().and_then(nearest).is_some_and(|apex| apex != home && apex.ends_with(home));
    let goes_on = |peer: &Reply| {
        let mut more = ours.answer.difference(&peer.answer);
        let same = (peer.rcode, peer.aa, peer.tc) == (OptRcode::NOERROR, ours.aa, ours.tc);
        same && peer.authority.is_empty()
            && peer.answer.is_subset(&ours.answer)
            && more.all(|rr| rr.rtype == Rtype::CNAME || case.is_hosted(rr))
    };
    let mut aliases = ours.answer.iter().filter(|rr| rr.rtype == Rtype::CNAME);
    aliases.any(below) && case.peers.iter().any(|(_, peer)| goes_on(peer))
}

/// No data, or NSEC, where every peer has nothing but signatures.
fn signatures_over_nothing(case: &Case<'_>) -> bool {
    let ours = case.ours;
    let only_signatures =
        |peer: &Reply| !peer.answer.is_empty() && peer.answer.iter().all(|rr| rr.rtype == Rtype::RRSIG);
    matches!(case.question.rtype, Rtype::RRSIG | Rtype::ANY)
        && (ours.rcode, ours.aa) == (OptRcode::NOERROR, true)
        && ours.answer.iter().all(|rr| rr.rtype == Rtype::NSEC)
        && case.peers.iter().all(|(_, peer)| only_signatures(peer))
}

/// The limit's number of aliases and nothing else, all of which the peer that goes on has too.
fn chain_limit(case: &Case<'_>) -> bool {
    let ours = case.ours;
    let aliases = ours.answer.iter().filter(|rr| rr.rtype == Rtype::CNAME).count();
    aliases == 20
        && ours.answer.iter().all(|rr| rr.rtype == Rtype::CNAME || rr.rtype == Rtype::DNAME)
        && ours.authority.is_empty()
        && case.peers.iter().any(|(_, peer)| peer.rcode == ours.rcode && ours.answer.is_subset(&peer.answer))
}

/// The most bytes of an answer of ours over UDP.
fn our_room(case: &Case<'_>) -> Option<usize> {
    case.mode.room().map(|room| usize::from(room.min(1232)))
}

/// A full referral with all glue that lies below its own cut, to which some further address set cannot be added.
fn sibling_glue_that_fits(case: &Case<'_>) -> bool {
    let ours = case.ours;
    let Some(cut) = cut(ours) else { return false };
    let below_the_cut = |reply: &Reply| {
        let own = reply.additional.iter().filter(|rr| rr.owner.ends_with(cut));
        own.cloned().collect::<Vec<_>>()
    };
    let covers =
        |peer: &Reply| differences(ours, peer) == [Aspect::Glue].into() && below_the_cut(peer) == below_the_cut(ours);
    ours.is_referral() && is_full(case, cut) && case.peers.iter().any(|(_, peer)| covers(peer))
}

/// Whether some address set of a name server that is not there could not be added, or was not looked up.
fn is_full(case: &Case<'_>, cut: &Name) -> bool {
    const SMALLEST_IPV6: usize = 28;
    let ours = case.ours;
    let hosted = |name: &Name| case.zones.iter().any(|zone| name.ends_with(&zone.apex));
    let siblings = name_servers(ours).filter(|name| hosted(name) && !name.ends_with(cut)).count();
    let ends = |room| {
        let left_out = largest_glue_left_out(case).unwrap_or_default();
        ours.size + SMALLEST_IPV6.max(left_out) > room
    };
    siblings > MAX_ADDITIONAL_TARGETS || our_room(case).is_some_and(ends)
}

/// A delegation that lacks nothing that is required, close to the limit, where every peer sets TC or has other glue.
fn whole_is_not_truncated(case: &Case<'_>) -> bool {
    /// What a peer can need more.
    const LONGER: usize = 64;
    let ours = case.ours;
    let Some(room) = our_room(case) else { return false };
    let ends = |peer: &Reply| {
        let truncates = peer.tc && peer.rcode == ours.rcode && peer.answer.is_subset(&ours.answer);
        truncates || differences(ours, peer) == [Aspect::Glue].into()
    };
    !ours.tc && is_whole(case, ours) && ours.size + LONGER > room && case.peers.iter().all(|(_, peer)| ends(peer))
}

/// Ours has all glue from below the cut or says TC, and a peer that says the same otherwise lacks some.
fn glue_behind_an_alias(case: &Case<'_>) -> bool {
    let ours = case.ours;
    let lacks_glue = |peer: &Reply| {
        let aspects = differences(ours, peer);
        let same = peer.answer == ours.answer && aspects.is_subset(&[Aspect::Glue, Aspect::Tc].into());
        same && !peer.tc && !is_whole(case, peer)
    };
    !ours.answer.is_empty()
        && ours.is_referral()
        && ours.tc != is_whole(case, ours)
        && cut(ours).is_some_and(|cut| is_full(case, cut))
        && case.peers.iter().any(|(_, peer)| lacks_glue(peer))
}

/// The delegation that a referral is about.
fn cut(referral: &Reply) -> Option<&Name> {
    referral.authority.iter().find(|rr| rr.rtype == Rtype::NS).map(|rr| &rr.owner)
}

/// Whether a referral has all name servers of the cut, and all addresses of those below it.
fn is_whole(case: &Case<'_>, referral: &Reply) -> bool {
    let Some(cut) = cut(referral) else { return false };
    let at = |name: &Name| case.zones.iter().flat_map(|zone| zone.records_at(name)).collect::<Vec<_>>();
    let has_all_servers = at(cut).iter().filter(|rr| rr.rtype == Rtype::NS).all(|rr| referral.authority.contains(*rr));
    let is_address = |rr: &Rr| matches!(rr.rtype, Rtype::A | Rtype::AAAA);
    let has_glue =
        |name: Name| at(&name).iter().filter(|rr| is_address(rr)).all(|rr| referral.additional.contains(*rr));
    has_all_servers && name_servers(referral).filter(|name| name.ends_with(cut)).all(has_glue)
}

/// The most bytes of an address set of a name server, with its signature where these are asked for, that is not in the
/// answer.
fn largest_glue_left_out(case: &Case<'_>) -> Option<usize> {
    // A pointer to the owner, type, class, TTL and length.
    const HEAD: usize = 12;
    let ours = case.ours;
    let len_of = |target: &Name, rtype: Rtype| {
        let at_target: Vec<&Rr> = case.zones.iter().flat_map(|zone| zone.records_at(target)).collect();
        let signs = |rr: &Rr| rr.rtype == Rtype::RRSIG && rr.rdata.starts_with(&rtype.to_int().to_be_bytes());
        let signed = matches!(case.mode, Mode::Dnssec(_));
        let set = at_target.iter().filter(|rr| rr.rtype == rtype || (signed && signs(rr)));
        let is_left_out = at_target.iter().any(|rr| rr.rtype == rtype && !ours.additional.contains(*rr));
        is_left_out.then(|| set.map(|rr| HEAD + rr.rdata.len()).sum())
    };
    name_servers(ours).flat_map(|target| [Rtype::A, Rtype::AAAA].map(|rtype| len_of(&target, rtype))).flatten().max()
}

/// Names of the name servers that a referral leads to.
fn name_servers(reply: &Reply) -> impl Iterator<Item = Name> {
    let records = reply.authority.iter().filter(|rr| rr.rtype == Rtype::NS);
    records.filter_map(|rr| Name::from_octets(rr.rdata.clone()).ok())
}

/// All glue of the peer but what only a wildcard below another cut makes.
fn no_glue_from_a_hidden_wildcard(case: &Case<'_>) -> bool {
    let ours = case.ours;
    let is_hidden = |rr: &Rr| {
        let made = case.zones.iter().any(|zone| zone.synthesises(rr) && !zone.contains(rr));
        let mut above = rr.owner.iter_suffixes().skip(1).map(|name| name.to_vec());
        let below_a_cut = |name: Name| {
            let of = |zone: &ZoneData| {
                zone.apex != name && zone.types_at(&name).is_some_and(|types| types.contains(&Rtype::NS))
            };
            case.zones.iter().any(of)
        };
        made && above.any(below_a_cut)
    };
    let covers = |peer: &Reply| {
        differences(ours, peer) == [Aspect::Glue].into()
            && ours.additional.is_subset(&peer.additional)
            && peer.additional.difference(&ours.additional).all(is_hidden)
    };
    ours.is_referral() && case.peers.iter().any(|(_, peer)| covers(peer))
}

/// A part of what the peer sends, of one owner and type; or the peer's DNAME and CNAME, and what follows.
fn one_rrset_for_any(case: &Case<'_>) -> bool {
    let ours = &case.ours.answer;
    let one_set = ours.iter().zip(ours.iter().skip(1)).all(|(a, b)| a.owner == b.owner && a.rtype == b.rtype);
    let part = |peer: &Reply| {
        let same = peer.rcode == case.ours.rcode && peer.authority == case.ours.authority;
        same && one_set && !ours.is_empty() && ours.is_subset(&peer.answer)
    };
    let goes_on = |peer: &Reply| {
        let has_dname = peer.answer.iter().any(|rr| rr.rtype == Rtype::DNAME);
        has_dname && peer.authority.is_empty() && peer.answer.is_subset(ours)
    };
    let covers = |peer: &Reply| peer.aa == case.ours.aa && (part(peer) || goes_on(peer));
    matches!(case.question.rtype, Rtype::ANY | Rtype::RRSIG) && case.peers.iter().any(|(_, peer)| covers(peer))
}

/// All that Knot says, and further proofs, at a name with an asterisk right below the owner of an NSEC3 record.
fn asterisk_below_a_hash(case: &Case<'_>) -> bool {
    let parent: Option<Name> = case.question.name.iter_suffixes().nth(1).map(|parent| parent.to_vec());
    let types = parent.and_then(|parent| case.zones.iter().find_map(|zone| zone.types_at(&parent)));
    let less = |peer: &Reply| {
        let same = (peer.rcode, peer.aa, &peer.answer) == (case.ours.rcode, case.ours.aa, &case.ours.answer);
        same && peer.authority.is_subset(&case.ours.authority)
    };
    case.question.name.first().as_slice() == b"*"
        && types.is_some_and(|types| types.contains(&Rtype::NSEC3))
        && case.peers.iter().any(|(_, peer)| less(peer))
}

/// A referral whose NS records are a wildcard's, with the name that was asked for or one above it.
fn delegation_by_a_wildcard(case: &Case<'_>) -> bool {
    let ours = case.ours;
    let by_wildcard = |rr: &Rr| {
        let synthesised = case.zones.iter().any(|zone| zone.synthesises(rr) && !zone.contains(rr));
        rr.rtype == Rtype::NS && synthesised && case.question.name.ends_with(&rr.owner)
    };
    ours.is_referral() && !ours.aa && ours.answer.is_empty() && ours.authority.iter().all(by_wildcard)
}

/// Truncated where the peer's answer just fits, for a question in another case than the zone's.
fn case_kept_by_compression(case: &Case<'_>) -> bool {
    // What stands in the question's case is compressed against itself, so a name or two is written anew.
    const MOST_LOST: usize = 64;
    let Some(room) = our_room(case) else { return false };
    let foreign = case.question.name.as_slice().iter().any(u8::is_ascii_uppercase);
    let just_fits = |peer: &Reply| differences(case.ours, peer) == [Aspect::Tc].into() && peer.size + MOST_LOST > room;
    foreign && case.ours.tc && case.peers.iter().any(|(_, peer)| just_fits(peer))
}

/// The zone's own NSEC record and nothing else, where the peers refer.
fn nsec_at_a_cut(case: &Case<'_>) -> bool {
    let ours = case.ours;
    let mut records = ours.answer.iter().filter(|rr| rr.rtype != Rtype::RRSIG);
    let own = |rr: &Rr| rr.rtype == Rtype::NSEC && rr.owner == case.question.name && case.is_hosted(rr);
    case.question.rtype == Rtype::NSEC
        && ours.aa
        && records.next().is_some_and(own)
        && records.next().is_none()
        && ours.authority.is_empty()
        && case.peers.iter().all(|(_, peer)| peer.tc || peer.is_referral())
}

/// The peer uses room that we do not.
fn udp_payload(case: &Case<'_>) -> bool {
    let more_room = case.mode.room().is_some_and(|room| room > 1232);
    let longer =
        |peer: &Reply| !peer.tc && peer.size > 1232 && peer.rcode == case.ours.rcode && peer.aa == case.ours.aa;
    more_room && case.ours.tc && case.peers.iter().all(|(_, peer)| longer(peer))
}
