//! What people have in their zone files, and what comes of it. Where NSD 4.6 and BIND 9.18 were asked, the crate's
//! documentation says what they do.

use super::support::read;

/// Records as text, or the first error.
fn outcome(text: &[u8]) -> Result<Vec<String>, String> {
    let (records, result) = read(text);
    match result {
        Ok(_) => Ok(records.iter().map(super::support::Owned::text).collect()),
        Err(errors) => Err(errors[0].to_string()),
    }
}

fn warnings(text: &[u8]) -> Vec<String> {
    let report = read(text).1.unwrap();
    report.warnings.iter().map(ToString::to_string).collect()
}

const LOADS: &[(&str, &[u8], &[&str])] = &[
    ("simple", b"www 300 IN A 192.0.2.1\n", &["www.example. 300 A 192.0.2.1"]),
    ("class before TTL", b"www IN 300 A 192.0.2.1\n", &["www.example. 300 A 192.0.2.1"]),
    ("lower case", b"WWW 300 in a 192.0.2.1\n", &["WWW.example. 300 A 192.0.2.1"]),
    (
        "CRLF",
        b"www 300 A 192.0.2.1\r\n\r\n 300 A 192.0.2.2\r\n",
        &["www.example. 300 A 192.0.2.1", "www.example. 300 A 192.0.2.2"],
    ),
    ("no final line feed", b"www 300 A 192.0.2.1", &["www.example. 300 A 192.0.2.1"]),
    ("byte order mark", b"\xef\xbb\xbf@ 300 A 192.0.2.1\n", &["example. 300 A 192.0.2.1"]),
    (
        "blank owner",
        b"a 300 A 192.0.2.1\n\t300 A 192.0.2.2\n",
        &["a.example. 300 A 192.0.2.1", "a.example. 300 A 192.0.2.2"],
    ),
    ("comments", b"; one\n  ; two\na 300 A 192.0.2.1;three\n", &["a.example. 300 A 192.0.2.1"]),
    ("comment in a string", b"a 300 TXT \"x;y\" x;y\n", &["a.example. 300 TXT \"x;y\" \"x\""]),
    (
        "units",
        b"$TTL 1h\na A 192.0.2.1\nb 1w2D A 192.0.2.1\n",
        &["a.example. 3600 A 192.0.2.1", "b.example. 777600 A 192.0.2.1"],
    ),
    (
        "SOA over lines with units",
        b"@ 1d SOA ns h ( 1 ; serial\n 1H 15m\n\n 1w2d ; x ) y\n 1D )\n",
        &["example. 86400 SOA ns.example. h.example. 1 3600 900 777600 86400"],
    ),
    ("nested parentheses", b"a ( 300 ( TXT ) a(b)c )\n", &["a.example. 300 TXT \"a\" \"b\" \"c\""]),
    ("strings that touch", b"a 300 TXT \"a\"\"b\" c\"d\"\n", &["a.example. 300 TXT \"a\" \"b\" \"c\" \"d\""]),
    ("empty string", b"a 300 TXT \"\"\n", &["a.example. 300 TXT \"\""]),
    ("escapes", b"a\\.b\\032c 300 TXT \"\\\"\\065\\\\\"\n", &["a\\.b\\ c.example. 300 TXT \"\\\"A\\\\\""]),
    ("raw UTF-8", b"a 300 TXT \"h\xc3\xa9\"\n", &["a.example. 300 TXT \"h\\195\\169\""]),
    ("raw tab in quotes", b"a 300 TXT \"a\tb\"\n", &["a.example. 300 TXT \"a\\009b\""]),
    ("escaped dollar", b"\\$x 300 A 192.0.2.1\n", &["$x.example. 300 A 192.0.2.1"]),
    ("at sign as label", b"@x 300 MX 10 @\n", &["@x.example. 300 MX 10 example."]),
    ("leading zeros", b"a 0300 MX 010 b\n", &["a.example. 300 MX 10 b.example."]),
    ("origins", b"$ORIGIN b\na 1 NS c\n$ORIGIN d.\na 1 NS @\n", &["a.b.example. 1 NS c.b.example.", "a.d. 1 NS d."]),
    (
        "origin change with the same word",
        b"$TTL 1\na NS .\n$ORIGIN b\na NS .\n",
        &["a.example. 1 NS .", "a.b.example. 1 NS ."],
    ),
    (
        "RFC 3597",
        b"a 1 CLASS1 TYPE1 \\# 4 C0 0002 01\nb 1 TYPE1234 \\# 0\n",
        &["a.example. 1 A 192.0.2.1", "b.example. 1 TYPE1234 \\# 0"],
    ),
    (
        "TTL of the record before",
        b"a 7 A 192.0.2.1\nb A 192.0.2.1\n",
        &["a.example. 7 A 192.0.2.1", "b.example. 7 A 192.0.2.1"],
    ),
    (
        "$TTL over the record before",
        b"$TTL 9\na 7 A 192.0.2.1\nb A 192.0.2.1\n",
        &["a.example. 7 A 192.0.2.1", "b.example. 9 A 192.0.2.1"],
    ),
    (
        "TTL of the SOA minimum",
        b"@ SOA . . 1 2 3 4 77\na 7 A 192.0.2.1\nb A 192.0.2.1\n",
        &["example. 77 SOA . . 1 2 3 4 77", "a.example. 7 A 192.0.2.1", "b.example. 77 A 192.0.2.1"],
    ),
    ("huge TTL", b"a 4294967295 A 192.0.2.1\n", &["a.example. 0 A 192.0.2.1"]),
    ("SVCB", b"a 1 HTTPS 1 . alpn=\"h2,h3\" port=8443\n", &["a.example. 1 HTTPS 1 . alpn=h2,h3 port=8443"]),
    ("CAA", b"a 1 CAA 0 issue \"x.example; a=b\"\n", &["a.example. 1 CAA 0 issue \"x.example; a=b\""]),
    ("AFSDB", b"a 1 AFSDB 1 b\n", &["a.example. 1 AFSDB 1 b.example."]),
    ("URI", b"a 1 URI 10 1 \"https://example/\"\n", &["a.example. 1 URI 10 1 \"https://example/\""]),
    (
        "EUI and NID",
        b"a 1 EUI48 00-00-5e-00-53-2a\na 1 NID 10 14:4fff:ff20:ee64\n",
        &["a.example. 1 EUI48 00-00-5e-00-53-2a", "a.example. 1 NID 10 0014:4fff:ff20:ee64"],
    ),
    ("CERT", b"a 1 CERT PKIX 1 RSASHA256 AQ ID\n", &["a.example. 1 CERT 1 1 8 AQID"]),
    (
        "generate",
        b"$GENERATE 1-5/2 h${0,2} 1h A 192.0.2.$\n",
        &["h01.example. 3600 A 192.0.2.1", "h03.example. 3600 A 192.0.2.3", "h05.example. 3600 A 192.0.2.5"],
    ),
    (
        "generate bases",
        b"$GENERATE 10-10 $.${-1,3,x}.${0,4,X}.${0,0,o}.${0,7,n} 1 PTR a$$b\\$.\n",
        &["10.009.000A.12.a.0.0.0.example. 1 PTR a\\$b\\$."],
    ),
    ("generate quoted", b"$GENERATE 1-1 a$ 1 MX \"$ m$\"\n", &["a1.example. 1 MX 1 m1.example."]),
    (
        "generate below zero",
        b"$GENERATE 1-2 a${-2} 1 TXT ${-2,3} ${-3,0,x} ${-2,1,n}\n",
        &[
            "a-1.example. 1 TXT \"-01\" \"fffffffe\" \"f.f.f.f.f.f.f.f\"",
            "a0.example. 1 TXT \"000\" \"ffffffff\" \"0\"",
        ],
    ),
    ("empty file", b"", &[]),
    ("only comments", b";\n\n ;", &[]),
];

