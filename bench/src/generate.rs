//! Zones made up for measuring: always the same for the same numbers.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// How a made-up zone begins: three records.
pub(crate) const HEAD: &str = "$TTL 3600\n@ SOA ns1 hostmaster 1 28800 7200 604800 300\n@ NS ns1\nns1 A 192.0.2.1\n";

/// The real root zone, serial 2020101902.
pub(crate) const ROOT_ZONE: &[u8] = include_bytes!("../../tests/zones/root.zone");

/// Apex of the generated zone with this number.
pub(crate) fn apex(number: usize) -> String {
    format!("zone-{number}.example")
}

/// Writes `count` zones of about ten records each as `APEX.zone`.
pub(crate) fn small_zones(folder: &Path, count: usize) -> anyhow::Result<()> {
    for number in 0..count {
        let apex = apex(number);
        let address = small_zone_address(number);
        let [.., high, low] = address.octets();
        let text = format!(
            "$TTL 1h\n\
             @ SOA ns1 hostmaster 1 8H 2H 1W 5m\n\
             @ NS ns1\n@ NS ns2\n\
             ns1 A 192.0.2.1\nns2 A 192.0.2.2\n\
             @ A {address}\n\
             www A {address}\nwww AAAA {}\n\
             mail A 198.19.{high}.{low}\n\
             @ MX 10 mail\n\
             ftp CNAME www\n",
            ipv6(number)
        );
        write_zone(folder, &apex, &text)?;
    }
    Ok(())
}

/// The address of `www` in the generated zone with this number.
pub(crate) fn small_zone_address(number: usize) -> Ipv4Addr {
    let part = |number: usize| u8::try_from(number % 250).unwrap_or(0);
    Ipv4Addr::new(198, 18, part(number / 250), part(number))
}

/// Writes one zone with `records` records, at least 4, as `APEX.zone`: `host-0` and so on have an address each.
pub(crate) fn zone(folder: &Path, apex: &str, records: usize) -> anyhow::Result<PathBuf> {
    let mut text = String::from(HEAD);
    for number in 0..hosts(records) {
        let [_, a, b, c] = u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes();
        writeln!(text, "host-{number} A 10.{a}.{b}.{c}")?;
    }
    write_zone(folder, apex, &text)
}

/// Writes a zone of `names` names as `APEX.zone`: hosts with an IPv4 and an IPv6 address, and for each tenth an alias.
pub(crate) fn mixed_zone(folder: &Path, apex: &str, names: usize) -> anyhow::Result<PathBuf> {
    let mut text = String::from(HEAD);
    for number in 0..names {
        let [_, a, b, c] = u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes();
        writeln!(text, "host-{number} A 10.{a}.{b}.{c}\nhost-{number} AAAA {}", ipv6(number))?;
        if number % 10 == 0 {
            writeln!(text, "alias-{number} CNAME host-{number}")?;
        }
    }
    write_zone(folder, apex, &text)
}

/// The address that change `number` makes: another one for each of 16 million, and none that a zone begins with.
pub(crate) fn new_address(number: usize) -> Ipv4Addr {
    let [.., a, b, c] = number.to_be_bytes();
    Ipv4Addr::new(172, a, b, c)
}

fn write_zone(folder: &Path, apex: &str, text: &str) -> anyhow::Result<PathBuf> {
    let file = folder.join(format!("{apex}.zone"));
    fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

/// An address for each number, of those for documentation (RFC 3849).
fn ipv6(number: usize) -> Ipv6Addr {
    Ipv6Addr::from((0x2001_0db8_u128 << 96) | number as u128)
}

/// How many hosts such a zone has.
pub(crate) fn hosts(records: usize) -> usize {
    records.saturating_sub(3).max(1)
}
