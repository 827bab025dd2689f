//! `rdata.txt`: what BIND and NSD make of the text of RDATA, and what we do.

use zonecast_ingest::{format_rdata, parse_rdata, parse_type};

use super::support::apex;

#[test]
fn each_line_reads_and_is_written_as_it_says() {
    let (mut lines, mut wrong) = (0, vec![]);
    for line in include_str!("rdata.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        lines += 1;
        let (rtype, rest) = line.split_once(' ').unwrap();
        let (data, expected) = rest.split_once(" => ").unwrap_or((rest, rest));
        let rtype = parse_type(rtype).unwrap();
        let (written, reason) = match parse_rdata(rtype, data, &apex()) {
            Ok(wire) => (format_rdata(rtype, &wire), String::new()),
            Err(rule) => ("refused".to_owned(), format!(" ({rule})")),
        };
        if written != expected {
            wrong.push(format!("{line}: {written}{reason}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(lines > 100, "only {lines} lines");
}
