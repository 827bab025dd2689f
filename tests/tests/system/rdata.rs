//! RDATA of every type out of a grammar, valid and slightly broken, as text and as `\#`: what we take, BIND and
//! dnspython read as the same bytes, and what both of them read, we take.
//!
//! BIND is asked through `named-compilezone`, which also says in its raw format which bytes it made of a text. What it
//! does not know in its version is not compared. `ZONECAST_SEED` repeats a run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use domain::base::iana::Rtype;
use domain::utils::{base32, base64};
use tempfile::TempDir;
use zonecast_ingest::{check_rdata, format_rdata, parse_rdata, parse_type, read_zone_bytes};
use zonecast_records::Name;
use zonecast_tests::Random;

use crate::crash::{number_from_environment, seed_of_run};

/// The same each time, so that a failure of today is one of today's code; `make soak` takes others.
const SEED: u64 = 17;

/// Texts of each type, and as many as wire form.
const TEXTS: usize = 60;
const TEXTS_OF_SOAK: usize = 2_000;

/// A piece of text.
#[derive(Clone, Copy)]
enum Word {
    Name,
    U8,
    U16,
    U32,
    Algorithm,
    Type,
    Time,
    /// A character-string.
    Text,
    /// None or one.
    MaybeText,
    /// One or more.
    Texts,
    Digits,
    /// A decimal number up to this.
    Decimal(usize),
    Regex,
    Tag,
    Quoted,
    Hex,
    Base64,
    Salt,
    Hash,
    /// Types, this many at least.
    Types(usize),
    Ports,
    Ipv4,
    Ipv6,
    Groups,
    Eui(usize),
    /// Its type and that many bytes, or a type without a rule.
    Digest(&'static [(u8, usize)]),
    Params,
    Loc,
    Apl,
    Nsap,
    Atma,
    A6,
    /// Gateway types before and after the algorithm that IPSECKEY has between.
    IpsecKey,
    AmtRelay,
    Hip,
}

use Word::{
    A6, Algorithm, AmtRelay, Apl, Atma, Base64, Decimal, Digest, Digits, Eui, Groups, Hash, Hex, Hip, IpsecKey, Ipv4,
    Ipv6, Loc, MaybeText, Name as NameWord, Nsap, Params, Ports, Quoted, Regex, Salt, Tag, Text, Texts, Time, Type,
    Types, U8, U16, U32,
};

const DS: &[Word] = &[U16, Algorithm, Digest(&[(1, 20), (2, 32), (4, 48), (9, 7)])];
const TLSA: &[Word] = &[U8, U8, Digest(&[(0, 5), (1, 32), (2, 64), (3, 9)])];
const KEY: &[Word] = &[U16, U8, Algorithm, Base64];
const SIG: &[Word] = &[Type, Algorithm, U8, U32, Time, Time, U16, NameWord, Base64];

/// All types that have a text form here, but SOA, which stands at the apex only.
const TYPES: [(&str, &[Word]); 72] = [
    ("A", &[Ipv4]),
    ("AAAA", &[Ipv6]),
    ("NS", &[NameWord]),
    ("CNAME", &[NameWord]),
    ("PTR", &[NameWord]),
    ("DNAME", &[NameWord]),
    ("MX", &[U16, NameWord]),
    ("TXT", &[Texts]),
    ("SRV", &[U16, U16, U16, NameWord]),
    ("CAA", &[U8, Tag, Quoted]),
    ("NAPTR", &[U16, U16, Text, Text, Regex, NameWord]),
    ("SVCB", &[U16, NameWord, Params]),
    ("HTTPS", &[U16, NameWord, Params]),
    ("DS", DS),
    ("CDS", DS),
    ("DLV", DS),
    ("TA", DS),
    ("DNSKEY", KEY),
    ("CDNSKEY", KEY),
    ("KEY", KEY),
    ("RKEY", &[Decimal(0), U8, Algorithm, Base64]),
    ("RRSIG", SIG),
    ("SIG", SIG),
    ("NSEC", &[NameWord, Types(1)]),
    ("NSEC3", &[Decimal(0), U8, U16, Salt, Hash, Types(0)]),
    ("NSEC3PARAM", &[U8, U8, U16, Salt]),
    ("TLSA", TLSA),
    ("SMIMEA", TLSA),
    ("SSHFP", &[U8, Digest(&[(1, 20), (2, 32), (3, 4)])]),
    ("ZONEMD", &[U32, U8, Digest(&[(1, 48), (2, 64), (3, 12)])]),
    ("HINFO", &[Text, Text]),
    ("RP", &[NameWord, NameWord]),
    ("MINFO", &[NameWord, NameWord]),
    ("TALINK", &[NameWord, NameWord]),
    ("OPENPGPKEY", &[Base64]),
    ("DHCID", &[Base64]),
    ("HHIT", &[Base64]),
    ("BRID", &[Base64]),
    ("IPSECKEY", &[IpsecKey]),
    ("AMTRELAY", &[AmtRelay]),
    ("HIP", &[Hip]),
    ("DSYNC", &[Type, U8, U16, NameWord]),
    ("AFSDB", &[U16, NameWord]),
    ("RT", &[U16, NameWord]),
    ("KX", &[U16, NameWord]),
    ("LP", &[U16, NameWord]),
    ("X25", &[Digits]),
    ("ISDN", &[Text, MaybeText]),
    ("GPOS", &[Decimal(90), Decimal(180), Decimal(9999)]),
    ("NSAP-PTR", &[NameWord]),
    ("MB", &[NameWord]),
    ("MG", &[NameWord]),
    ("MR", &[NameWord]),
    ("PX", &[U16, NameWord, NameWord]),
    ("CERT", &[U16, U16, Algorithm, Base64]),
    ("CSYNC", &[U32, U16, Types(0)]),
    ("SPF", &[Texts]),
    ("AVC", &[Texts]),
    ("NINFO", &[Texts]),
    ("RESINFO", &[Texts]),
    ("WALLET", &[Texts]),
    ("NID", &[U16, Groups]),
    ("L64", &[U16, Groups]),
    ("L32", &[U16, Ipv4]),
    ("EUI48", &[Eui(6)]),
    ("EUI64", &[Eui(8)]),
    ("URI", &[U16, U16, Quoted]),
    ("LOC", &[Loc]),
    ("APL", &[Apl]),
    ("NSAP", &[Nsap]),
    ("WKS", &[Ipv4, U8, Ports]),
    ("NXT", &[NameWord, Types(0)]),
];

/// Obsolete types that BIND reads.
const OLD: [(&str, &[Word]); 6] = [
    ("ATMA", &[Atma]),
    ("A6", &[A6]),
    ("EID", &[Hex]),
    ("NIMLOC", &[Hex]),
    ("SINK", &[U8, U8, U8, Base64]),
    ("DOA", &[U32, U32, U8, Text, Base64]),
];

/// Words that stand in a wrong place now and then.
const ODD: [&str; 14] =
    ["0", "65535", "65536", "-1", "a", ".", "@", "\"\"", "00", "AA==", "192.0.2.1", "::1", "alpn=h2", "TYPE0"];

struct Grammar {
    random: Random,
}

impl Grammar {
    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.random.below(of.len())]
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| u8::try_from(self.random.below(256)).unwrap()).collect()
    }

    fn hex(&mut self, len: usize) -> String {
        self.bytes(len).iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    fn name(&mut self) -> String {
        let label = ["a", "B", "x-1", r"a\.b", r"\000", r"\255z", "_tcp", "*"];
        let labels: Vec<&str> = (0..self.random.below(4)).map(|_| self.pick(&label)).collect();
        match labels.as_slice() {
            [] => self.pick(&["@", "."]).to_owned(),
            labels => labels.join(".") + self.pick(&["", "."]),
        }
    }

    fn text(&mut self) -> String {
        let word = ["a", "", "a b", r#"a\"b"#, r"\\", r"\000\255", "x;y", "(", "é", "=,"];
        format!("\"{}{}\"", self.pick(&word), self.pick(&word))
    }

    fn number(&mut self, bits: u32) -> u64 {
        let most = (1_u64 << bits) - 1;
        let any = self.random.number() & most;
        self.pick(&[0, 1, 2, 3, most, any])
    }

    fn several(&mut self, least: usize, word: impl Fn(&mut Self) -> String) -> String {
        let words: Vec<String> = (0..least + self.random.below(4)).map(|_| word(self)).collect();
        words.join(" ")
    }

    fn rtype(&mut self) -> String {
        let any = format!("TYPE{}", self.number(16));
        let known = self.pick(&["A", "NS", "NSAP-PTR", "ANY", "CAA", "DSYNC", "MD", "UNSPEC", "OPT", "TYPE263"]);
        if self.random.below(4) == 0 { any } else { known.to_owned() }
    }

    fn ipv6(&mut self) -> String {
        let any = std::net::Ipv6Addr::from_bits((u128::from(self.random.number()) << 64) | 1).to_string();
        let some = self.pick(&["::", "2001:db8::1", "::ffff:192.0.2.1", "1:2:3:4:5:6:7:8", "fe80::"]);
        if self.random.below(3) == 0 { any } else { some.to_owned() }
    }

    fn word(&mut self, word: Word) -> String {
        match word {
            NameWord => self.name(),
            U8 => self.number(8).to_string(),
            U16 => self.number(16).to_string(),
            U32 => self.number(32).to_string(),
            Algorithm => self.pick(&["8", "RSASHA256", "13", "0", "255", "ED25519"]).to_owned(),
            Type => self.rtype(),
            Time => {
                let near = format!("20{:02}0{}{:02}112233", self.random.below(99), 1 + self.random.below(9), 28);
                self.pick(&["19700101000000", "21060207062816", "99991231235959", "1893456000", &near]).to_owned()
            }
            Text => self.text(),
            MaybeText => self.pick(&["", "\"4\""]).to_owned(),
            Texts => self.several(1, Self::text),
            Digits => self.pick(&["1234", "\"311061700956\"", "00000"]).to_owned(),
            Decimal(most) => match self.random.below(3) {
                0 => self.random.below(most + 1).to_string(),
                1 if most > 0 => format!("-{}.5", self.random.below(most)),
                _ => "0".to_owned(),
            },
            Regex => {
                let some = [r#""""#, r#""!^.*$!sip:a@b!""#, r#""/(a)(b)/\\2\\1/i""#, r#""!a\\!b!c!i""#, r#""x[(]xyx""#];
                self.pick(&some).to_owned()
            }
            Tag => self.pick(&["issue", "IODEF", "a1", "tbs"]).to_owned(),
            Quoted => self.text(),
            Hex => {
                let len = 1 + self.random.below(20);
                self.hex(len)
            }
            Base64 => {
                let len = 1 + self.random.below(70);
                base64::encode_string(&self.bytes(len))
            }
            Salt => {
                let len = self.random.below(9);
                if len == 0 { "-".to_owned() } else { self.hex(len) }
            }
            Types(least) => self.several(least, Self::rtype),
            Ports => self.several(0, |grammar| grammar.pick(&["0", "25", "65535", "smtp", "domain"]).to_owned()),
            Ipv4 => self.pick(&["192.0.2.1", "0.0.0.0", "255.255.255.255"]).to_owned(),
            Ipv6 => self.ipv6(),
            Groups => self.pick(&["14:4fff:ff20:ee64", "0:0:0:0", "ffff:FFFF:1:02"]).to_owned(),
            Eui(len) => {
                let part = |_| self.pick(&["0", "a", "0F", "ff"]);
                (0..len).map(part).collect::<Vec<&str>>().join("-")
            }
            Digest(kinds) => {
                let (kind, len) = self.pick(kinds);
                let len = if self.random.below(4) == 0 { 1 + self.random.below(70) } else { len };
                format!("{kind} {}", self.hex(len))
            }
            Hash => {
                let len = self.pick(&[20, 20, 5, 32]);
                base32::encode_string_hex(&self.bytes(len))
            }
            _ => self.whole(word),
        }
    }

    /// What says all of its type.
    fn whole(&mut self, word: Word) -> String {
        match word {
            Params => self.params(),
            Loc => {
                let angle = ["0", "42 21", "89 59 59.999", "1 2 3.5"];
                let (north, east) = (self.pick(&["N", "S"]), self.pick(&["E", "W"]));
                let size =
                    self.several(0, |grammar| grammar.pick(&["0m", "1m", "0.05m", "20000.00m", "9e", "3"]).to_owned());
                let (latitude, longitude) = (self.pick(&angle), self.pick(&angle));
                format!(
                    "{latitude} {north} {longitude} {east} {} {size}",
                    self.pick(&["0", "-100000.00m", "10m", "42849672.95"])
                )
            }
            Apl => self.several(0, |grammar| {
                let some = ["1:192.0.2.0/24", "!1:0.0.0.0/0", "2:2001:db8::/32", "!2:::/128", "1:1.2.3.4/3"];
                grammar.pick(&some).to_owned()
            }),
            Nsap => self.pick(&["0x47.0005.80", "0X00", "0x470005"]).to_owned(),
            Atma => self.pick(&["+61.200.300", "39.246f.00000e", "+1", "0011"]).to_owned(),
            A6 => {
                let length = self.pick(&[0, 1, 7, 8, 64, 65, 127, 128]);
                let suffix = if length < 128 { self.ipv6() } else { String::new() };
                let name = if length > 0 { self.name() } else { String::new() };
                format!("{length} {suffix} {name}")
            }
            IpsecKey => {
                let (kind, gateway) = self.gateway();
                format!("{} {kind} {} {gateway} {}", self.number(8), self.number(8), self.word(Base64))
            }
            AmtRelay => {
                let (kind, gateway) = self.gateway();
                format!("{} {} {kind} {gateway}", self.number(8), self.number(1))
            }
            Hip => {
                let servers = self.several(0, Self::name);
                format!("{} {} {} {servers}", self.number(8), self.word(Hex), self.word(Base64))
            }
            _ => String::new(),
        }
    }

    fn gateway(&mut self) -> (u8, String) {
        match self.pick(&[0, 1, 2, 3]) {
            0 => (0, ".".to_owned()),
            1 => (1, "192.0.2.1".to_owned()),
            2 => (2, self.ipv6()),
            _ => (3, self.name()),
        }
    }

    fn params(&mut self) -> String {
        let some = [
            "alpn=h2",
            r#"alpn="h2,h3""#,
            r#"alpn="f\\\\oo\\,bar,h2""#,
            "alpn=",
            r"key1=\002h2",
            r"key1=\003h2",
            "no-default-alpn",
            "port=53",
            "port=65536",
            r"key3=\000\053",
            "ipv4hint=192.0.2.1,192.0.2.2",
            "ipv4hint=",
            "ech=AEX+DQBBpQAgACA=",
            "ech=",
            "ipv6hint=2001:db8::1",
            r"key4=abcd",
            "dohpath=/dns-query{?dns}",
            "dohpath=/q{?dn}",
            "key7=/{+dns*,b:4}",
            "mandatory=alpn",
            "mandatory=port,alpn",
            "mandatory=key3",
            "mandatory=key999",
            r"key0=\000\001",
            "key999=",
            r#"key999="a b;\"\\\000,""#,
            "key65535=x",
            "key8",
            "key009=x",
        ];
        self.several(0, |grammar| grammar.pick(&some).to_owned())
    }

    /// One of the type, in half of all cases with a word changed.
    fn data(&mut self, words: &[Word]) -> String {
        let text: Vec<String> = words.iter().map(|word| self.word(*word)).collect();
        let text = text.join(" ");
        if text.contains('"') || self.random.below(2) == 0 {
            return text;
        }
        let mut words: Vec<&str> = text.split_whitespace().collect();
        let at = self.random.below(words.len());
        let odd = self.pick(&ODD);
        match self.random.below(4) {
            0 if !words.is_empty() => drop(words.remove(at)),
            1 => words.insert(at, odd),
            2 if !words.is_empty() => words[at] = odd,
            _ => words.push(odd),
        }
        words.join(" ")
    }
}

/// One record to ask about.
struct Case {
    mnemonic: &'static str,
    rtype: Rtype,
    text: String,
    ours: Option<Vec<u8>>,
}

impl Case {
    fn new(mnemonic: &'static str, text: String) -> Self {
        let rtype = parse_type(mnemonic).unwrap();
        let ours = parse_rdata(rtype, &text, &apex()).ok();
        Self { mnemonic, rtype, text, ours }
    }
}

fn apex() -> Name {
    "example".parse().unwrap()
}

fn cases(random: Random, texts: usize) -> Vec<Case> {
    let mut grammar = Grammar { random };
    let mut cases = vec![];
    for (mnemonic, words) in TYPES.iter().chain(&OLD) {
        let mut valid: Vec<Vec<u8>> = vec![];
        for _ in 0..texts {
            let case = Case::new(mnemonic, grammar.data(words));
            valid.extend(case.ours.clone());
            cases.push(case);
        }
        for _ in 0..texts {
            let which = grammar.random.below(valid.len());
            let mut wire = valid.get(which).cloned().unwrap_or_default();
            if grammar.random.below(4) > 0 {
                grammar.random.change(&mut wire);
            }
            let hex = wire.iter().fold(String::new(), |mut text, byte| {
                let _ = write!(text, "{byte:02X}");
                text
            });
            cases.push(Case::new(mnemonic, format!(r"\# {} {hex}", wire.len())));
        }
    }
    cases
}

/// A zone of one record at each name, `r0`, `r1` and so on, in the lines after the second.
fn zone<'t>(records: impl Iterator<Item = (usize, &'t str, &'t str)>) -> (String, BTreeMap<usize, usize>) {
    let mut text = "@ 300 IN SOA . . 1 2 3 4 5\n@ 300 IN NS .\n".to_owned();
    let mut lines = BTreeMap::new();
    for (line, (number, mnemonic, data)) in records.enumerate() {
        let _ = writeln!(text, "r{number} 300 IN {mnemonic} {data}");
        lines.insert(line + 3, number);
    }
    (text, lines)
}

struct Bind {
    folder: TempDir,
    program: PathBuf,
}

impl Bind {
    fn new() -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let sbin = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
        let mut found = std::env::split_paths(&path).chain(sbin).map(|folder| folder.join("named-compilezone"));
        let program = found.find(|path| path.is_file()).expect("named-compilezone, from the package bind9-utils");
        Self { folder: TempDir::new().unwrap(), program }
    }

    /// What it prints of a zone, or its complaints.
    fn compile(&self, zone: &str, format: &str) -> Result<Vec<u8>, String> {
        let (input, output) = (self.folder.path().join("zone"), self.folder.path().join("out"));
        std::fs::write(&input, zone).unwrap();
        let lenient = ["-k", "ignore", "-n", "ignore", "-r", "ignore", "-i", "none", "-M", "ignore", "-S", "ignore"];
        let mut run = Command::new(&self.program);
        run.args(lenient).args(["-T", "ignore", "-W", "ignore", "-F", format, "-o"]);
        let run = run.arg(&output).arg("example").arg(&input).output().unwrap();
        let said = String::from_utf8_lossy(&[run.stdout, run.stderr].concat()).into_owned();
        if run.status.success() { Ok(std::fs::read(&output).unwrap()) } else { Err(said) }
    }

    /// The bytes it makes of each record, read from its raw format; of those that it takes.
    fn wires(&self, records: &BTreeMap<usize, (&str, &str)>) -> BTreeMap<usize, Vec<u8>> {
        let mut left = records.clone();
        loop {
            let (text, lines) = zone(left.iter().map(|(number, (mnemonic, data))| (*number, *mnemonic, *data)));
            match self.compile(&text, "raw") {
                Ok(raw) => return raw_wires(&raw),
                Err(said) => {
                    let refused = refused_lines(&said);
                    assert!(!refused.is_empty(), "{said}");
                    let refused: Vec<&usize> = refused.iter().filter_map(|line| lines.get(line)).collect();
                    left.retain(|number, _| !refused.contains(&number));
                }
            }
        }
    }
}

