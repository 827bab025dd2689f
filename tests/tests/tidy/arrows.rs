//! Who may depend on whom, who links what is heavy, and what pure crates do without.

use std::process::Command;

use serde_json::Value;

use crate::tree::{File, Tree, root};

/// Crates of ours that a package may use, other than those only its tests use.
const ARROWS: &[(&str, &[&str])] = &[
    ("zonecast-kv-proto", &[]),
    ("zonecast-kv-store", &["zonecast-kv-proto"]),
    ("zonecast-kv-transport", &["zonecast-kv-proto"]),
    ("zonecast-kv-core", &["zonecast-kv-proto", "zonecast-kv-store", "zonecast-kv-transport"]),
    ("zonecast-kv-edge", &["zonecast-kv-proto", "zonecast-kv-store", "zonecast-kv-transport"]),
    ("zonecast-kv-mirror", &["zonecast-kv-proto"]),
    ("zonecast-records", &["zonecast-kv-proto"]),
    ("zonecast-builder", &["zonecast-kv-proto", "zonecast-records"]),
    ("zonecast-edge-reader", &["zonecast-kv-proto", "zonecast-records"]),
    ("zonecast-keyspaces", &["zonecast-kv-proto"]),
    (
        "zonecast-edge",
        &[
            "zonecast-kv-proto",
            "zonecast-kv-transport",
            "zonecast-kv-edge",
            "zonecast-records",
            "zonecast-edge-reader",
            "zonecast-keyspaces",
        ],
    ),
    ("zonecast-dns", &["zonecast-kv-proto", "zonecast-records", "zonecast-edge-reader"]),
    ("zonecast-ingest", &["zonecast-kv-proto", "zonecast-records", "zonecast-builder"]),
    ("zonecast-compare", &[]),
    ("zonecast-hickory", &["zonecast-edge"]),
    ("zonecast-c", &["zonecast-edge"]),
    ("zonecast-embed-examples", &["zonecast-edge", "zonecast-hickory", "zonecast-ingest"]),
    ("zonecast-api", &["zonecast-kv-proto"]),
    (
        "zonecast-service",
        &[
            "zonecast-kv-proto",
            "zonecast-kv-store",
            "zonecast-kv-transport",
            "zonecast-kv-core",
            "zonecast-kv-edge",
            "zonecast-records",
            "zonecast-builder",
            "zonecast-keyspaces",
            "zonecast-edge",
            "zonecast-ingest",
            "zonecast-api",
        ],
    ),
    ("zonecast", CRATES.split_at(16).0),
    ("zonecast-bench", &CRATES),
    ("zonecast-tests", CRATES.split_at(17).0),
];

/// Those that others use, the highest last. The harness starts the same processes as the tests.
const CRATES: [&str; 18] = [
    "zonecast-kv-proto",
    "zonecast-kv-store",
    "zonecast-kv-transport",
    "zonecast-kv-core",
    "zonecast-kv-edge",
    "zonecast-kv-mirror",
    "zonecast-records",
    "zonecast-builder",
    "zonecast-edge-reader",
    "zonecast-keyspaces",
    "zonecast-edge",
    "zonecast-dns",
    "zonecast-ingest",
    "zonecast-compare",
    "zonecast-api",
    "zonecast-service",
    "zonecast",
    "zonecast-tests",
];

/// Dependencies that exactly one package has, in its tests too. The harness measures a bare QUIC stream and openraft alone as
/// limits.
const HEAVY: &[(&str, &[&str])] = &[
    ("rocksdb", &["zonecast-kv-store"]),
    ("quinn", &["zonecast-kv-transport", "zonecast-bench"]),
    ("openraft", &["zonecast-kv-core", "zonecast-bench"]),
    ("object_store", &["zonecast-kv-mirror"]),
    ("reqwest", &["zonecast-kv-mirror"]),
];

/// What whoever embeds an edge does not get, not even through others: consensus, HTTP, a command line, DNS sockets.
const NOT_EMBEDDED: &[&str] = &[
    "openraft",
    "axum",
    "hyper",
    "ureq",
    "object_store",
    "clap",
    "zonecast-kv-core",
    "zonecast-kv-mirror",
    "zonecast-dns",
    "zonecast-builder",
    "zonecast-service",
    "zonecast",
];

const PURE: &[(&str, &str)] = &[
    ("zonecast-kv-proto", "kv/proto/"),
    ("zonecast-records", "records/"),
    ("zonecast-builder", "builder/"),
    ("zonecast-edge-reader", "edge-reader/"),
    ("zonecast-keyspaces", "keyspaces/"),
];

