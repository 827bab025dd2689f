//! DNS UPDATE (RFC 2136): replaces an address, or names a zone in a catalog.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use domain::base::{Name, ToName as _};

/// After this long a lost packet is sent again.
const RETRY: Duration = Duration::from_secs(2);

/// How often.
const ATTEMPTS: usize = 5;

/// Opcode 5 in the third octet of the header.
const OPCODE_UPDATE: u8 = 5 << 3;

const TYPE_A: [u8; 2] = [0, 1];
const TYPE_SOA: [u8; 2] = [0, 6];
const TYPE_PTR: [u8; 2] = [0, 12];
const CLASS_IN: [u8; 2] = [0, 1];
const CLASS_ANY: [u8; 2] = [0, 255];
/// Of an address.
const TTL: u32 = 60;

/// A client of one primary.
pub(crate) struct Updater {
    socket: UdpSocket,
}

impl Updater {
    pub(super) fn new(primary: SocketAddr) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(primary)?;
        socket.set_read_timeout(Some(RETRY))?;
        Ok(Self { socket })
    }

    /// Replaces the addresses of a name by this one; returns when the primary has done so.
    pub(crate) fn set_address(&self, apex: &str, name: &str, address: Ipv4Addr) -> anyhow::Result<()> {
        let owner = wire(&format!("{name}.{apex}"))?;
        let delete = update(&owner, TYPE_A, CLASS_ANY, 0, &[]);
        self.send(&message(apex, &[delete, update(&owner, TYPE_A, CLASS_IN, TTL, &address.octets())])?)
    }

    /// Adds a member to a catalog zone (RFC 9432 section 4.1); returns when the primary has done so.
    pub(crate) fn add_member(&self, catalog: &str, member: &str) -> anyhow::Result<()> {
        // Any label that no other member has.
        let owner = wire(&format!("{}.zones.{catalog}", member.replace('.', "-")))?;
        self.send(&message(catalog, &[update(&owner, TYPE_PTR, CLASS_IN, 0, &wire(member)?)])?)
    }

    fn send(&self, message: &[u8]) -> anyhow::Result<()> {
        for _ in 0..ATTEMPTS {
            self.socket.send(message)?;
            let mut reply = [0; 512];
            match self.socket.recv(&mut reply) {
                Ok(_) => {
                    let [_, _, _, flags, ..] = reply;
                    ensure!(flags & 15 == 0, "the primary refused the update with rcode {}", flags & 15);
                    return Ok(());
                }
                Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                }
                Err(error) => return Err(error).context("the primary does not listen"),
            }
        }
        bail!("the primary does not answer updates")
    }
}

/// One zone, no prerequisite, some updates.
fn message(apex: &str, updates: &[Vec<u8>]) -> anyhow::Result<Vec<u8>> {
    let [high, low] = u16::try_from(updates.len())?.to_be_bytes();
    let header = [0, 1, OPCODE_UPDATE, 0, 0, 1, 0, 0, high, low, 0, 0];
    let zone = [&wire(apex)?, &TYPE_SOA[..], &CLASS_IN].concat();
    Ok([&header[..], &zone, &updates.concat()].concat())
}

/// One record of the update section: class ANY without data deletes an RRset, class IN adds a record (RFC 2136
/// section 2.5).
fn update(owner: &[u8], rtype: [u8; 2], class: [u8; 2], ttl: u32, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes();
    [owner, &rtype, &class, &ttl.to_be_bytes(), &length, data].concat()
}

fn wire(name: &str) -> anyhow::Result<Vec<u8>> {
    Ok(name.parse::<Name<Vec<u8>>>().context("bad name")?.to_vec().as_slice().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_has_the_bytes_of_the_rfc() {
        let owner = wire("h.e.").unwrap();
        let delete = update(&owner, TYPE_A, CLASS_ANY, 0, &[]);
        let add = update(&owner, TYPE_A, CLASS_IN, TTL, &[192, 0, 2, 1]);
        let bytes = message("e.", &[delete, add]).unwrap();
        let expected = "0001 2800 0001 0000 0002 0000 \
                        0165 00 0006 0001 \
                        0168 0165 00 0001 00ff 00000000 0000 \
                        0168 0165 00 0001 0001 0000003c 0004 c0000201";
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected.replace(' ', ""));
    }
}
