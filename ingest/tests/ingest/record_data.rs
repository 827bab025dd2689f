//! The data of a record in the API and on the command line: no byte of it disappears, and a backslash means one thing.

use domain::base::iana::Rtype;
use proptest::prelude::*;
use zonecast_ingest::{format_rdata, parse_rdata, parse_rdata_words, parse_type};

use super::support::apex;

/// What a zone file would take for a comment, for lines that belong together, for the end of a string or of a line; and
/// what is no ASCII.
const SPECIAL: [&str; 9] = [";", "(", ")", "\"", "\n", "\r", "\0", "\u{c}", "\u{e9}"];

/// Types and texts of `rdata.txt`, as they are written.
fn texts() -> Vec<(Rtype, String)> {
    let lines = include_str!("rdata.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let texts = lines.filter_map(|line| {
        let (rtype, rest) = line.split_once(' ').unwrap();
        let (data, _) = rest.split_once(" => ").unwrap_or((rest, rest));
        let rtype = parse_type(rtype).unwrap();
        Some((rtype, format_rdata(rtype, &parse_rdata(rtype, data, &apex()).ok()?)))
    });
    texts.collect()
}

fn read(rtype: Rtype, text: &str) -> Option<Vec<u8>> {
    parse_rdata_words(rtype, &[text], &apex()).ok()
}

#[test]
fn a_character_that_is_put_in_is_data_or_refused() {
    let texts = texts();
    assert!(texts.len() > 100, "only {} texts", texts.len());
    for (rtype, text) in texts {
        let whole = read(rtype, &text);
        assert!(whole.is_some(), "{rtype} {text}");
        for at in 0..=text.len() {
            for special in SPECIAL {
                let with = [&text[..at], special, &text[at..]].concat();
                let read = read(rtype, &with);
                assert!(read.is_none() || read != whole, "{rtype} {with:?} reads as {text:?}");
                let is_line_end = matches!(special, "\n" | "\r" | "\0");
                assert!(read.is_none() || !is_line_end, "{rtype} {with:?} has a line end");
            }
        }
    }
}

#[test]
fn a_comment_is_not_cut_off() {
    for (rtype, text) in
        [(Rtype::A, "192.0.2.1; home"), (Rtype::HTTPS, "1 . alpn=h2 ; more"), (Rtype::MX, "10 ( mail )")]
    {
        assert_eq!(read(rtype, text), None, "{rtype} {text}");
    }
    for (rtype, text, stored) in [
        (Rtype::CAA, "0 issue ca.example;x=1", r#"0 issue "ca.example;x=1""#),
        (Rtype::URI, "1 2 http://example/(a);b", r#"1 2 "http://example/(a);b""#),
        (Rtype::CNAME, "a;b", r"a\;b.example."),
    ] {
        assert_eq!(format_rdata(rtype, &read(rtype, text).unwrap()), stored, "{rtype} {text}");
    }
}

proptest! {
    /// All bytes of a string without backslash and quotes are the bytes of the record.
    #[test]
    fn a_string_is_its_bytes(text in r#"[^\\"\n\r\x00]{1,60}"#) {
        let string = [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
        prop_assert_eq!(read(Rtype::TXT, &text), Some(string.clone()));
        prop_assert_eq!(read(Rtype::TXT, &format!("\"{text}\"")), Some(string));
        let uri = [&[0, 1, 0, 2], text.as_bytes()].concat();
        prop_assert_eq!(read(Rtype::URI, &format!("1 2 \"{text}\"")), Some(uri.clone()));
        let fields = parse_rdata_words(Rtype::URI, &["1", "2", &text], &apex());
        prop_assert_eq!(fields.ok(), Some(uri));
    }

    /// With and without white space beside it, with and without quotes around it.
    #[test]
    fn a_backslash_means_one_thing(units in prop::collection::vec(prop::sample::select(vec![
        "a", " ", "\t", ";", "(", r"\065", r"\;", r"\\", r#"\""#, r"\000", r"\10", "\\",
    ]), 0..12)) {
        let text = units.concat();
        let (bare, quoted) = (read(Rtype::TXT, &text), read(Rtype::TXT, &format!("\"{text}\"")));
        let is_generic = text.trim_start().starts_with(r"\#");
        prop_assert!(is_generic || bare == quoted, "{:?}: {:?} and {:?}", text, bare, quoted);
        let fields = parse_rdata_words(Rtype::URI, &["1", "2", &text], &apex()).ok();
        let field = read(Rtype::URI, &format!("1 2 \"{text}\""));
        prop_assert_eq!(fields, field, "{:?}", text);
    }
}
