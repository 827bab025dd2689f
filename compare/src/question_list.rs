//! Questions in a file: captured packets, or text with a name and a type in each line, as `dnsperf` takes it; a type may
//! be its number, as `tshark` prints it.

use std::io::{self, BufRead};

use domain::base::iana::Rtype;
use thiserror::Error;

use crate::Question;
use crate::capture::{CaptureError, is_capture, read_capture};

/// Longest line: the longest name, escaped, and a type.
const MAX_LINE: usize = 2_048;

/// Why text is no list of questions.
#[derive(Debug, Error)]
pub enum QuestionListError {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// A capture is not good.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// A line is something else.
    #[error("line {line}: {what}")]
    Line {
        /// Counted from 1.
        line: u64,
        /// What is wrong.
        what: &'static str,
    },
}

/// Reads questions, up to `limit`. In text, empty lines and those that begin with `#` or `;` are passed over.
///
/// # Errors
/// It cannot be read, or a line is no question.
pub fn read_questions(mut input: impl BufRead + Send, limit: usize) -> Result<Vec<Question>, QuestionListError> {
    if is_capture(input.fill_buf()?) {
        return Ok(read_capture(input, limit)?);
    }
    let mut questions = Vec::new();
    let mut text = String::new();
    for line in 1.. {
        text.clear();
        // One byte more than a line may have, so that a longer one is noticed and not held.
        let room = u64::try_from(MAX_LINE + 1).unwrap_or(u64::MAX);
        if questions.len() == limit || io::Read::take(&mut input, room).read_line(&mut text)? == 0 {
            break;
        }
        let wrong = |what| QuestionListError::Line { line, what };
        if text.len() > MAX_LINE {
            return Err(wrong("it is too long for a name and a type"));
        }
        let mut words = text.split_whitespace();
        let Some(name) = words.next().filter(|word| !word.starts_with(['#', ';'])) else { continue };
        let rtype = words.next().ok_or_else(|| wrong("a type is missing"))?;
        let name = name.parse().map_err(|_| wrong("the first word is no name"))?;
        let number = || rtype.parse().map(Rtype::from_int);
        let rtype = rtype.parse().or_else(|_| number()).map_err(|_| wrong("the second word is no type"))?;
        questions.push(Question { name, rtype });
    }
    Ok(questions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_and_bad_lines_named() {
        let read = |text: &str| read_questions(text.as_bytes(), 3);
        let found =
            read("# of Monday\nwww.example.com A\n\n; more\nexample.com\tTYPE65280 ignored\nexample.com 28\n").unwrap();
        let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["www.example.com. A", "example.com. TYPE65280", "example.com. AAAA"]);
        assert_eq!(read(&"a A\n".repeat(9)).unwrap().len(), 3);
        let long = format!("a A\n{} A\n", "a".repeat(3000));
        for (text, said) in
            [("a A\nb", "line 2: a type"), ("a..b A", "no name"), ("a NOTYPE", "no type"), (&long, "line 2: it")]
        {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