/// Numbers of the lines that it complains about.
fn refused_lines(said: &str) -> BTreeSet<usize> {
    let number = |line: &str| line.split("zone:").nth(1)?.split(':').next()?.parse().ok();
    let remarks = ["warning", "signature has expired", "old style DNSSEC"];
    said.lines().filter(|line| !remarks.iter().any(|remark| line.contains(remark))).filter_map(number).collect()
}

/// Takes that many bytes off the front.
fn take<'a>(bytes: &mut &'a [u8], len: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(len);
    *bytes = rest;
    taken
}

fn number(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// BIND's raw format: a header, then each RRset with its length, class, type, covered type, TTL, count, owner and data.
fn raw_wires(raw: &[u8]) -> BTreeMap<usize, Vec<u8>> {
    let mut rest = &raw[24..];
    let mut wires = BTreeMap::new();
    while !rest.is_empty() {
        let length = number(&rest[..4]);
        let mut set = &take(&mut rest, length)[18..];
        let owner = number(take(&mut set, 2));
        let owner = Name::from_wire(take(&mut set, owner)).unwrap();
        let label =
            owner.labels().next().and_then(|label| std::str::from_utf8(label).ok()?.strip_prefix('r')?.parse().ok());
        let data = number(take(&mut set, 2));
        if let Some(number) = label {
            wires.insert(number, take(&mut set, data).to_vec());
        }
    }
    wires
}

/// Says for each line of type, bytes in hex and text whether it reads them as the same record.
const DNSPYTHON: &str = r"
import sys, dns.rdata
for line in sys.stdin:
    number, rdtype, wire = line.rstrip('\n').split('\t')
    try:
        wire = bytes.fromhex(wire)
        data = dns.rdata.from_wire(1, int(rdtype), wire, 0, len(wire))
        same = data.to_wire() == wire
        generic = dns.rdata.from_text(1, int(rdtype), '\\# %d %s' % (len(wire), wire.hex()))
        same = same and generic.to_wire() == wire
        print(number, 'ok' if same else 'other bytes')
    except Exception as error:
        print(number, type(error).__name__, str(error).replace('\n', ' '))
";

/// What dnspython has against each of these.
fn dnspython(records: &Taken) -> BTreeMap<usize, String> {
    // The one of Debian's package first: another in the path may lack it.
    let has_it = |python: &&str| {
        let run = Command::new(python).args(["-c", "import dns.rdata"]).stderr(Stdio::null()).status();
        run.is_ok_and(|status| status.success())
    };
    let python = ["/usr/bin/python3", "python3"].into_iter().find(has_it);
    let python = python.expect("python3 with dnspython, from the package python3-dnspython");
    let mut child =
        Command::new(python).args(["-c", DNSPYTHON]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let lines = records.iter().fold(String::new(), |mut lines, (number, (rtype, wire))| {
        let hex = wire.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        let _ = writeln!(lines, "{number}\t{}\t{hex}", rtype.to_int());
        lines
    });
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let said: BTreeMap<usize, String> = said
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(number, said)| (number.parse().unwrap(), said.to_owned()))
        .collect();
    assert_eq!(said.len(), records.len(), "dnspython says something of each");
    said.into_iter().filter(|(_, said)| said != "ok").collect()
}

/// What we read of BIND's text of a zone.
fn read(text: &[u8]) -> Result<BTreeMap<usize, Vec<u8>>, Vec<String>> {
    let mut wires = BTreeMap::new();
    let report = read_zone_bytes("bind", text, &apex(), &mut |record, _| {
        let label = record
            .owner
            .labels()
            .next()
            .and_then(|label| std::str::from_utf8(label).ok()?.strip_prefix('r')?.parse().ok());
        wires.extend(label.map(|number| (number, record.rdata.to_vec())));
        ControlFlow::Continue(())
    });
    report.map(|_| wires).map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

/// Collects what went wrong, so that one run tells all of it.
#[derive(Default)]
struct Verdict(Vec<String>);

impl Verdict {
    fn add(&mut self, what: &str, wrong: Vec<String>) {
        /// Of each kind.
        const SHOWN: usize = 60;
        if !wrong.is_empty() {
            let shown = wrong[..wrong.len().min(SHOWN)].join("\n  ");
            self.0.push(format!("{what}, {} cases:\n  {shown}", wrong.len()));
        }
    }
}

#[test]
fn what_is_taken_is_what_bind_and_dnspython_read() {
    let soak = std::env::var_os("ZONECAST_SOAK").is_some();
    let seed = if soak { seed_of_run() } else { number_from_environment("ZONECAST_SEED").unwrap_or(SEED) };
    println!("ZONECAST_SEED={seed}");
    let cases = cases(Random::new(seed), if soak { TEXTS_OF_SOAK } else { TEXTS });
    let of = |number: &usize| format!("{} {}", cases[*number].mnemonic, cases[*number].text);
    let taken: Taken = cases
        .iter()
        .enumerate()
        .filter_map(|(number, case)| Some((number, (case.rtype, case.ours.clone()?))))
        .collect();
    println!("{} cases, {} of them taken", cases.len(), taken.len());
    for (mnemonic, _) in TYPES.iter().chain(&OLD) {
        let count = taken.keys().filter(|number| cases[**number].mnemonic == *mnemonic).count();
        assert!(count > TEXTS / 6, "{mnemonic}: only {count} are valid");
    }

    let (bind, mut verdict) = (Bind::new(), Verdict::default());
    what_is_written(&bind, &cases, &taken, &mut verdict);
    let against = dnspython(&taken).into_iter().map(|(number, said)| format!("{}: {said}", of(&number)));
    verdict.add("taken, and dnspython does not read it", against.collect());

    // What BIND makes of the same texts.
    let lines = cases.iter().enumerate().map(|(number, case)| (number, (case.mnemonic, case.text.as_str()))).collect();
    let theirs = bind.wires(&lines);
    let both = theirs.iter().filter_map(|(number, wire)| Some((number, wire, taken.get(number)?)));
    let other = both.filter(|(_, wire, (_, ours))| *wire != ours).map(|(number, ..)| of(number));
    verdict.add("both take it, as other bytes", other.collect());
    let only_theirs = theirs.into_iter().filter(|(number, _)| !taken.contains_key(number));
    let only_theirs: Taken = only_theirs.map(|(number, wire)| (number, (cases[number].rtype, wire))).collect();
    let against = dnspython(&only_theirs);
    let without_need = only_theirs.iter().filter(|(number, _)| !against.contains_key(number));
    let without_need = without_need.filter_map(|(number, (rtype, wire))| {
        let rule = check_rdata(*rtype, wire).err().map_or_else(|| "only the text".to_owned(), |rule| rule.to_string());
        (!is_stricter(*rtype, &rule)).then(|| format!("{} ({rule})", of(number)))
    });
    verdict.add("BIND and dnspython take it, and we refuse it", without_need.collect());
    assert!(verdict.0.is_empty(), "{}", verdict.0.join("\n"));
}

/// Bytes of records by their number.
type Taken = BTreeMap<usize, (Rtype, Vec<u8>)>;

/// What we write of what we took, BIND reads as the same bytes, and we read so what BIND prints of it.
fn what_is_written(bind: &Bind, cases: &[Case], taken: &Taken, verdict: &mut Verdict) {
    let written: BTreeMap<usize, String> =
        taken.iter().map(|(number, (rtype, wire))| (*number, format_rdata(*rtype, wire))).collect();
    let mut lines: BTreeMap<usize, (&str, &str)> =
        written.iter().map(|(number, text)| (*number, (cases[*number].mnemonic, text.as_str()))).collect();
    let theirs = bind.wires(&lines);
    let shown =
        |number: &usize| format!("{} {}, written {}", cases[*number].mnemonic, cases[*number].text, written[number]);
    let other = taken.iter().filter(|(number, (_, wire))| theirs.get(number) != Some(wire));
    verdict
        .add("BIND does not read what is written as the same bytes", other.map(|(number, _)| shown(number)).collect());

    lines.retain(|number, _| theirs.contains_key(number));
    let (text, _) = zone(lines.iter().map(|(number, (mnemonic, data))| (*number, *mnemonic, *data)));
    match read(&bind.compile(&text, "text").unwrap()) {
        Ok(again) => {
            let other = theirs.iter().filter(|(number, wire)| again.get(number) != Some(wire));
            verdict.add("what BIND prints is read as other bytes", other.map(|(number, _)| shown(number)).collect());
        }
        Err(errors) => verdict.add("what BIND prints is not read", errors),
    }
}

/// Where we refuse what BIND and the dnspython of Debian 12 read: its newer versions do not, or the data means nothing.
fn is_stricter(rtype: Rtype, rule: &str) -> bool {
    match rtype {
        Rtype::TLSA | Rtype::SMIMEA | Rtype::SSHFP => {
            ["a digest of type", "ends early"].iter().any(|part| rule.contains(part))
        }
        // Families and formats that nobody has given a form.
        Rtype::APL | Rtype::ATMA => rule.contains("is not a"),
        Rtype::DS | Rtype::CDS | Rtype::DLV | Rtype::TA => rule.contains("digest"),
        Rtype::ZONEMD => rule.contains("reserved"),
        Rtype::SVCB | Rtype::HTTPS => {
            ["the value of ech", "the value of key8", "priority 0"].iter().any(|part| rule.contains(part))
        }
        Rtype::URI => rule.contains("target is empty"),
        Rtype::GPOS => rule.contains("decimal numbers"),
        Rtype::AMTRELAY => rule.contains("relay"),
        // Newer versions of BIND want a key, older ones none.
        Rtype::KEY => rule.contains("there is no key") || rule.contains("ends early"),
        Rtype::NAPTR => rule.contains("regular expression"),
        _ => false,
    }
}

#[test]
fn a_raw_zone_is_read_as_bind_writes_it() {
    let bind = Bind::new();
    let lines = BTreeMap::from([(7, ("A", "192.0.2.1")), (8, ("A", "192.0.2")), (9, ("TXT", "a"))]);
    let wires = bind.wires(&lines);
    assert_eq!(wires, BTreeMap::from([(7, vec![192, 0, 2, 1]), (9, b"\x01a".to_vec())]));
    assert!(Path::new(&bind.program).is_absolute());
}