const IMPURE_DEPENDENCIES: &[&str] =
    &["tokio", "mio", "socket2", "rustix", "libc", "tempfile", "rand", "fastrand", "getrandom", "ureq", "axum"];

const IMPURE_MODULES: &[&str] = &["fs", "net", "env", "process", "thread"];
const IMPURE_WORDS: &[&str] = &["Instant", "SystemTime", "rand::", "tokio"];

struct Package {
    name: String,
    /// Name and kind: none for normal ones, else `dev` or `build`.
    dependencies: Vec<(String, Option<String>)>,
    description: Option<String>,
    license: Option<String>,
    repository: Option<String>,
    published: bool,
}

fn packages() -> Vec<Package> {
    let arguments = ["metadata", "--no-deps", "--offline", "--format-version", "1"];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let package = |package: &Value| Package {
        name: text(&package["name"]).unwrap(),
        dependencies: package["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .map(|dependency| (text(&dependency["name"]).unwrap(), text(&dependency["kind"])))
            .collect(),
        description: text(&package["description"]),
        license: text(&package["license"]),
        repository: text(&package["repository"]),
        published: package["publish"].as_array().is_none_or(|registries| !registries.is_empty()),
    };
    metadata["packages"].as_array().unwrap().iter().map(package).collect()
}

fn wrong_arrows(packages: &[Package]) -> Vec<String> {
    let mut violations = Vec::new();
    for Package { name, dependencies, .. } in packages {
        let Some((_, allowed)) = ARROWS.iter().find(|(package, _)| package == name) else {
            violations.push(format!("{name}: a crate without a line in the table of arrows"));
            continue;
        };
        let ours = |name: &str| name == "zonecast" || name.starts_with("zonecast-");
        for (dependency, kind) in dependencies {
            // What tests use may not point back up either, or there is a cycle.
            let upwards = kind.is_some() && reaches(dependency, name);
            if ours(dependency) && (upwards || (kind.is_none() && !allowed.contains(&dependency.as_str()))) {
                violations.push(format!("{name}: must not depend on {dependency}"));
            }
            if name.starts_with("zonecast-kv") && (dependency == "domain" || dependency.starts_with("hickory")) {
                violations.push(format!("{name}: knows bytes, never DNS, but depends on {dependency}"));
            }
            if HEAVY.iter().any(|(heavy, owners)| heavy == dependency && !owners.contains(&name.as_str())) {
                violations.push(format!("{name}: {dependency} belongs to one crate only"));
            }
            let pure = PURE.iter().any(|(package, _)| package == name);
            if pure && kind.is_none() && IMPURE_DEPENDENCIES.contains(&dependency.as_str()) {
                violations.push(format!("{name}: is pure, but depends on {dependency}"));
            }
        }
    }
    violations
}

/// Every package that is linked into a user of `package`, with its features.
fn linked(package: &str) -> Vec<(String, String)> {
    let arguments =
        ["tree", "--offline", "--edges", "normal", "--prefix", "none", "--format", "{p} {f}", "-p", package];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    // `name v1.2.3 (folder) feature,feature (*)`
    let package = |line: &str| {
        let (name, rest) = line.split_once(' ')?;
        Some((name.to_owned(), rest.trim_end_matches(" (*)").rsplit(' ').next()?.to_owned()))
    };
    text.lines().filter_map(package).collect()
}

fn too_much_to_embed(linked: &[(String, String)]) -> Vec<String> {
    let network = |name: &str, features: &str| name == "domain" && features.split(',').any(|one| one == "net");
    let is_too_much =
        |(name, features): &&(String, String)| NOT_EMBEDDED.contains(&name.as_str()) || network(name, features);
    linked.iter().filter(is_too_much).map(|(name, features)| format!("zonecast-edge links {name} {features}")).collect()
}

/// Whether `from` is `to` or may use it, directly or not.
fn reaches(from: &str, to: &str) -> bool {
    let next = ARROWS.iter().find(|(package, _)| *package == from);
    from == to || next.is_some_and(|(_, allowed)| allowed.iter().any(|next| reaches(next, to)))
}

fn incomplete_metadata(packages: &[Package]) -> Vec<String> {
    let mut violations = Vec::new();
    for package in packages {
        let fields = [("description", &package.description), ("license", &package.license)];
        let fields = fields.into_iter().chain(package.published.then_some(("repository", &package.repository)));
        for (field, value) in fields {
            if value.as_ref().is_none_or(String::is_empty) {
                violations.push(format!("{}: no {field}", package.name));
            }
        }
    }
    violations
}

fn impurities(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    let pure = |path: &str| PURE.iter().any(|(_, folder)| path.starts_with(&format!("{folder}src/")));
    for File { path, text } in tree.shipped().iter().filter(|file| pure(&file.path)) {
        for (number, line) in (1..).zip(text.lines()) {
            let grouped = line.trim().strip_prefix("use std::{").unwrap_or_default();
            let parts: Vec<&str> = grouped.split([',', '}', ' ']).filter_map(|part| part.split("::").next()).collect();
            let module = IMPURE_MODULES
                .iter()
                .find(|module| contains_word(line, &format!("std::{module}")) || parts.contains(module));
            let word = IMPURE_WORDS.iter().find(|word| contains_word(line, word));
            if let Some(what) = module.or(word) {
                violations.push(format!("{path}:{number}: a pure crate mentions {what}"));
            }
        }
    }
    violations
}

/// Whether `word` stands in `line` and is not part of a longer identifier.
pub(crate) fn contains_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let after = &line[at + word.len()..];
        !line[..at].ends_with(is_part) && (!word.ends_with(is_part) || !after.starts_with(is_part))
    })
}