#[test]
fn these_load() {
    for (name, text, records) in LOADS {
        assert_eq!(outcome(text), Ok(records.iter().map(ToString::to_string).collect()), "{name}");
    }
}

const REFUSED: &[(&str, &[u8], &str)] = &[
    ("no TTL", b"a A 192.0.2.1\n", "zone:1: no TTL"),
    ("a TTL like 1h30", b"a 1h30 A 192.0.2.1\n", "zone:1: bad TTL \"1h30\""),
    ("two TTLs", b"a 1 2 A 192.0.2.1\n", "zone:1: unknown type \"2\""),
    ("TTL over 32 bits", b"a 4294967296 A 192.0.2.1\n", "zone:1: bad TTL"),
    ("negative TTL", b"a -1 A 192.0.2.1\n", "zone:1: unknown type \"-1\""),
    ("class", b"a 1 CH TXT a\n", "zone:1: class CH"),
    ("type", b"a 1 IN AA 192.0.2.1\n", "zone:1: unknown type \"AA\""),
    ("no type", b"a 1 IN\n", "zone:1: the entry ends before its type"),
    ("meta type", b"a 1 ANY \\# 0\n", "zone:1: type ANY is never stored"),
    ("OPT by number", b"a 1 TYPE41 \\# 0\n", "zone:1: type OPT is never stored"),
    ("no owner", b" 1 A 192.0.2.1\n", "zone:1: no owner"),
    ("address", b"\na 1 A 192.0.2\n", "zone:2: A data: \"192.0.2\" is not an address: a 1 A 192.0.2"),
    ("address with zeros", b"a 1 A 192.0.02.1\n", "zone:1: A data"),
    ("too much", b"a 1 A 192.0.2.1 2\n", "zone:1: A data: takes an address, here are 2 fields"),
    ("too little", b"a 1 MX 10\n", "zone:1: MX data: takes a number, a name, here are 1 fields"),
    ("preference", b"a 1 MX 65536 b\n", "zone:1: MX data: \"65536\" is not a number"),
    ("empty name", b"a 1 NS \"\"\n", "zone:1: bad name \"\": empty label"),
    ("empty label", b"a..b 1 A 192.0.2.1\n", "zone:1: bad name \"a..b\": empty label"),
    ("leading dot", b".a 1 A 192.0.2.1\n", "zone:1: bad name \".a\": empty label"),
    ("no string", b"a 1 TXT\n", "zone:1: TXT data: takes strings, here are 0 fields"),
    ("RFC 3597 length", b"a 1 TYPE1234 \\# 2 00\n", "zone:1: TYPE1234 data: \\# says 2 bytes, here are 1"),
    ("RFC 3597 digits", b"a 1 TYPE1234 \\# 1 0g\n", "zone:1: TYPE1234 data"),
    ("RFC 3597 with a bad address", b"a 1 A \\# 3 000000\n", "zone:1: A data"),
    ("RFC 3597 with a compression pointer", b"a 1 NS \\# 4 0161C000\n", "zone:1: NS data"),
    ("text of an unknown type", b"a 1 TYPE1234 foo\n", "zone:1: TYPE1234 data: its text form is not known here"),
    ("text of NULL", b"a 1 NULL 00\n", "zone:1: NULL data: its text form is not known here"),
    ("line end in quotes", b"a 1 TXT \"a\nb\"\n", "zone:1: a quoted string"),
    ("unopened", b"a 1 TXT a )\n", "zone:1: a closing parenthesis"),
    ("unclosed", b"a 1 TXT ( a\nb 1 TXT b\n", "zone:1: an opening parenthesis"),
    ("NUL", b"a 1 TXT a\0b\n", "zone:1: a NUL byte"),
    ("escape over 255", b"a 1 TXT \\300\n", "zone:1: bad escape"),
    ("short escape", b"a 1 TXT \\1a\n", "zone:1: bad escape"),
    ("escape at the end of a line", b"a 1 TXT a\\\n", "zone:1: bad escape"),
    ("escape at the end", b"a 1 TXT a\\", "zone:1: bad escape"),
    ("serial with units", b"@ 1 SOA . . 1h 1 1 1 1\n", "zone:1: SOA data"),
    (
        "SOA elsewhere",
        b"@ 1 SOA . . 1 1 1 1 1\nb 1 SOA . . 1 1 1 1 1\n",
        "zone:2: the SOA belongs to b.example., but the zone is example.",
    ),
    ("directive", b"$FOO\n", "zone:1: unknown directive \"$FOO\""),
    ("indented directive", b"a 1 A 192.0.2.1\n $TTL 1\n", "zone:2: unknown type \"$TTL\""),
    ("$TTL", b"$TTL\n", "zone:1: use $TTL seconds"),
    ("$TTL word", b"$TTL x\n", "zone:1: bad TTL \"x\""),
    ("$ORIGIN", b"$ORIGIN a b\n", "zone:1: use $ORIGIN name"),
    ("$INCLUDE in text", b"$INCLUDE a\n", "zone:1: $INCLUDE \"a\": zone text"),
    ("generate backwards", b"$GENERATE 2-1 a 1 A 192.0.2.$\n", "zone:1: bad $GENERATE range"),
    ("generate step", b"$GENERATE 1-2/0 a 1 A 192.0.2.$\n", "zone:1: bad $GENERATE range"),
    ("generate out of bounds", b"$GENERATE 0-1048576 a 1 A 192.0.2.$\n", "zone:1: $GENERATE makes more than"),
    (
        "generate twice out of bounds",
        b"$TTL 1\n$GENERATE 0-0 a A 192.0.2.$\n$GENERATE 0-4294967295 a A 192.0.2.$\n",
        "zone:3: $GENERATE makes more than",
    ),
    ("generate width", b"$GENERATE 1-2 a${0,999999999} 1 A 192.0.2.$\n", "zone:1: bad $GENERATE modifier"),
    ("generate unclosed", b"$GENERATE 1-2 a${1 1 A 192.0.2.$\n", "zone:1: bad $GENERATE modifier"),
    ("generate bad data", b"$GENERATE 255-256 a$ 1 A 192.0.2.$\n", "zone:1: A data: \"192.0.2.256\""),
    ("generate nothing", b"$GENERATE 1-2 a 1 A\n", "zone:1: use $GENERATE"),
];

