//! Whatever comes in, what goes out is a message within its limit.

use domain::base::Message;
use domain::base::iana::Rtype;
use proptest::prelude::*;
use zonecast_edge_reader::Transport;
use zonecast_records::Name;

use crate::world::{World, query};

fn world() -> World {
    World::example(
        "www 60 A 192.0.2.1\nwww 60 TXT hi\nalias 60 CNAME www\nsub 60 NS ns.sub\nns.sub 60 A 192.0.2.2\n*.w 60 TXT hi\nd 60 DNAME w\n",
    )
}

fn check(world: &World, wire: &[u8], transport: Transport) {
    let (outcome, out) = world.ask_wire(wire, transport);
    assert_eq!(outcome.is_answer(), !out.is_empty());
    if out.is_empty() {
        assert!(wire.len() < 12 || wire[2] & 0x80 != 0);
        return;
    }
    let limit = if transport == Transport::Tcp { 65535 } else { 1232 };
    assert!(out.len() <= limit);
    let message = Message::from_octets(&out).unwrap();
    assert_eq!(out[..2], wire[..2]);
    assert!(message.header().qr());
    for record in message.iter() {
        record.unwrap();
    }
    assert_eq!(message.question().map(Result::unwrap).count(), usize::from(message.header_counts().qdcount()));
}

fn valid() -> impl Strategy<Value = Vec<u8>> {
    let names = ["www", "alias", "x.sub", "q.w", "q.d", "nope", "@"].map(|label| {
        let apex: Name = "example.".parse().unwrap();
        Name::parse(label, &apex).unwrap()
    });
    (prop::sample::select(names.to_vec()), any::<u8>(), prop::option::of(any::<u16>()))
        .prop_map(|(name, rtype, payload)| query(&name, Rtype::from_int(rtype.into()), payload))
}

proptest! {
    #[test]
    fn random_bytes(wire in prop::collection::vec(any::<u8>(), 0..80)) {
        let world = world();
        check(&world, &wire, Transport::UDP);
    }

    #[test]
    fn mutated_queries(
        mut wire in valid(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
        tcp in any::<bool>(),
    ) {
        let world = world();
        for (at, byte) in edits {
            let at = at.index(wire.len());
            wire[at] = byte;
        }
        if let Some(cut) = cut {
            wire.truncate(cut.index(wire.len()));
        }
        check(&world, &wire, if tcp { Transport::Tcp } else { Transport::UDP });
    }
}

proptest! {
    #[test]
    fn damaged_stores(
        wire in valid(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 1..6),
        reload in any::<bool>(),
    ) {
        let mut world = world();
        for (entry, at, byte) in flips {
            let entries: Vec<(Vec<u8>, Vec<u8>)> =
                world.view.entries().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
            let (key, mut value) = entry.get(&entries).clone();
            let at = at.index(value.len());
            value[at] = byte;
            world.view.insert(&key, &value);
        }
        if reload {
            world.zones = zonecast_edge_reader::ZoneTable::load(&world.view).unwrap();
        }
        check(&world, &wire, Transport::UDP);
    }
}