#[test]
fn crates_depend_in_one_direction() {
    crate::assert_none(&wrong_arrows(&packages()));
}

#[test]
fn packages_say_what_they_are() {
    crate::assert_none(&incomplete_metadata(&packages()));
    for license in ["LICENSE-APACHE", "LICENSE-MIT"] {
        assert!(root().join(license).is_file(), "{license} is missing");
    }
}

#[test]
fn pure_crates_touch_no_clock_socket_or_file() {
    crate::assert_none(&impurities(&Tree::of_project()));
}

#[test]
fn an_embedded_edge_brings_no_server() {
    let edge = linked("zonecast-edge");
    assert!(["zonecast-edge-reader", "quinn", "domain"].iter().all(|must| edge.iter().any(|(name, _)| name == must)));
    crate::assert_none(&too_much_to_embed(&edge));
    assert!(too_much_to_embed(&linked("zonecast")).len() > 5);
    let networked = ("domain".to_owned(), "bytes,net,std".to_owned());
    assert_eq!(too_much_to_embed(&[networked]).len(), 1);
}

/// Whoever only asks a core builds in seconds.
#[test]
fn a_client_of_the_api_brings_no_store_and_no_server() {
    let client: Vec<String> = linked("zonecast-api").into_iter().map(|(name, _)| name).collect();
    assert!(client.iter().any(|name| name == "ureq"));
    let heavy = ["rocksdb", "quinn", "openraft", "tokio", "axum", "hyper", "clap", "zonecast-builder"];
    let brought: Vec<&str> = heavy.into_iter().filter(|heavy| client.iter().any(|name| name == heavy)).collect();
    assert!(brought.is_empty(), "{brought:?}");
    let binary = linked("zonecast");
    assert!(heavy.iter().all(|heavy| binary.iter().any(|(name, _)| name == heavy)), "the list names what is there");
}

#[test]
fn wrong_arrows_are_noticed() {
    let package = |name: &str, dependencies: &[(&str, Option<&str>)]| Package {
        name: name.to_owned(),
        dependencies: dependencies.iter().map(|(name, kind)| ((*name).to_owned(), kind.map(str::to_owned))).collect(),
        description: Some(String::new()),
        license: Some("MIT".to_owned()),
        repository: None,
        published: true,
    };
    let wrong = [
        package("zonecast-kv-store", &[("zonecast-records", None)]),
        package("zonecast-builder", &[("rocksdb", Some("dev"))]),
        package("zonecast-records", &[("tokio", None)]),
        package("zonecast-kv-proto", &[("zonecast-records", Some("dev"))]),
        package("zonecast-kv-edge", &[("domain", None)]),
        package("zonecast-new", &[]),
    ];
    for package in &wrong {
        assert_eq!(wrong_arrows(std::slice::from_ref(package)).len(), 1, "{}", package.name);
    }
    assert!(wrong_arrows(&[package("zonecast-records", &[("tokio", Some("dev")), ("domain", None)])]).is_empty());
    assert_eq!(incomplete_metadata(&wrong[..1]).len(), 2);
}

#[test]
fn impurities_are_noticed() {
    let tree = Tree::of(&[
        ("records/src/a.rs", "use std::fs::File;\nlet now = Instant::now();\nuse std::{fmt, net};\nfn operand() {}\n"),
        ("records/src/b.rs", "// std::fs\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n"),
        ("dns/src/a.rs", "use std::net::IpAddr;\n"),
    ]);
    assert_eq!(impurities(&tree).len(), 3);
}
