//! The substitution expression of a NAPTR, RFC 3402 section 3.2: delimiter, pattern, delimiter, replacement, delimiter,
//! flags. BIND refuses others, and patterns that are no extended regular expression of POSIX; so are they here.

/// Whether it is empty or such an expression.
pub(crate) fn is_substitution(text: &[u8]) -> bool {
    let Some((delimiter, rest)) = text.split_first() else { return true };
    if delimiter.is_ascii_digit() || matches!(delimiter, b'\\' | b'i' | 0) || rest.contains(&0) {
        return false;
    }
    let mut parts = vec![Vec::new()];
    let mut bytes = rest.iter();
    while let Some(byte) = bytes.next() {
        let Some(part) = parts.last_mut() else { return false };
        if byte == delimiter {
            parts.push(Vec::new());
            continue;
        }
        part.push(*byte);
        if *byte == b'\\' {
            let Some(next) = bytes.next() else { return false };
            part.push(*next);
        }
    }
    let [pattern, replacement, flags] = parts.as_slice() else { return false };
    let Some(groups) = Pattern::read(pattern) else { return false };
    flags.iter().all(|flag| *flag == b'i') && highest_reference(replacement).is_some_and(|most| most <= groups)
}

/// The highest group that a replacement refers to, 0 for none; `None` where it refers to group 0.
fn highest_reference(replacement: &[u8]) -> Option<u8> {
    let mut bytes = replacement.iter();
    let mut most = 0;
    while let Some(byte) = bytes.next() {
        if *byte == b'\\'
            && let Some(digit) = bytes.next().filter(|next| next.is_ascii_digit())
        {
            most = most.max(digit - b'0');
            if *digit == b'0' {
                return None;
            }
        }
    }
    Some(most)
}

/// A pattern being read.
struct Pattern<'p> {
    rest: &'p [u8],
    /// Groups that are open.
    open: u8,
    groups: u8,
    /// There is something that can be repeated or be an alternative.
    has_atom: bool,
    /// It is repeated already.
    is_repeated: bool,
    /// Nothing stands in the present group yet.
    is_fresh: bool,
}

impl<'p> Pattern<'p> {
    /// How many groups a pattern has; `None` where it is none.
    fn read(pattern: &'p [u8]) -> Option<u8> {
        let mut reading =
            Self { rest: pattern, open: 0, groups: 0, has_atom: false, is_repeated: false, is_fresh: false };
        while let Some((byte, rest)) = reading.rest.split_first() {
            reading.rest = rest;
            reading.take(*byte)?;
        }
        (reading.open == 0 && reading.has_atom).then_some(reading.groups)
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        match byte {
            b'\\' => {
                let (escaped, rest) = self.rest.split_first()?;
                self.rest = rest;
                let is_reference = (b'1'..=b'9').contains(escaped);
                self.atom();
                (!is_reference || escaped - b'0' <= self.groups).then_some(())
            }
            b'[' => {
                self.bracket()?;
                self.atom();
                Some(())
            }
            b'{' if self.rest.first().is_some_and(u8::is_ascii_digit) => {
                self.repeat()?;
                self.bound()
            }
            b'+' | b'*' | b'?' => self.repeat(),
            b'(' => {
                (self.open, self.groups) = (self.open.checked_add(1)?, self.groups.checked_add(1)?);
                (self.has_atom, self.is_repeated, self.is_fresh) = (false, false, true);
                Some(())
            }
            b')' => {
                let holds = self.open == 0 || self.has_atom || self.is_fresh;
                self.open = self.open.saturating_sub(1);
                self.atom();
                holds.then_some(())
            }
            b'|' => {
                let holds = self.has_atom;
                (self.has_atom, self.is_repeated, self.is_fresh) = (false, false, false);
                holds.then_some(())
            }
            _ => {
                self.atom();
                self.is_repeated = matches!(byte, b'^' | b'$');
                Some(())
            }
        }
    }

    fn atom(&mut self) {
        (self.has_atom, self.is_repeated) = (true, false);
    }

    fn repeat(&mut self) -> Option<()> {
        let holds = self.has_atom && !self.is_repeated;
        self.is_repeated = true;
        holds.then_some(())
    }

    /// `least}` or `least,most}` up to 255.
    fn bound(&mut self) -> Option<()> {
        let end = self.rest.iter().position(|byte| *byte == b'}')?;
        let (bound, rest) = self.rest.split_at(end);
        self.rest = rest.get(1..)?;
        let bound = std::str::from_utf8(bound).ok()?;
        let (least, most) = bound.split_once(',').unwrap_or((bound, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let least: u8 = least.parse().ok().filter(|_| digits(least))?;
        let most: u8 = if most.is_empty() { u8::MAX } else { most.parse().ok().filter(|_| digits(most))? };
        (least <= most).then_some(())
    }

    /// Up to its end, without collating elements and equivalence classes, which nobody uses.
    fn bracket(&mut self) -> Option<()> {
        let rest = self.rest.strip_prefix(b"^").unwrap_or(self.rest);
        // A bracket that comes first stands for itself.
        let end = rest.iter().skip(1).position(|byte| *byte == b']')? + 1;
        let (inside, after) = rest.split_at(end);
        if inside.contains(&b'[') {
            return self.classes(inside, after);
        }
        self.rest = after.get(1..)?;
        is_set(inside).then_some(())
    }

    /// A bracket with one class alone, as in `[[:digit:]]`.
    fn classes(&mut self, inside: &[u8], after: &'p [u8]) -> Option<()> {
        const CLASSES: [&[u8]; 12] = [
            b"[:alnum:",
            b"[:digit:",
            b"[:punct:",
            b"[:alpha:",
            b"[:graph:",
            b"[:space:",
            b"[:blank:",
            b"[:lower:",
            b"[:upper:",
            b"[:cntrl:",
            b"[:print:",
            b"[:xdigit:",
        ];
        self.rest = after.strip_prefix(b"]]")?;
        CLASSES.contains(&inside).then_some(())
    }
}

/// Single characters and ranges that ascend; a hyphen at either end stands for itself.
fn is_set(inside: &[u8]) -> bool {
    let mut rest = inside;
    while let Some((first, after)) = rest.split_first() {
        rest = match after {
            [b'-', last, after @ ..] if last < first || after.first() == Some(&b'-') => return false,
            [b'-', _, after @ ..] => after,
            _ => after,
        };
    }
    true
}

#[cfg(test)]
mod tests {
    use super::is_substitution;

    #[test]
    fn expressions_are_told_from_others() {
        for good in [
            "",
            "!^.*$!sip:a@b!",
            "/(a)(b)/\\2\\1/i",
            "!a!!",
            "!^(.+)[-a-z0-9]{2,3}$!\\1!",
            "![[:digit:]]+!x!",
            "!()a|b!x!",
        ] {
            assert!(is_substitution(good.as_bytes()), "{good}");
        }
        for bad in [
            "a", "!a!", "!a!b", "!!b!", "!(a!b!", "![a!b!", "!*a!b!", "!a**!b!", "!a|!b!", "!a!\\1!", "!a!\\0!",
            "!a!b!g",
        ] {
            assert!(!is_substitution(bad.as_bytes()), "{bad}");
        }
        for bad in ["1a1b1", "iaibi", "\\a\\b\\", "!a{3,2}!b!", "![b-a]!b!", "!(a|)!b!", "!\\1!b!", "!a{256}!b!"] {
            assert!(!is_substitution(bad.as_bytes()), "{bad}");
        }
        assert!(!is_substitution(b"!a\0!b!"));
    }
}
