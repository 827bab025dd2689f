//! Text and wire form go both ways, and no input breaks the reader.

use domain::base::iana::Rtype;
use proptest::prelude::*;
use zonecast_ingest::{check_rdata, format_rdata, parse_rdata, parse_rdata_words, write_zone_file};
use zonecast_records::Name;

use super::support::{Owned, apex, read};

const TYPES: [&str; 66] = [
    "A",
    "AAAA",
    "NS",
    "CNAME",
    "PTR",
    "DNAME",
    "MX",
    "TXT",
    "SRV",
    "CAA",
    "NAPTR",
    "DS",
    "DNSKEY",
    "RRSIG",
    "NSEC",
    "NSEC3",
    "NSEC3PARAM",
    "TLSA",
    "SSHFP",
    "SVCB",
    "HTTPS",
    "HINFO",
    "RP",
    "ZONEMD",
    "OPENPGPKEY",
    "IPSECKEY",
    "CDS",
    "AFSDB",
    "ISDN",
    "CERT",
    "CSYNC",
    "SPF",
    "NID",
    "L32",
    "L64",
    "LP",
    "EUI48",
    "EUI64",
    "URI",
    "SMIMEA",
    "PX",
    "DHCID",
    "TYPE1234",
    "LOC",
    "APL",
    "NSAP",
    "GPOS",
    "DSYNC",
    "HIP",
    "AMTRELAY",
    "HHIT",
    "BRID",
    "WKS",
    "NXT",
    "A6",
    "ATMA",
    "EID",
    "NIMLOC",
    "SINK",
    "DOA",
    "DLV",
    "TA",
    "RKEY",
    "X25",
    "KEY",
    "TYPE65280",
];

fn rtype() -> impl Strategy<Value = Rtype> {
    prop::sample::select(TYPES.to_vec()).prop_map(|name| zonecast_ingest::parse_type(name).unwrap())
}

fn label() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(prop::sample::select(b"abAB*-_".to_vec()), 1..6),
        prop::collection::vec(any::<u8>(), 1..5),
    ]
}

fn name() -> impl Strategy<Value = Name> {
    prop::collection::vec(label(), 0..4)
        .prop_map(|labels| Name::below(&Name::ROOT, labels.iter().map(Vec::as_slice)).unwrap())
}

/// Bytes that are often valid for their type: names, strings and numbers one after the other.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        name().prop_map(|name| name.as_wire().to_vec()),
        prop::collection::vec(any::<u8>(), 0..20)
            .prop_map(|text| [&[u8::try_from(text.len()).unwrap()], &text[..]].concat()),
        any::<u16>().prop_map(|number| number.to_be_bytes().to_vec()),
        any::<u8>().prop_map(|number| vec![number]),
        any::<[u8; 4]>().prop_map(|bytes| bytes.to_vec()),
        any::<[u8; 16]>().prop_map(|bytes| bytes.to_vec()),
        Just(vec![0, 6, 0x40, 1, 0, 0, 0, 3]),
        Just(vec![0, 1, 0, 3, 2, b'h', b'2']),
    ];
    prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

/// Those of many that are valid, about a quarter.
fn records() -> impl Strategy<Value = Vec<Owned>> {
    let record = (name(), any::<u32>(), rtype(), pieces());
    let record = record.prop_map(|(owner, ttl, rtype, rdata)| Owned { owner, rtype, ttl: ttl >> 1, rdata, line: 0 });
    let valid = |record: &Owned| check_rdata(record.rtype, &record.rdata).is_ok();
    prop::collection::vec(record, 0..40).prop_map(move |records| records.into_iter().filter(valid).collect())
}

proptest! {
    #[test]
    fn a_written_zone_file_reads_back(records in records()) {
        let mut file = Vec::new();
        write_zone_file(&apex(), records.iter().map(Owned::as_ref), &mut file).unwrap();
        let (again, report) = read(&file);
        prop_assert!(report.as_ref().is_ok_and(|report| report.warnings.is_empty()), "{report:?}\n{}", String::from_utf8_lossy(&file));
        prop_assert_eq!(again.len(), records.len());
        for (again, record) in again.iter().zip(&records) {
            prop_assert!(again.owner.same_case(&record.owner));
            prop_assert_eq!((again.rtype, again.ttl, &again.rdata), (record.rtype, record.ttl, &record.rdata));
        }
    }

    #[test]
    fn any_bytes_have_a_text_that_is_data_or_refused(rtype in rtype(), wire in prop_oneof![pieces(), prop::collection::vec(any::<u8>(), 0..40)]) {
        let text = format_rdata(rtype, &wire);
        match parse_rdata(rtype, &text, &Name::ROOT) {
            Ok(again) => {
                prop_assert_eq!(&again, &wire);
                // A record of the API is read by other code than a line of a file, to the same bytes.
                prop_assert_eq!(parse_rdata_words(rtype, &[&text], &Name::ROOT).ok(), Some(wire), "{} {}", rtype, text);
            }
            Err(_) => prop_assert!(check_rdata(rtype, &wire).is_err(), "{rtype}: {text}"),
        }
    }

    #[test]
    fn no_bytes_break_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&bytes);
    }

    #[test]
    fn no_text_breaks_the_reader(words in prop::collection::vec(word(), 0..40)) {
        let _ = read(words.concat().as_bytes());
    }

    #[test]
    fn names_read_as_records_reads_them(text in r"[a-c.\\0-9@ *]{0,12}") {
        let ours = parse_rdata(Rtype::PTR, &format!("\"{text}\""), &apex()).ok();
        // Quotes allow spaces; they also make `@` a label.
        if text != "@" && !text.is_empty() {
            let theirs = Name::parse(&text, &apex()).ok().map(|name| name.as_wire().to_vec());
            prop_assert_eq!(ours, theirs, "{}", text);
        }
    }
}

fn word() -> impl Strategy<Value = String> {
    let fixed = [
        "\n",
        "\n",
        " ",
        "\t",
        "(",
        ")",
        "\"",
        "\\",
        "\\#",
        ";",
        "$",
        "@",
        ".",
        "$TTL ",
        "$ORIGIN ",
        "$INCLUDE ",
        "$GENERATE ",
        "1-3 ",
        "${0,9,n}",
        "IN ",
        "CH ",
        "300 ",
        "1h ",
        "alpn=",
        "key9=",
        "\r\n",
        "\u{feff}",
        "2 0102 ",
        "00-11",
        "a",
        "255.0.0.1 ",
        "::1 ",
    ];
    prop_oneof![
        4 => prop::sample::select(fixed.to_vec()).prop_map(str::to_owned),
        2 => prop::sample::select(TYPES.to_vec()).prop_map(|rtype| format!("\na 1 {rtype} ")),
        1 => any::<u16>().prop_map(|number| format!("{number} ")),
        1 => r"\PC{0,6} ".prop_map(|text| text),
    ]
}
