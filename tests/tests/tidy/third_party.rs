//! What crates of others bring: licences, crates that are there twice, and a compiler that is newer than ours.
//!
//! `deny.toml` says what is allowed; `cargo deny` reads the same file.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use crate::tree::root;

/// Where it is shipped to.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// A crate of others that is compiled.
#[derive(Clone, Debug, Default)]
struct Package {
    name: String,
    version: String,
    license: String,
    /// The oldest compiler that it takes.
    rust: Option<String>,
}

fn packages() -> Vec<Package> {
    let arguments = ["metadata", "--offline", "--locked", "--format-version", "1", "--filter-platform", TARGET];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let compiled: BTreeSet<&str> =
        metadata["resolve"]["nodes"].as_array().unwrap().iter().filter_map(|node| node["id"].as_str()).collect();
    let all = metadata["packages"].as_array().unwrap().iter();
    let of_others =
        all.filter(|package| package["source"].is_string() && compiled.contains(package["id"].as_str().unwrap()));
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let package = |package: &Value| Package {
        name: text(&package["name"]).unwrap(),
        version: text(&package["version"]).unwrap(),
        license: text(&package["license"]).unwrap_or_default(),
        rust: text(&package["rust_version"]),
    };
    of_others.map(package).collect()
}

fn settings() -> toml::Table {
    std::fs::read_to_string(root().join("deny.toml")).unwrap().parse().unwrap()
}

/// Whether an SPDX expression leaves a choice that is allowed. `/` is the old way to write OR.
fn is_allowed(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let expression = expression.replace('/', " OR ");
    expression.split(" AND ").all(|all| {
        let mut choices = all.trim_matches(['(', ')', ' ']).split(" OR ");
        choices.any(|choice| allowed.contains(choice.trim()))
    })
}

/// Major and minor number.
fn release(version: &str) -> (u64, u64) {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap_or_default())
}

fn wrong_licences(packages: &[Package], allowed: &BTreeSet<&str>) -> Vec<String> {
    let wrong = packages.iter().filter(|package| !is_allowed(&package.license, allowed));
    wrong.map(|Package { name, license, .. }| format!("{name}: licence {license:?}, see deny.toml")).collect()
}

/// Older versions of crates that are there more than once, and what deny.toml says of those that are not.
fn doubles(packages: &[Package], known: &BTreeSet<String>) -> Vec<String> {
    let mut versions: BTreeMap<&str, BTreeSet<(Vec<u64>, &str)>> = BTreeMap::new();
    for Package { name, version, .. } in packages {
        let numbers = version.split(['.', '-', '+']).filter_map(|number| number.parse().ok()).collect();
        versions.entry(name).or_default().insert((numbers, version));
    }
    let older = versions.into_iter().flat_map(|(name, versions)| {
        let count = versions.len();
        versions.into_iter().take(count - 1).map(move |(_, version)| format!("{name}@{version}"))
    });
    let older: BTreeSet<String> = older.collect();
    let new = older.difference(known).map(|double| format!("{double} is there beside a newer one, see deny.toml"));
    new.chain(known.difference(&older).map(|gone| format!("deny.toml: {gone} is no double any more"))).collect()
}

fn too_new(packages: &[Package], ours: &str) -> Vec<String> {
    let newer = |package: &&Package| package.rust.as_deref().is_some_and(|rust| release(rust) > release(ours));
    packages.iter().filter(newer).map(|package| format!("{} needs Rust {:?}", package.name, package.rust)).collect()
}

#[test]
fn others_bring_what_is_allowed_once_and_for_our_compiler() {
    let (packages, settings) = (packages(), settings());
    assert!(packages.len() > 100, "{}", packages.len());
    let allowed = settings["licenses"]["allow"].as_array().unwrap().iter().filter_map(toml::Value::as_str).collect();
    let skipped = settings["bans"]["skip"].as_array().unwrap().iter();
    let known = skipped.map(|skip| skip["crate"].as_str().unwrap().to_owned()).collect();
    let manifest: toml::Table = std::fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let ours = manifest["workspace"]["package"]["rust-version"].as_str().unwrap();
    let wrong = [wrong_licences(&packages, &allowed), doubles(&packages, &known), too_new(&packages, ours)];
    crate::assert_none(&wrong.concat());
}

#[test]
fn what_is_not_allowed_is_noticed() {
    let allowed = BTreeSet::from(["MIT", "ISC"]);
    for good in ["MIT", "GPL-3.0 OR MIT", "GPL-3.0/ISC", "(MIT OR X) AND ISC"] {
        assert!(is_allowed(good, &allowed), "{good}");
    }
    for bad in ["", "GPL-3.0", "MIT AND X", "(X OR Y) AND MIT"] {
        assert!(!is_allowed(bad, &allowed), "{bad}");
    }
    let package =
        |name: &str, version: &str| Package { name: name.into(), version: version.into(), ..Package::default() };
    let packages = [package("a", "1.9.0"), package("a", "1.10.0"), package("b", "1.0.0")];
    assert_eq!(
        doubles(&packages, &BTreeSet::from(["b@1.0.0".to_owned()])),
        ["a@1.9.0 is there beside a newer one, see deny.toml", "deny.toml: b@1.0.0 is no double any more",]
    );
    let needs = |rust: &str| Package { rust: Some(rust.into()), ..package("a", "1.0.0") };
    assert_eq!(too_new(&[needs("1.95"), needs("1.95.1"), needs("1.96"), needs("2.0")], "1.95").len(), 2);
}
