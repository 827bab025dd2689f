//! The place of a node in its zone as it stands in a key: labels from the apex down, in lower case, escaped, each
//! ended by a zero byte.
//!
//! Inside a label 0x00 is written 01 01 and 0x01 is written 01 02, so that comparing bytes compares names in the
//! canonical order of RFC 4034 section 6.1. The apex itself is the empty path.

use crate::{MAX_NAME_LEN, Name, NameError};

const END: u8 = 0;
const ESCAPE: u8 = 1;

/// Bytes that are copied and put into lower case at once.
const CHUNK: usize = 16;

/// Stands where nothing ends and nothing is escaped.
const FILLER: u8 = 0xff;

/// A name of 255 bytes has at most 127 labels.
const MAX_LABELS: usize = 127;

/// A path, borrowed from a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path<'a>(&'a [u8]);

impl<'a> Path<'a> {
    /// Checks that `bytes` are labels, each ended, with whole escapes.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        if bytes.last().is_some_and(|last| *last != END) {
            return None;
        }
        let mut previous = END;
        let mut pending = false;
        for byte in bytes {
            match (pending, *byte) {
                (true, 1 | 2) => pending = false,
                (true, _) => return None,
                (false, ESCAPE) => pending = true,
                (false, END) if previous == END => return None,
                (false, _) => {}
            }
            // An escaped byte is content whatever its value.
            previous = if *byte == END { END } else { ESCAPE };
        }
        Some(Self(bytes))
    }

    /// The bytes as they stand in a key.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The path of `name` below an apex of `apex_labels` labels, in place of what `buffer` held.
    #[inline]
    pub fn of<'b>(name: &Name, apex_labels: usize, buffer: &'b mut Vec<u8>) -> Path<'b> {
        buffer.clear();
        Self::write(name, apex_labels, buffer);
        Path(buffer)
    }

    /// Writes the path of `name` below an apex of `apex_labels` labels to the end of `out`.
    pub fn write(name: &Name, apex_labels: usize, out: &mut Vec<u8>) {
        let below = name.label_count().saturating_sub(apex_labels);
        let start = out.len();
        if plain_labels(name, below, out).is_none() {
            out.truncate(start);
            any_labels(name, below, out);
        }
    }

    /// Whether it is that of the apex itself.
    #[must_use]
    pub fn is_apex(self) -> bool {
        self.0.is_empty()
    }

    /// How many labels below the apex.
    #[must_use]
    pub fn depth(self) -> usize {
        self.0.iter().filter(|byte| **byte == END).count()
    }

    /// How many labels, from the apex down, it shares with `other`.
    #[must_use]
    pub fn shared_depth(self, other: Path<'_>) -> usize {
        let shared = self.0.iter().zip(other.0).take_while(|(one, other)| one == other);
        shared.filter(|(byte, _)| **byte == END).count()
    }

    /// The path of the ancestor this many labels below the apex; itself when it is not that deep.
    #[must_use]
    pub fn ancestor(self, depth: usize) -> Self {
        let end = match depth.checked_sub(1) {
            None => 0,
            Some(before) => {
                let mut ends = self.0.iter().enumerate().filter(|(_, byte)| **byte == END).map(|(at, _)| at + 1);
                ends.nth(before).unwrap_or(self.0.len())
            }
        };
        Self(self.0.get(..end).unwrap_or_default())
    }

    /// The path of the ancestor that is `len` bytes long, and the path from there down to this node; `None` when it has
    /// none of that length.
    #[must_use]
    pub fn split(self, len: usize) -> Option<(Self, Self)> {
        let (ancestor, below) = self.0.split_at_checked(len)?;
        ancestor.last().is_none_or(|last| *last == END).then_some((Self(ancestor), Self(below)))
    }

    /// Whether `other` is this node or lies below it.
    #[must_use]
    pub fn contains(self, other: Path<'_>) -> bool {
        other.0.starts_with(self.0)
    }

    /// The path from `ancestor` down to this node; `None` when it is neither that node nor below it.
    #[must_use]
    pub fn below(self, ancestor: Path<'_>) -> Option<Self> {
        self.0.strip_prefix(ancestor.0).map(Self)
    }

    /// Whether the node's own label is `*`.
    #[must_use]
    pub fn is_wildcard(self) -> bool {
        matches!(self.0, [b'*', END] | [.., END, b'*', END])
    }

    /// The name of the node, in lower case below `apex`.
    ///
    /// # Errors
    /// The labels do not make a name below this apex: the key is damaged or of another zone.
    pub fn to_name(self, apex: &Name) -> Result<Name, NameError> {
        // From its end: a name has its labels the other way round.
        let (mut wire, apex) = ([0; MAX_NAME_LEN], apex.as_wire());
        let mut start = MAX_NAME_LEN - apex.len();
        wire.get_mut(start..).unwrap_or_default().copy_from_slice(apex);
        for label in self.0.split(|byte| *byte == END).filter(|label| !label.is_empty()) {
            let len = plain(label).count();
            start = start.checked_sub(len + 1).ok_or(NameError::Long)?;
            let place = wire.get_mut(start..).unwrap_or_default();
            let length = std::iter::once(u8::try_from(len).unwrap_or(u8::MAX));
            place.iter_mut().zip(length.chain(plain(label))).for_each(|(place, byte)| *place = byte);
        }
        Name::from_wire(wire.get(start..).unwrap_or_default())
    }
}

