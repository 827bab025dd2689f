//! A zone as a peer has it: what the questions are made from, whatever the syntax of the zone file.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use domain::base::iana::{Class, Rtype};
use domain::base::message::Message;
use domain::base::{MessageBuilder, Rtype as Type};

use crate::asker::read_message;
use crate::{Name, Rr, ZoneData};

/// Transfers a zone over one connection (RFC 5936), occluded data included.
///
/// # Errors
/// The server refuses or breaks off.
pub fn transfer(server: SocketAddr, apex: &Name) -> anyhow::Result<ZoneData> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut builder = MessageBuilder::new_vec().question();
    builder.push((apex, Rtype::AXFR, Class::IN)).context("a name fits into a message")?;
    let query = builder.finish();
    let length = u16::try_from(query.len())?;
    stream.write_all(&[&length.to_be_bytes(), query.as_slice()].concat())?;
    let mut records = Vec::new();
    let mut soas = 0;
    let mut empty = 0;
    while soas < 2 {
        // A server that cannot fit a record into a message may send empty ones for ever.
        ensure!(empty < 100, "transfer of {apex} makes no progress");
        empty += 1;
        let message = read_message(&mut stream).with_context(|| format!("transfer of {apex} broke off"))?;
        let message = Message::from_slice(&message).context("short message")?;
        ensure!(message.no_error(), "transfer of {apex}: {}", message.header().rcode());
        for record in message.answer()? {
            let Some(rr) = Rr::parse(&record?)? else { bail!("OPT in the answer section") };
            soas += usize::from(rr.rtype == Type::SOA);
            records.push(rr);
            empty = 0;
        }
    }
    records.pop();
    Ok(ZoneData::new(apex.clone(), records))
}
