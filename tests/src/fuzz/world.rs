//! A small store with a bit of everything in it.

use std::ops::ControlFlow;
use std::sync::OnceLock;

use zonecast_builder::{Location, Settings, ZoneIdentity, ZoneSource};
use zonecast_ingest::read_zone_bytes;
use zonecast_kv_proto::{Batch, MemoryView};
use zonecast_records::{Generation, Name, ZoneId};

/// Of a zone `example.`.
pub(super) const ZONE: &str = r#"
$TTL 300
@ 3600 SOA ns hostmaster ( 1 2h 1h 2w 5m ) ; remark
@ NS ns
@ NS ns.other.
@ MX 10 mail
ns A 192.0.2.53
ns 60 AAAA 2001:db8::53
Mail A 192.0.2.1
mail A 192.0.2.2
alias CNAME mail
loop CNAME loop
*.wild TXT "a" "b;c" "\"\000"
a.b.ent A 192.0.2.3
sub NS ns.sub
sub NS ns
sub DS 1 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
ns.sub A 192.0.2.4
hidden.sub TXT "occluded"
dn DNAME wild
svc HTTPS 1 mail alpn=h2 ipv4hint=192.0.2.5
_x._tcp SRV 0 0 80 mail
odd TYPE65280 \# 3 010203
e\.sc\000ape TXT x
many 10 A 192.0.2.6
many 20 A 192.0.2.7
"#;

pub(super) fn apex() -> Name {
    "example.".parse().expect("a name")
}

/// The zone as batches.
pub(super) fn batches() -> Vec<Batch> {
    let apex = apex();
    let mut source = ZoneSource::new(apex);
    let report = read_zone_bytes("world", ZONE.as_bytes(), &apex, &mut |record, location| {
        source.push(record, Location::new(location.line));
        ControlFlow::Continue(())
    });
    report.expect("the zone is well formed");
    let identity = ZoneIdentity { id: ZoneId::new(1), generation: Generation::new(7) };
    source.build(identity, &Settings::default()).expect("the zone can be served").into_batches(1 << 20).collect()
}

/// The zone as a store.
pub(super) fn store() -> &'static MemoryView {
    static STORE: OnceLock<MemoryView> = OnceLock::new();
    STORE.get_or_init(|| {
        let mut view = MemoryView::new();
        batches().iter().for_each(|batch| view.apply(batch));
        view
    })
}
