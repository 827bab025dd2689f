//! Where zonecast answers otherwise than both peers, on purpose.
//!
//! Each choice recognises exactly its own differences, so a bug does not hide behind it. docs/conformance.md is made
//! from this table; a test checks that they agree.

use std::fmt::Write;

use domain::base::ToName;
use domain::base::iana::{OptRcode, Rtype};
use zonecast_edge_reader::MAX_ADDITIONAL_TARGETS;

use crate::{Aspect, Case, Mode, Name, Reply, Rr, ZoneData, differences};

/// One documented choice.
pub struct Choice {
    /// Short name, as in reports.
    pub id: &'static str,
    /// Where it is allowed or asked for.
    pub source: &'static str,
    /// What we do, what others do, and why.
    pub what: &'static str,
    /// Whether it explains this difference.
    pub covers: fn(&Case<'_>) -> bool,
}

/// All of them.
pub const CHOICES: &[Choice] = &[
    Choice {
        id: "chain-limit",
        source: "RFC 1034 section 3.6.2, RFC 6672 section 2.2",
        what: "A chain of CNAME and DNAME is followed for 20 steps; the resolver asks on from there. Knot stops after 5, \
               NSD does not stop.",
        covers: chain_limit,
    },
    Choice {
        id: "chain-into-a-zone-below",
        source: "RFC 1034 section 4.3.2",
        what: "A chain that enters a hosted zone below that of the question goes on there, from step 3a back to step 2. NSD \
               and BIND stop at the alias; Knot answers what the zone above has, a referral or that there is no such name.",
        covers: chain_into_a_zone_below,
    },
    Choice {
        id: "signatures-over-nothing",
        source: "RFC 4035 section 2.2",
        what: "Signatures over types that a name does not have are kept and never sent: a query of type RRSIG or ANY for a \
               name with nothing else gets no data, or its NSEC. The peers send them.",
        covers: signatures_over_nothing,
    },
    Choice {
        id: "sibling-glue-that-fits",
        source: "RFC 9471 section 3.2",
        what: "Sibling glue that does not fit is left out without TC, address set by address set in the order of the NS \
               set, and nothing smaller is put in its place; of more than 16 such name servers the others are not looked up. \
               The peers leave out others.",
        covers: sibling_glue_that_fits,
    },
    Choice {
        id: "whole-is-not-truncated",
        source: "RFC 2181 section 9, RFC 9471 section 3.2",
        what: "A delegation with its whole NS set and all glue from below its cut is not truncated, however little room is \
               left. Within some bytes of the limit the peers set TC, because they write some names longer or want room for \
               sibling glue, or have put that in first.",
        covers: whole_is_not_truncated,
    },
    Choice {
        id: "glue-behind-an-alias",
        source: "RFC 9471 section 3.1",
        what: "A delegation that an alias leads to has all glue from below its cut, or TC, as any other. NSD and BIND leave \
               some of it out there without TC, and have sibling glue in its place.",
        covers: glue_behind_an_alias,
    },
    Choice {
        id: "no-glue-from-a-hidden-wildcard",
        source: "RFC 9471 section 2.2, RFC 4592 section 2.2.1",
        what: "A wildcard below a zone cut is hidden by it, so it makes no sibling glue for the delegations beside. NSD and \
               Knot make addresses of name servers from it.",
        covers: no_glue_from_a_hidden_wildcard,
    },
    Choice {
        id: "one-rrset-for-any",
        source: "RFC 8482 section 4.1",
        what: "A query of type ANY is answered with one RRset of the name, as Knot does over UDP and TCP; BIND is told to \
               send all. Below a DNAME it goes on, as NSD and Knot do; BIND stops at the CNAME that it makes. A query of type \
               RRSIG is answered with the signatures of one RRset, as Knot does, though perhaps of another; NSD sends all.",
        covers: one_rrset_for_any,
    },
    Choice {
        id: "delegation-by-a-wildcard",
        source: "RFC 4592 section 4.2",
        what: "What NS at a wildcard means is left open. We refer, to the name that the wildcard stands for; Knot refers to \
               the asterisk itself, NSD answers with authority, BIND does not load it.",
        covers: delegation_by_a_wildcard,
    },
    Choice {
        id: "case-kept-by-compression",
        source: "RFC 4343 section 4.1",
        what: "Names are compressed only against the same letters, so that RDATA keeps its letter case. Where a query is in \
               another case than the zone, an answer can be some bytes longer than the peers' and just not fit.",
        covers: case_kept_by_compression,
    },
    Choice {
        id: "nsec-at-a-cut",
        source: "RFC 4035 section 2.3, RFC 4034 section 4",
        what: "A query of type NSEC for the name of a delegation is answered with the NSEC record that the parent zone has \
               there and is the authority for, as a query of type DS is. BIND does the same; NSD and Knot refer to the child.",
        covers: nsec_at_a_cut,
    },
    Choice {
        id: "asterisk-below-a-hash",
        source: "RFC 5155 sections 7.2.5 and 7.2.6",
        what: "Owner names of NSEC3 records are no names of the zone, so what is asked for below one can be made from a \
               wildcard, and that nothing stands closer is proved. Where the name asked for begins with an asterisk itself, \
               Knot leaves that proof out; NSD says that there is no such name.",
        covers: asterisk_below_a_hash,
    },
    Choice {
        id: "udp-payload",
        source: "RFC 9715 section 3.1, RFC 6891 section 6.2.5",
        what: "No answer over UDP is longer than 1,232 bytes, however much room the client offers, so that none is \
               fragmented. The peers under test are told to use 4,096.",
        covers: udp_payload,
    },
];

/// The text of docs/conformance.md.
#[must_use]
pub fn conformance_page() -> String {
    let mut page = String::from(
        "# Conformance\n\n\
         <!-- Made from tests/src/choices.rs; `UPDATE_DOCS=1 cargo test -p zonecast-tests` writes it anew. -->\n\n\
         `tests/` starts NSD and Knot DNS on the same zones as zonecast: the root zone and the small hard ones in\n\
         [tests/zones](../tests/zones); what NSD does not load is compared with BIND. It asks all of them for every name\n\
         and type present, for other types there, and for names that do not exist at every level, over UDP and TCP, and\n\
         compares response code, AA, TC, answer, authority and referral glue: names without letter case, RRsets as sets,\n\
         TTLs included; without DNSSEC and with it (DO=1), on zones signed with NSEC, NSEC3, and NSEC3 with opt-out. A\n\
         reply passes when it equals one peer's. Every other difference is one of these choices:\n\n\
         | choice | where it comes from | what |\n|---|---|---|\n",
    );
    for Choice { id, source, what, .. } in CHOICES {
        let _ = writeln!(page, "| {id} | {source} | {what} |");
    }
    page.push_str(
        "\nWhere NSD and Knot differ, zonecast sides with Knot on ANY and RRSIG queries (one RRset, RFC 8482 section 4.1) and\n\
         on TC for in-domain glue that does not fit (RFC 9471 section 3.1), and with NSD on labels with zero bytes, which\n\
         Knot takes for its own separators.\n\n\
         Always allowed: addresses of hosts named in an answer, from the same zone, in the additional section. They are\n\
         checked against the zone, not against the peers, whose rules differ among themselves.\n\n\
         What a truncated reply still holds is not compared: a client asks again over TCP (RFC 2181 section 9).\n",
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