#[test]
fn these_are_refused() {
    for (name, text, error) in REFUSED {
        let message = outcome(text).expect_err(name);
        assert!(message.starts_with(error), "{name}: {message}");
    }
}

#[test]
fn lengths_are_bounded() {
    let long_label = [&b"a"[..]; 64].concat();
    let long_label = [&long_label[..], b" 1 A 192.0.2.1\n"].concat();
    let long_name = [&b"a."[..].repeat(124)[..], b" 1 A 192.0.2.1\n"].concat();
    let long_name_in_data = [b"a 1 NS ", &b"a."[..].repeat(124)[..], b"bcdefg\n"].concat();
    let long_string = [&b"a 1 TXT "[..], &b"a"[..].repeat(256), b"\n"].concat();
    let huge = [&b"a 1 TYPE1234 \\# 65536 "[..], &b"00"[..].repeat(65536), b"\n"].concat();
    let endless = [&b"a 1 TXT "[..], &b"a "[..].repeat(1 << 20), b"\n"].concat();
    let table: &[(&str, &[u8], &str)] = &[
        ("long label", &long_label, "zone:1: bad name"),
        ("long name", &long_name, "ok"),
        ("long name in data", &long_name_in_data, "zone:1: bad name"),
        ("long string", &long_string, "zone:1: TXT data: a string is over 255 bytes"),
        ("RFC 3597 over 64 KiB", &huge, "zone:1: TYPE1234 data"),
        ("entry without end", &endless, "zone:1: the entry is over"),
    ];
    for (name, text, error) in table {
        match outcome(text) {
            Err(message) => assert!(message.starts_with(error), "{name}: {message}"),
            Ok(_) => assert_eq!(*error, "ok", "{name} loads"),
        }
    }
}

