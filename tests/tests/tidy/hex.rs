//! Bytes taken apart into lines for people: hexadecimal at the left, what it is at the right.

use zonecast_kv_proto::KeyspaceId;
use zonecast_records::{ADDRESS_KIND, DnsKey, KeySection, Name};

/// Bytes on one line.
const WIDTH: usize = 12;

/// Where what it is begins.
const COLUMN: usize = 44;

/// Lines of one example.
#[derive(Debug, Default)]
pub(crate) struct Lines(String);

impl Lines {
    /// Everything so far.
    pub(crate) fn into_text(self) -> String {
        self.0
    }

    /// These bytes are this.
    fn add(&mut self, depth: usize, bytes: &[u8], what: &str) {
        let mut what = what;
        for chunk in bytes.chunks(WIDTH) {
            let hex: Vec<String> = chunk.iter().map(|byte| format!("{byte:02x}")).collect();
            let line = format!("{:COLUMN$}{what}", format!("{}{}", "  ".repeat(depth), hex.join(" ")));
            self.0.push_str(line.trim_end());
            self.0.push('\n');
            what = "";
        }
    }

    /// Takes parts of a fixed width off; they must be all there is.
    pub(crate) fn fields(mut self, bytes: &[u8], parts: &[(usize, &str)]) -> Self {
        let mut rest = bytes;
        for (width, what) in parts {
            let (part, after) = rest.split_at(*width);
            self.add(0, part, what);
            rest = after;
        }
        assert!(rest.is_empty(), "bytes without a name: {rest:02x?}");
        self
    }

    /// A DNS key, as the code takes it apart.
    pub(crate) fn key(mut self, bytes: &[u8]) -> Self {
        let key = DnsKey::parse(bytes).expect("the code made it");
        let keyspace = if key.keyspace == KeyspaceId::DNS { "dns" } else { "core" };
        let section = format!("{:?}", key.section).to_lowercase();
        self.add(0, &bytes[..2], &format!("keyspace `{keyspace}`"));
        self.add(0, &bytes[2..10], &format!("generation {}", key.generation.get()));
        self.add(0, &bytes[10..11], &format!("section `{section}`"));
        if key.section == KeySection::Nsec3 {
            let salt_end = 4 + usize::from(key.path[3]);
            self.add(0, &key.path[..1], &format!("algorithm {}", key.path[0]));
            self.add(0, &key.path[1..3], "iterations");
            self.add(0, &key.path[3..salt_end], "length of the salt, salt");
            self.add(0, &key.path[salt_end..], "hash");
        } else {
            let path = key.node_path().expect("no NSEC3");
            // Each label in turn is the deepest of the path so far.
            for depth in 1..=path.depth() {
                let label = path.ancestor(depth).below(path.ancestor(depth - 1)).expect("its own ancestor");
                let name = label.to_name(&Name::ROOT).expect("one label");
                self.add(0, label.as_bytes(), &format!("label `{}`", name.to_string().trim_end_matches('.')));
            }
        }
        let kind = if key.kind == ADDRESS_KIND { "address key".into() } else { format!("type {}", key.kind) };
        self.add(0, &bytes[bytes.len() - 3..bytes.len() - 2], "end of the path");
        self.add(0, &bytes[bytes.len() - 2..], &kind);
        self
    }

    /// MessagePack, with a name for every value in the order they stand. A name that begins with `#` is that of a byte
    /// string of items behind 16-bit lengths; with `>`, of one that holds MessagePack again.
    pub(crate) fn message_pack(mut self, bytes: &[u8], names: &[&str]) -> Self {
        let mut names = names.iter().copied();
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = self.value(0, rest, &mut names);
        }
        assert_eq!(names.next(), None, "more names than values in\n{}", self.0);
        self
    }

    /// Takes one value off.
    fn value<'b, 'n>(&mut self, depth: usize, bytes: &'b [u8], names: &mut impl Iterator<Item = &'n str>) -> &'b [u8] {
        let name = names.next().unwrap_or_else(|| panic!("no name for {bytes:02x?} after\n{}", self.0));
        let number =
            |at: usize, width: usize| bytes[at..at + width].iter().fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
        let length = |width: usize| usize::try_from(number(1, width)).expect("64 bits");
        match bytes[0] {
            small @ 0..=0x7f => self.scalar(depth, bytes, 1, &format!("{name}: {small}")),
            0xcc..=0xcf => {
                let width = 1 << (bytes[0] - 0xcc);
                self.scalar(depth, bytes, 1 + width, &format!("{name}: {}", number(1, width)))
            }
            0xc0 => self.scalar(depth, bytes, 1, &format!("{name}: none")),
            0xc2 | 0xc3 => self.scalar(depth, bytes, 1, &format!("{name}: {}", bytes[0] == 0xc3)),
            array @ 0x90..=0x9f => {
                self.add(depth, &bytes[..1], &format!("{name}: array of {}", array & 0xf));
                (0..array & 0xf).fold(&bytes[1..], |rest, _| self.value(depth + 1, rest, names))
            }
            text @ 0xa0..=0xbf => {
                let end = 1 + usize::from(text & 0x1f);
                let text = String::from_utf8_lossy(&bytes[1..end]);
                self.scalar(depth, bytes, end, &format!("{name}: {text:?}"))
            }
            0xc4 => self.binary(depth, bytes, (2, length(1)), name, names),
            0xc5 => self.binary(depth, bytes, (3, length(2)), name, names),
            other => panic!("no example needs {other:02x}"),
        }
    }

    fn scalar<'b>(&mut self, depth: usize, bytes: &'b [u8], len: usize, what: &str) -> &'b [u8] {
        self.add(depth, &bytes[..len], what);
        &bytes[len..]
    }

    fn binary<'b, 'n>(
        &mut self,
        depth: usize,
        bytes: &'b [u8],
        (head, len): (usize, usize),
        name: &str,
        names: &mut impl Iterator<Item = &'n str>,
    ) -> &'b [u8] {
        let (whole, after) = bytes.split_at(head + len);
        let mut rest = &whole[head..];
        let what = format!("{}: {len} bytes", name.trim_start_matches(['#', '>']));
        if name.starts_with('#') {
            self.add(depth, &whole[..head], &what);
            while !rest.is_empty() {
                let item = 2 + usize::from(u16::from_be_bytes([rest[0], rest[1]]));
                self.add(depth + 1, &rest[..item], &format!("length {}, item", item - 2));
                rest = &rest[item..];
            }
        } else if name.starts_with('>') {
            self.add(depth, &whole[..head], &what);
            while !rest.is_empty() {
                rest = self.value(depth + 1, rest, names);
            }
        } else {
            self.add(depth, whole, &what);
        }
        after
    }
}
