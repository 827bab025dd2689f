//! Bytes per record on the disk of an edge, beside the model that ours replaces and PowerDNS's LMDB (T9).
//!
//! An edge of ours and one of the old model load the same zone from a snapshot, as a new edge does, into the same store.

use std::path::Path;

use crate::bench::Bench;
use crate::edge_copy::{self, EdgeCopy};
use crate::figure::{Figure, Kind};
use crate::peer::{ServedZone, Server, Setup, Software};
use crate::{baseline, generate, in_memory};

const APEX: &str = "large.example";

pub(crate) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let records = bench.size.pick(10_000, 1_000_000, 4_000_000);
    let work = format!("bytes per record on disk, zone of {records} records");
    let folder = bench.folder("space")?;
    let file = generate::zone(&folder, APEX, records)?;
    bench.say(&format!("loading {records} records"));
    let per_record = |bytes: u64| {
        #[allow(clippy::cast_precision_loss, reason = "bytes of a disk")]
        let per_record = bytes as f64 / records as f64;
        per_record
    };
    let view = in_memory::store(in_memory::build(APEX, &std::fs::read(&file)?)?);
    let ours = EdgeCopy::load(&folder.join("ours"), in_memory::published(&view))?.disk_bytes()?;
    drop(view);
    let old = baseline::entries(APEX, generate::hosts(records))?;
    let old = EdgeCopy::load(&folder.join("old"), old.into_iter())?.disk_bytes()?;
    let figure = |subject: &str, kind, settings: &str, bytes: u64| {
        Figure::new(&work, subject, "on disk").kind(kind).settings(settings).values(&[per_record(bytes)], "B")
    };
    let ours = figure("zonecast", Kind::Ours, "edge's copy, from a snapshot", ours);
    let old = figure("one JSON key per record", Kind::Baseline, "the same store", old);
    bench.record(ours.clone().of_row("T9").against(&old, Some(1.0 / 9.0)))?;
    bench.record(old)?;
    if Software::PowerDns.version().is_none() {
        let why = format!("{} is not installed", Software::PowerDns.package());
        bench.skipped(&work, "PowerDNS", &why)?;
        return bench.record(ours);
    }
    let bytes = powerdns(bench, &file)?;
    let theirs = figure("PowerDNS", Kind::Peer, "LMDB", bytes);
    bench.record(ours.of_row("T9").against(&theirs, Some(0.5)))?;
    bench.record(theirs)
}

fn powerdns(bench: &Bench, file: &Path) -> anyhow::Result<u64> {
    let home = bench.folder("space-powerdns")?;
    let zones = [ServedZone { apex: APEX.into(), file: file.to_owned() }];
    drop(Server::start(Software::PowerDns, Setup::AsShipped, &zones, &home, None)?);
    let mut bytes = 0;
    for entry in home.read_dir()? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("pdns.lmdb") {
            bytes += edge_copy::file_bytes(&entry.path())?;
        }
    }
    Ok(bytes)
}
