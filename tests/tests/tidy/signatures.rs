//! What crates offer to others names no type of RocksDB, quinn or openraft: else whoever uses a crate depends on the same
//! release of them, and a new one of theirs breaks ours.
//!
//! kv/core is no exception, though it is the adapter to openraft: what it implements for openraft are private types, so
//! that all of openraft can stay behind `pub(crate)`, and `Core` offers outcomes and errors of its own.

use crate::arrows::contains_word;
use crate::tree::{File, Tree};

const HEAVY: &[&str] = &["rocksdb", "quinn", "openraft"];

/// Crates that others build on, by folder.
const OFFERING: &[&str] =
    &["kv/proto/", "kv/store/", "kv/transport/", "kv/core/", "kv/edge/", "edge/", "edge-reader/", "zonecast/"];

fn leaks(tree: &Tree) -> Vec<String> {
    let shipped = tree.shipped();
    let of_crate = |folder: &str| {
        let source = format!("{folder}src/");
        let files: Vec<&File> = shipped.iter().filter(|file| file.path.starts_with(&source)).collect();
        let aliases: Vec<String> = files.iter().flat_map(|file| aliases(&file.text)).collect();
        files.iter().flat_map(|file| leaks_of(file, &aliases)).collect::<Vec<String>>()
    };
    OFFERING.iter().flat_map(|folder| of_crate(folder)).collect()
}

/// Public parts of a file that name a heavy crate, or what the file has imported of one or under an alias.
fn leaks_of(file: &File, aliases: &[String]) -> Vec<String> {
    let mut names = imported(&file.text, aliases);
    names.extend(HEAVY.iter().map(|name| (*name).to_owned()));
    let leaks = |part: &String| names.iter().any(|name| contains_word(part, name));
    let parts = public_parts(&file.text).into_iter().filter(leaks);
    parts.map(|part| format!("{}: others see a type of a heavy crate: {part}", file.path)).collect()
}

/// Everything that others see of a file, as rustfmt writes it: signatures, fields, whole enums and traits, and what can be
/// converted into a type.
fn public_parts(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let begins =
        |line: &str| line.trim_start().starts_with("pub ") || (line.starts_with("impl") && line.contains("From<"));
    let starts = (0..lines.len()).filter(|at| begins(lines[*at]));
    starts.map(|at| public_part(&lines[at..])).collect()
}

/// What is public of the item that begins here.
fn public_part(lines: &[&str]) -> String {
    let first = lines[0].trim();
    let word = first.split_whitespace().nth(1).unwrap_or_default();
    let brace = format!("{}}}", &lines[0][..lines[0].len() - lines[0].trim_start().len()]);
    let is_end = |line: &str| match word {
        "use" | "type" | "const" | "static" if !first.contains(" fn ") => line.ends_with(';'),
        "enum" | "trait" => line == brace || line.ends_with("{}"),
        _ if first.starts_with("pub ") && first.ends_with(',') => true,
        _ => line.ends_with(['{', ';', '}']),
    };
    let end = lines.iter().position(|line| is_end(line)).unwrap_or(lines.len() - 1);
    let item = lines[..=end].iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
    match word {
        "const" | "static" => item.split(" = ").next().unwrap_or_default().to_owned(),
        "struct" => without_private_fields(&item),
        "enum" => {
            let variants: String = lines[1..=end].iter().map(|line| held_by_variant(line.trim())).collect();
            format!("{first}{variants}")
        }
        _ => item,
    }
}

/// A line of an enum without the name of its variant, which may be that of a type, and without texts of errors.
fn held_by_variant(line: &str) -> &str {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    if line.starts_with("#[") { "" } else { line.trim_start_matches(is_part) }
}

/// Of a struct whose fields have no names. Those of others begin lines of their own.
fn without_private_fields(item: &str) -> String {
    let (head, fields) = item.split_once('(').unwrap_or((item, ""));
    let public = fields.find("pub ").map_or("", |at| &fields[at..]);
    format!("{head}{public}")
}