/// Writes the first labels of a name, the last of them first, chunk by chunk. `None` when a byte must be escaped, or a
/// chunk would reach beyond the room of a name.
fn plain_labels(name: &Name, count: usize, out: &mut Vec<u8>) -> Option<()> {
    let (wire, mut starts, mut next) = (name.room(), [0_u8; MAX_LABELS], 0_u8);
    for start in starts.get_mut(..count)? {
        *start = next;
        next = next.checked_add(1 + wire.get(usize::from(next))?)?;
    }
    let begin = out.len();
    for start in starts.get(..count)?.iter().rev() {
        let (len, mut label) = wire.get(usize::from(*start)..)?.split_first()?;
        let end = out.len() + usize::from(*len);
        while out.len() < end {
            let (chunk, rest) = label.split_first_chunk::<CHUNK>()?;
            let mut chunk = *chunk;
            chunk.make_ascii_lowercase();
            out.extend_from_slice(&chunk);
            label = rest;
        }
        out.truncate(end);
        out.push(END);
    }
    let end = out.len();
    out.extend_from_slice(&[FILLER; CHUNK]);
    let (chunks, _) = out.get(begin..)?.as_chunks::<CHUNK>();
    // Two for each end of a label, and at least one for each byte to be escaped.
    let small = |chunk: &[u8; CHUNK]| chunk.iter().map(|byte| (ESCAPE + 1).saturating_sub(*byte)).sum::<u8>();
    let small: usize = chunks.iter().map(|chunk| usize::from(small(chunk))).sum();
    out.truncate(end);
    (small == 2 * count).then_some(())
}

/// The same byte by byte, whatever the name has.
#[cold]
fn any_labels(name: &Name, count: usize, out: &mut Vec<u8>) {
    let mut labels = [&[][..]; MAX_LABELS];
    for (place, label) in labels.iter_mut().zip(name.labels()).take(count) {
        *place = label;
    }
    for label in labels.iter().take(count).rev() {
        for byte in *label {
            match byte.to_ascii_lowercase() {
                0 => out.extend_from_slice(&[ESCAPE, 1]),
                1 => out.extend_from_slice(&[ESCAPE, 2]),
                byte => out.push(byte),
            }
        }
        out.push(END);
    }
}

fn plain(label: &[u8]) -> impl Iterator<Item = u8> {
    let mut bytes = label.iter();
    std::iter::from_fn(move || match bytes.next()? {
        &ESCAPE => Some(bytes.next().map_or(0, |code| code.saturating_sub(1))),
        byte => Some(*byte),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn label() -> impl Strategy<Value = Vec<u8>> {
        let bytes =
            |lens| prop::collection::vec(prop::sample::select(vec![0, 1, 2, b'*', b'A', b'a', b'b', 0xff]), lens);
        let plain = prop::collection::vec(prop::sample::select(b"-AZaz09".to_vec()), 1..40);
        prop_oneof![4 => bytes(1..4), 1 => bytes(1..40), 1 => plain]
    }

    fn name() -> impl Strategy<Value = Name> {
        let labels = prop_oneof![4 => prop::collection::vec(label(), 0..5), 1 => prop::collection::vec(label(), 0..30)];
        labels.prop_map(|mut labels| {
            loop {
                match Name::below(&Name::ROOT, labels.iter().map(Vec::as_slice)) {
                    Ok(name) => return name,
                    // Nearly the longest that there is.
                    Err(_) => labels.pop(),
                };
            }
        })
    }

    fn path(name: &Name) -> Vec<u8> {
        let mut out = vec![];
        Path::write(name, 0, &mut out);
        out
    }

    proptest! {
        #[test]
        fn order_is_canonical_order(one in name(), other in name()) {
            prop_assert_eq!(path(&one).cmp(&path(&other)), one.cmp(&other));
        }

        #[test]
        fn a_path_gives_its_name_back(name in name()) {
            let bytes = path(&name);
            let path = Path::new(&bytes).expect("written paths are valid");
            prop_assert_eq!(path.to_name(&Name::ROOT).unwrap(), name);
            prop_assert_eq!(path.depth(), name.label_count());
            prop_assert_eq!(path.is_wildcard(), name.is_wildcard());
            prop_assert_eq!(bytes.to_ascii_lowercase(), bytes);
        }

        #[test]
        fn shared_depth_counts_shared_labels(one in name(), other in name()) {
            let (one_bytes, other_bytes) = (path(&one), path(&other));
            let (one_path, other_path) = (Path::new(&one_bytes).unwrap(), Path::new(&other_bytes).unwrap());
            let shared = (0..=one.label_count().min(other.label_count()))
                .rev()
                .find(|count| one.suffix(*count) == other.suffix(*count))
                .unwrap();
            prop_assert_eq!(one_path.shared_depth(other_path), shared);
            prop_assert_eq!(one_path.ancestor(shared), other_path.ancestor(shared));
            prop_assert_eq!(one_path.contains(other_path), other.is_within(&one));
            for len in 0..=one_bytes.len() {
                let mut ancestors = (0..=one_path.depth()).map(|depth| one_path.ancestor(depth));
                let ancestor = ancestors.find(|ancestor| ancestor.as_bytes().len() == len);
                let parts = ancestor.map(|ancestor| (ancestor, one_path.below(ancestor).unwrap()));
                prop_assert_eq!(one_path.split(len), parts);
            }
        }

        #[test]
        fn bytes_are_a_path_or_refused(bytes in prop::collection::vec(prop::sample::select(vec![0_u8, 1, 2, 3]), 0..8)) {
            if let Some(path) = Path::new(&bytes) {
                let name = path.to_name(&Name::ROOT).unwrap();
                prop_assert_eq!(self::path(&name), bytes);
            }
        }
    }
}
