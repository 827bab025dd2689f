//! Nothing is allocated once the buffers have grown.

use std::sync::Arc;

use domain::base::iana::Rtype;
use zonecast_edge_reader::{AnswerClass, Changes, Client, CookieSecrets, Cookies, Scratch, Transport};

use crate::world::{World, query, with_option};

#[test]
fn a_warm_reader_allocates_nothing() {
    let world = World::example(
        "www 60 A 192.0.2.1\nwww 60 TXT hi\nalias 60 CNAME www\nsub 60 NS ns.sub\nsub 60 NS ns.sib\nns.sub 60 A 192.0.2.2\nsib 60 NS ns.sib\n\
         ns.sib 60 A 192.0.2.3\n*.w 60 TXT hi\nd 60 DNAME w\nmx 60 MX 1 www\n",
    );
    let asked = [
        ("www.example.", Rtype::A, AnswerClass::Positive),
        ("www.example.", Rtype::TXT, AnswerClass::Positive),
        ("www.example.", Rtype::ANY, AnswerClass::Positive),
        ("mx.example.", Rtype::MX, AnswerClass::Positive),
        ("example.", Rtype::SOA, AnswerClass::Positive),
        ("alias.example.", Rtype::A, AnswerClass::Chain),
        ("x.d.example.", Rtype::TXT, AnswerClass::Chain),
        ("x.w.example.", Rtype::TXT, AnswerClass::Wildcard),
        ("www.example.", Rtype::MX, AnswerClass::NoData),
        ("nope.example.", Rtype::A, AnswerClass::NxDomain),
        ("x.sub.example.", Rtype::A, AnswerClass::Referral),
        ("example.net.", Rtype::A, AnswerClass::Refused),
        ("example.", Rtype::AXFR, AnswerClass::Refused),
    ];
    let changes = Arc::new(Changes::default());
    let secrets = CookieSecrets::new(vec![[1; 16]]).unwrap();
    let cookies = Some(Cookies::new(&secrets, [192, 0, 2, 1].into(), 1));
    let client = Client::new(Transport::UDP).with_cookies(cookies).with_nsid(Some(b"edge"));
    for (name, rtype, class, mut scratch) in asked.iter().flat_map(|(name, rtype, class)| {
        [Scratch::new(), Scratch::with_cache(1 << 20)].map(|scratch| (*name, *rtype, *class, scratch))
    }) {
        let mut out = Vec::new();
        let name = name.parse().unwrap();
        let edns = query(&name, rtype, Some(1232));
        for wire in [query(&name, rtype, None), with_option(edns.clone(), 10, &[1; 24]), edns] {
            let reader = world.reader().with_changes(&changes, 0);
            let mut ask = || reader.answer(&mut scratch, &wire, client, &mut out);
            assert_eq!(ask().class, class, "{name} {rtype}");
            let counted = allocation_counter::measure(|| {
                ask();
            });
            assert_eq!(counted.count_total, 0, "{name} {rtype}");
        }
    }
    let counted = allocation_counter::measure(|| drop(vec![1_u8]));
    assert_eq!(counted.count_total, 1, "allocations are counted at all");
}