/// Names that a file has imported from heavy crates, or of aliases of the own crate.
fn imported(text: &str, aliases: &[String]) -> Vec<String> {
    let mut names = Vec::new();
    for import in statements(text, "use ") {
        let is_heavy = HEAVY.contains(&root_of(&import));
        let words = import.split(|c: char| !c.is_alphanumeric() && c != '_').filter(is_type);
        names.extend(words.filter(|word| is_heavy || aliases.iter().any(|alias| alias == word)).map(str::to_owned));
    }
    names
}

/// Aliases of the types of heavy crates.
fn aliases(text: &str) -> Vec<String> {
    let imported = imported(text, &[]);
    let is_heavy = |alias: &&String| {
        HEAVY.iter().any(|name| contains_word(alias, name)) || imported.iter().any(|name| contains_word(alias, name))
    };
    let found = ["type ", "pub(crate) type "].iter().flat_map(|begin| statements(text, begin)).collect::<Vec<_>>();
    let name = |alias: &String| alias.split(|c: char| !c.is_alphanumeric() && c != '_').next().map(str::to_owned);
    found.iter().filter(is_heavy).filter_map(name).collect()
}

/// What stands between the beginning and the semicolon of statements outside of functions.
fn statements(text: &str, begin: &str) -> Vec<String> {
    let on_a_line = format!("\n{begin}");
    let first = text.strip_prefix(begin).into_iter();
    let others = text.match_indices(&on_a_line).map(|(at, found)| &text[at + found.len()..]);
    first.chain(others).filter_map(|rest| rest.split(';').next()).map(str::to_owned).collect()
}

fn root_of(import: &str) -> &str {
    import.split("::").next().unwrap_or_default()
}

/// Whether it is written as the names of types are.
fn is_type(word: &&str) -> bool {
    word.starts_with(char::is_uppercase) && word.contains(char::is_lowercase) || *word == "DB"
}

#[test]
fn signatures_name_no_type_of_heavy_crates() {
    let tree = Tree::of_project();
    let parts: usize = tree.shipped().iter().map(|file| public_parts(&file.text).len()).sum();
    assert!(parts > 1000, "only {parts} were found");
    crate::assert_none(&leaks(&tree));
}

#[test]
fn a_type_of_a_heavy_crate_is_noticed_wherever_others_see_it() {
    let leaking = [
        "pub async fn incoming(&self) -> Option<quinn::Incoming> {\n",
        "impl A {\n    pub const fn a(\n        &self,\n        of: quinn::B,\n    ) -> bool {\n",
        "pub enum A {\n    B(#[from] quinn::ReadError),\n}\n",
        "pub trait A {\n    fn b(&self) -> quinn::B;\n}\n",
        "pub struct A {\n    pub b: quinn::B,\n}\n",
        "pub struct A(u8, pub quinn::B);\n",
        "pub use quinn::{\n    A,\n    B,\n};\n",
        "pub type A = quinn::A;\n",
        "impl From<quinn::A> for B {\n",
        "use quinn::{Incoming, VarInt};\npub const REPLACED: VarInt = VarInt::from_u32(2);\n",
        "use crate::types::{Other, Raft};\npub fn raft(&self) -> &Raft {\n",
    ];
    let types = ("kv/core/src/types.rs", "use openraft::Config;\npub(crate) type Raft = Config<A>;\n");
    for text in leaking {
        let found = leaks(&Tree::of(&[("kv/core/src/a.rs", text), types]));
        assert_eq!(found.len(), 1, "{text}: {found:?}");
    }
    let sound = [
        "pub(crate) fn a(of: quinn::A) {}\nfn b() -> quinn::B {\n",
        "pub struct A(quinn::A);\npub struct B {\n    quinn: quinn::B,\n    pub a: u8,\n}\n",
        "enum A {\n    B(quinn::B),\n}\nuse quinn::VarInt;\npub const A: u32 = VarInt::MAX;\n",
        "pub fn raft(&self) -> Raft {\n",
        "// pub fn a() -> quinn::A;\n#[cfg(test)]\nmod tests {\n    pub fn a() -> quinn::A {}\n}\n",
    ];
    for text in sound {
        assert_eq!(leaks(&Tree::of(&[("kv/core/src/a.rs", text), types])), [] as [String; 0], "{text}");
    }
    assert_eq!(leaks(&Tree::of(&[("bench/src/a.rs", leaking[0])])), [] as [String; 0]);
}
