//! IPSECKEY (RFC 4025), AMTRELAY (RFC 8777) and HIP (RFC 8005): fields whose form another field says.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use domain::utils::base64;
use zonecast_records::Name;

use crate::Rule;
use crate::lexer::Token;
use crate::presentation::{
    Origin, from_base64, from_hex, parse_text, problem, read_name, read_number, write_octets, write_short,
};
use crate::writing::{format_name, write_hex};

/// Bit of an AMTRELAY that says that relays may be looked for at its address.
const DISCOVERY: u8 = 0x80;

/// `precedence gateway-type algorithm gateway key`.
pub(crate) fn read_ipseckey(tokens: &[Token<'_>], origin: Origin<'_>, out: &mut Vec<u8>) -> Result<(), Rule> {
    let [precedence, kind, algorithm, gateway, key @ ..] = tokens else {
        return Err(problem("takes precedence, gateway type, algorithm, gateway and key"));
    };
    let kind: u8 = read_number(*kind)?;
    out.extend([read_number(*precedence)?, kind, read_number(*algorithm)?]);
    read_gateway(kind, *gateway, origin, out)?;
    let mut joined = Vec::new();
    key.iter().try_for_each(|token| write_octets(*token, &mut joined))?;
    out.extend(from_base64(&joined)?);
    Ok(())
}

pub(crate) fn is_ipseckey(wire: &[u8]) -> bool {
    split_ipseckey(wire).is_some()
}

/// Its first three bytes, the gateway, and the key.
fn split_ipseckey(wire: &[u8]) -> Option<(&[u8; 3], &[u8], &[u8])> {
    let (head, rest) = wire.split_first_chunk::<3>()?;
    let (gateway, key) = split_gateway(head[1], rest)?;
    (!key.is_empty()).then_some((head, gateway, key))
}

pub(crate) fn format_ipseckey(wire: &[u8], text: &mut String) -> Option<()> {
    let ([precedence, kind, algorithm], gateway, key) = split_ipseckey(wire)?;
    let _ = write!(text, "{precedence} {kind} {algorithm} ");
    format_gateway(*kind, gateway, text)?;
    let _ = write!(text, " {}", base64::encode_string(key));
    Some(())
}

/// `precedence discovery relay-type relay`.
pub(crate) fn read_amtrelay(tokens: &[Token<'_>], origin: Origin<'_>, out: &mut Vec<u8>) -> Result<(), Rule> {
    let [precedence, discovery, kind, relay] = tokens else {
        return Err(problem("takes precedence, discovery, relay type and relay"));
    };
    let kind: u8 = read_number(*kind)?;
    let discovery = match read_number::<u8>(*discovery)? {
        0 => 0,
        1 => DISCOVERY,
        _ => return Err(problem(format!("discovery is 0 or 1, not {:?}", discovery.lossy()))),
    };
    out.push(read_number(*precedence)?);
    out.push(discovery | kind);
    read_gateway(kind, *relay, origin, out)
}

pub(crate) fn is_amtrelay(wire: &[u8]) -> bool {
    let (Some([_, kind]), relay) = (wire.first_chunk::<2>(), wire.get(2..).unwrap_or_default()) else { return false };
    split_gateway(kind & !DISCOVERY, relay).is_some_and(|(_, rest)| rest.is_empty())
}

pub(crate) fn format_amtrelay(wire: &[u8], text: &mut String) -> Option<()> {
    let (&[precedence, kind], relay) = wire.split_first_chunk::<2>()?;
    let (discovery, kind) = (kind / DISCOVERY, kind & !DISCOVERY);
    let _ = write!(text, "{precedence} {discovery} {kind} ");
    format_gateway(kind, relay, text)
}

/// A gateway that is a name; nothing is 0, an IPv4 address 1, an IPv6 address 2.
const NAME: u8 = 3;

fn read_gateway(kind: u8, token: Token<'_>, origin: Origin<'_>, out: &mut Vec<u8>) -> Result<(), Rule> {
    match kind {
        0 if token.raw == b"." => {}
        0 => return Err(problem("without a gateway there is a dot in its place")),
        1 => out.extend(parse_text::<Ipv4Addr>(token, "an IPv4 address")?.octets()),
        2 => out.extend(parse_text::<Ipv6Addr>(token, "an IPv6 address")?.octets()),
        NAME => out.extend_from_slice(read_name(token, origin)?.as_wire()),
        _ => return Err(problem(format!("gateway type {kind} is not known"))),
    }
    Ok(())
}

fn split_gateway(kind: u8, wire: &[u8]) -> Option<(&[u8], &[u8])> {
    wire.split_at_checked(match kind {
        0 => 0,
        1 => 4,
        2 => 16,
        NAME => Name::from_wire(wire).ok()?.as_wire().len(),
        _ => return None,
    })
}

fn format_gateway(kind: u8, wire: &[u8], text: &mut String) -> Option<()> {
    let _ = match kind {
        0 => write!(text, "."),
        1 => write!(text, "{}", Ipv4Addr::from(<[u8; 4]>::try_from(wire).ok()?)),
        2 => write!(text, "{}", Ipv6Addr::from(<[u8; 16]>::try_from(wire).ok()?)),
        NAME => write!(text, "{}", format_name(&Name::from_wire(wire).ok()?)),
        _ => return None,
    };
    Some(())
}

/// `algorithm tag key [servers]`: tag as hex and key as base 64 in one word each.
pub(crate) fn read_hip(tokens: &[Token<'_>], origin: Origin<'_>, out: &mut Vec<u8>) -> Result<(), Rule> {
    let [algorithm, tag, key, servers @ ..] = tokens else {
        return Err(problem("takes algorithm, identity tag, key and perhaps servers"));
    };
    let tag = from_hex(tag.raw).ok_or_else(|| problem("the identity tag is not hex"))?;
    let key = from_base64(key.raw)?;
    let mut head = Vec::new();
    write_short(&tag, &mut head)?;
    let (length, tag) = head.split_at(1);
    out.extend_from_slice(length);
    out.push(read_number(*algorithm)?);
    out.extend(u16::try_from(key.len()).map_err(|_| problem("the key is over 65,535 bytes"))?.to_be_bytes());
    out.extend_from_slice(tag);
    out.extend(key);
    for server in servers {
        out.extend_from_slice(read_name(*server, origin)?.as_wire());
    }
    Ok(())
}

pub(crate) fn format_hip(wire: &[u8], text: &mut String) -> Option<()> {
    let (&[tag, algorithm, high, low], rest) = wire.split_first_chunk::<4>()?;
    let (tag, rest) = rest.split_at_checked(tag.into())?;
    let (key, mut servers) = rest.split_at_checked(u16::from_be_bytes([high, low]).into())?;
    if tag.is_empty() || key.is_empty() {
        return None;
    }
    let _ = write!(text, "{algorithm} ");
    write_hex(tag, text);
    let _ = write!(text, " {}", base64::encode_string(key));
    while !servers.is_empty() {
        let server = Name::from_wire(servers).ok()?;
        servers = servers.get(server.as_wire().len()..)?;
        let _ = write!(text, " {}", format_name(&server));
    }
    Some(())
}
