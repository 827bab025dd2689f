//! Names inside other bytes.

/// The name at the start of RDATA and what follows it.
pub(crate) fn split_name(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut at = 0;
    loop {
        match *bytes.get(at)? {
            0 => return bytes.split_at_checked(at + 1).filter(|(name, _)| name.len() <= 255),
            length @ 1..=63 => at += 1 + usize::from(length),
            64.. => return None,
        }
    }
}