const ODD: &[(&str, &[u8], &[&str])] = &[
    (
        "SOA minimum",
        b"@ SOA . . 1 1 1 1 7\na A 192.0.2.1\n",
        &["zone:1: no TTL and no $TTL: taking the SOA minimum: @ SOA . . 1 1 1 1 7"],
    ),
    (
        "TTL before",
        b"a 1 A 192.0.2.1\nb A 192.0.2.1\nc A 192.0.2.1\n",
        &[
            "zone:2: no TTL and no $TTL: taking the TTL of the record before, here and below (RFC 1035 section 5.1): b A 192.0.2.1",
        ],
    ),
    (
        "huge TTL",
        b"$TTL 4294967295\n",
        &["zone:1: TTL over 2147483647: taking 0 (RFC 2181 section 8): $TTL 4294967295"],
    ),
    ("no line feed", b";", &["zone: the file does not end with a line feed: is it whole?"]),
    ("byte order mark", b"\xef\xbb\xbf;\n", &["zone: the file begins with a byte order mark: skipped"]),
    (
        "not ASCII",
        b"\xc3\xa9 1 A 192.0.2.1\n\xc3\xaa 1 A 192.0.2.1\n",
        &[
            "zone:1: bytes outside ASCII are taken as they are, here and below: escape them, and write names in punycode: \u{e9} 1 A 192.0.2.1",
        ],
    ),
    ("nothing", b"\\195\\169 1 TXT \\195\n", &[]),
];

#[test]
fn these_are_odd() {
    for (name, text, expected) in ODD {
        assert_eq!(&warnings(text), expected, "{name}");
    }
}

#[test]
fn reading_goes_on_after_an_error_up_to_a_bound() {
    let (records, result) = read(b"$TTL 1\na A x\nb A 192.0.2.1\nc TXT \"\nd TXT )\ne A 192.0.2.2\n A 192.0.2.3\n");
    let places: Vec<u32> = result.unwrap_err().iter().map(|error| error.line).collect();
    assert_eq!(places, [2, 4, 5]);
    assert_eq!(records.iter().map(|record| record.line).collect::<Vec<_>>(), [3, 6, 7]);

    let errors = read(&b"\x01\x02 x\n".repeat(100_000)).1.unwrap_err();
    assert_eq!(errors.len(), zonecast_ingest::MAX_ERRORS);
    assert!(errors.last().unwrap().to_string().ends_with("too many errors, the rest of the zone was not read"));
    let shown = read(&[&b"a 1 A "[..], &b"\xff\n"[..1].repeat(100_000)].concat()).1.unwrap_err();
    assert!(shown[0].to_string().len() < 1000, "messages are bounded");
}

#[test]
fn a_line_number_is_that_of_the_first_line_of_an_entry() {
    let (records, result) = read(b"\n; x\na 1 TXT ( a\n\n b )\nb 1 A 192.0.2.1\n");
    assert!(result.is_ok());
    assert_eq!(records.iter().map(|record| record.line).collect::<Vec<_>>(), [3, 6]);
}
