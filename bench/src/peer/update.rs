//! A DNS UPDATE that replaces one address: RFC 2136.

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
const CLASS_IN: [u8; 2] = [0, 1];
const CLASS_ANY: [u8; 2] = [0, 255];
const TTL: [u8; 4] = [0, 0, 0, 60];

/// A client of one primary.
pub(super) struct Updater {
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
    pub(super) fn set_address(&self, apex: &str, name: &str, address: Ipv4Addr) -> anyhow::Result<()> {
        let message = message(apex, name, address)?;
        for _ in 0..ATTEMPTS {
            self.socket.send(&message)?;
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

/// One zone, no prerequisite, two updates: delete the RRset, add the record (RFC 2136 section 2.5).
fn message(apex: &str, name: &str, address: Ipv4Addr) -> anyhow::Result<Vec<u8>> {
    let zone = apex.parse::<Name<Vec<u8>>>().context("bad name")?.to_vec();
    let owner = format!("{name}.{apex}").parse::<Name<Vec<u8>>>().context("bad name")?.to_vec();
    let header = [0, 1, OPCODE_UPDATE, 0, 0, 1, 0, 0, 0, 2, 0, 0];
    let parts: [&[u8]; 15] = [
        &header,
        zone.as_slice(),
        &TYPE_SOA,
        &CLASS_IN,
        owner.as_slice(),
        &TYPE_A,
        &CLASS_ANY,
        &[0; 4],
        &[0; 2],
        owner.as_slice(),
        &TYPE_A,
        &CLASS_IN,
        &TTL,
        &[0, 4],
        &address.octets(),
    ];
    Ok(parts.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_has_the_bytes_of_the_rfc() {
        let bytes = message("e.", "h", Ipv4Addr::new(192, 0, 2, 1)).unwrap();
        let expected = "0001 2800 0001 0000 0002 0000 \
                        0165 00 0006 0001 \
                        0168 0165 00 0001 00ff 00000000 0000 \
                        0168 0165 00 0001 0001 0000003c 0004 c0000201";
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected.replace(' ', ""));
    }
}
