//! A zone as a server has it: what the questions are made from, whatever the syntax of the zone file.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use domain::base::MessageBuilder;
use domain::base::iana::{Class, Rcode, Rtype};
use domain::base::message::Message;
use domain::base::wire::ParseError;
use thiserror::Error;

use crate::asker::read_message;
use crate::{Name, Rr, ZoneData};

/// How long a server may be silent.
const PATIENCE: Duration = Duration::from_secs(10);

/// Messages in a row without a record, after which a transfer is given up: a server that cannot fit a record into a
/// message may send empty ones for ever.
const MAX_EMPTY: usize = 100;

/// Why a zone was not transferred.
#[derive(Debug, Error)]
pub enum TransferError {
    /// The connection.
    #[error("the connection broke off: {0}")]
    Io(#[from] io::Error),
    /// The server says no.
    #[error("the server answers {0}")]
    Refused(Rcode),
    /// What came is no transfer.
    #[error("a message is malformed: {0}")]
    Malformed(#[from] ParseError),
    /// Nothing but empty messages came.
    #[error("the server sends messages without records")]
    Stuck,
}

/// Transfers a zone over one connection (RFC 5936), occluded data included.
///
/// # Errors
/// The server refuses or breaks off.
///
/// # Panics
/// Never: a name fits into a message.
pub fn transfer(server: SocketAddr, apex: &Name) -> Result<ZoneData, TransferError> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut builder = MessageBuilder::new_vec().question();
    builder.push((apex, Rtype::AXFR, Class::IN)).expect("a name fits into a message");
    let query = builder.finish();
    let length = u16::try_from(query.len()).expect("one question is short");
    stream.write_all(&[&length.to_be_bytes(), query.as_slice()].concat())?;
    let (mut records, mut soas, mut empty) = (Vec::new(), 0, 0);
    while soas < 2 {
        empty += 1;
        if empty > MAX_EMPTY {
            return Err(TransferError::Stuck);
        }
        let message = read_message(&mut stream)?;
        let message = Message::from_slice(&message).map_err(|_| ParseError::ShortInput)?;
        if !message.no_error() {
            return Err(TransferError::Refused(message.header().rcode()));
        }
        for record in message.answer()? {
            let Some(rr) = Rr::parse(&record?)? else { return Err(ParseError::form_error("OPT in the answer").into()) };
            soas += usize::from(rr.rtype == Rtype::SOA);
            records.push(rr);
            empty = 0;
        }
    }
    records.pop();
    Ok(ZoneData::new(apex.clone(), records))
}
