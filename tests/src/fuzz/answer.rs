//! The answer path, on queries from anybody and on a store that is damaged.

use std::ops::ControlFlow;

use domain::base::Message;
use zonecast_edge_reader::{
    Client, CookieSecrets, Cookies, DEFAULT_UDP_PAYLOAD, Reader, Scratch, Transport, ZoneTable,
};
use zonecast_kv_proto::MemoryView;

use super::world;

/// The first byte chooses the transport, the rest is the query.
pub(super) fn answer(bytes: &[u8]) {
    let Some((transport, query)) = bytes.split_first() else { return };
    let view = world::store();
    let zones = ZoneTable::load(view).expect("the store is sound");
    check(view, &zones, if *transport < 128 { Transport::UDP } else { Transport::Tcp }, query);
}

/// Edits of stored values, four bytes each (which, where in two, what), up to one that is all zeros; then a query.
pub(super) fn damaged_store(bytes: &[u8]) {
    let mut view = world::store().clone();
    let (rest, _) = damage_all(&mut view, bytes);
    if let Ok(zones) = ZoneTable::load(&view) {
        check(&view, &zones, Transport::UDP, rest);
    }
    let _ = zonecast_builder::export(&view, &world::apex(), |_, _| ControlFlow::Continue(()));
}

/// Does the edits; gives what comes after them, and whether there was one.
pub(super) fn damage_all<'b>(view: &mut MemoryView, bytes: &'b [u8]) -> (&'b [u8], bool) {
    let (mut rest, mut damaged) = (bytes, false);
    while let Some(([which, high, low, change], after)) = rest.split_first_chunk::<4>() {
        rest = after;
        if [*which, *high, *low, *change] == [0; 4] {
            break;
        }
        damage(view, usize::from(*which), usize::from(u16::from_be_bytes([*high, *low])), *change);
        damaged = true;
    }
    (rest, damaged)
}

fn damage(view: &mut MemoryView, which: usize, at: usize, change: u8) {
    let Some((key, value)) = view.entries().nth(which % view.len().max(1)) else { return };
    let (key, mut value) = (key.to_vec(), value.to_vec());
    let at = at % value.len().max(1);
    // Flips, and for the largest change a cut.
    if change == u8::MAX {
        value.truncate(at);
    } else {
        value.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= change);
    }
    view.insert(&key, &value);
}

fn check(view: &MemoryView, zones: &ZoneTable, transport: Transport, query: &[u8]) {
    let mut out = Vec::new();
    let secrets = CookieSecrets::new(vec![[1; 16]]).expect("one is not too many");
    let cookies = Some(Cookies::new(&secrets, [192, 0, 2, 1].into(), 1));
    let client = Client::new(transport).with_cookies(cookies).with_nsid(Some(b"fuzz"));
    let outcome = Reader::new(view, zones).answer(&mut Scratch::default(), query, client, &mut out);
    assert_eq!(outcome.is_answer(), !out.is_empty());
    if out.is_empty() {
        return;
    }
    let limit = if transport == Transport::Tcp { u16::MAX } else { DEFAULT_UDP_PAYLOAD };
    assert!(out.len() <= usize::from(limit));
    let message = Message::from_octets(&out).expect("an answer has a header");
    assert!(message.header().qr());
    assert_eq!(out.get(..2), query.get(..2), "the id is the query's");
    for record in message.iter() {
        record.expect("an answer is well formed");
    }
}
