//! Pieces of presentation format, written.

use std::fmt::Write as _;

use zonecast_records::Name;

/// The name with a final dot, every byte that means something in a zone file escaped.
#[must_use]
pub fn format_name(name: &Name) -> String {
    let mut text = String::with_capacity(name.as_wire().len());
    for label in name.labels() {
        for byte in label {
            match byte {
                b'.' | b'"' | b'\\' | b'(' | b')' | b';' | b'@' | b'$' => {
                    text.push('\\');
                    text.push(char::from(*byte));
                }
                b'!'..=b'~' => text.push(char::from(*byte)),
                _ => push_decimal(*byte, &mut text),
            }
        }
        text.push('.');
    }
    if text.is_empty() {
        text.push('.');
    }
    text
}

/// A quoted string.
pub(crate) fn write_quoted(bytes: &[u8], text: &mut String) {
    text.push('"');
    for byte in bytes {
        match byte {
            b'"' | b'\\' => {
                text.push('\\');
                text.push(char::from(*byte));
            }
            b' '..=b'~' => text.push(char::from(*byte)),
            _ => push_decimal(*byte, text),
        }
    }
    text.push('"');
}

/// As `\DDD`, RFC 1035 section 5.1.
fn push_decimal(byte: u8, text: &mut String) {
    let _ = write!(text, "\\{byte:03}");
}

/// Upper-case hex without spaces.
pub(crate) fn write_hex(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        let _ = write!(out, "{byte:02X}");
    }
}
