//! Inputs that are kept: one file for each target in `fuzz/corpus`, each line an input in hexadecimal, sorted.
//!
//! libFuzzer wants a folder with a file for each input. `cargo run -p zonecast-tests --example corpus` goes from one to
//! the other.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Of the targets' inputs.
#[must_use]
pub fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus")
}

/// The inputs that are kept for a target, none if there is no file for it.
///
/// # Errors
/// It cannot be read, or a line is not in hexadecimal.
pub fn read_kept(target: &str) -> io::Result<Vec<Vec<u8>>> {
    let path = file(target);
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        text => text?,
    };
    let line = |(number, line): (usize, &str)| {
        from_hex(line).ok_or_else(|| io::Error::other(format!("{}:{}: not in hexadecimal", path.display(), number + 1)))
    };
    text.lines().enumerate().map(line).collect()
}

/// Keeps these inputs for a target, and no others.
///
/// # Errors
/// The file cannot be written.
pub fn write_kept(target: &str, inputs: &[Vec<u8>]) -> io::Result<()> {
    let mut lines: Vec<String> = inputs.iter().map(|input| to_hex(input)).collect();
    lines.sort();
    lines.dedup();
    fs::write(file(target), lines.concat())
}

fn file(target: &str) -> PathBuf {
    corpus().join(format!("{target}.hex"))
}

fn to_hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    digits.chain(["\n".into()]).collect()
}

fn from_hex(line: &str) -> Option<Vec<u8>> {
    let pair = |pair: &[u8]| {
        let [high, low] = pair else { return None };
        let digit = |digit: u8| char::from(digit).to_digit(16);
        u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()
    };
    line.as_bytes().chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        for input in [&[][..], &[0], &all] {
            assert_eq!(from_hex(to_hex(input).trim_end()).unwrap(), input);
        }
        for line in ["0", "0g", "é"] {
            assert_eq!(from_hex(line), None, "{line}");
        }
    }
}
