//! What must be there: for every group of names what was acknowledged last, and what may have come after it.
//!
//! One writer owns a group and changes all its names in one batch, so that a batch that is applied by half shows. A
//! write that was not answered is unknown, never absent: until everything is at rest any of them may hold.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use domain::base::iana::Rtype;
use serde_json::{Value, json};

use crate::http::{Http, NoAnswer};

/// Groups; the first half are single names, which are changed by single changes.
const GROUPS: usize = 12;

/// Names of a group that is changed by bursts.
const BURST: usize = 8;

const ZONES: [&str; 3] = ["one.test", "two.test", "three.test"];

/// The zone that is imported whole, again and again.
pub(super) const LARGE: &str = "large.test";

const APEX: &str = "@ 300 SOA ns hostmaster 1 7200 3600 1209600 60\n@ 300 NS ns\nns 300 A 192.0.2.53\n";

/// For every group of names, the write that was acknowledged last and the later writes that may have been done.
pub(super) struct Model {
    pub(super) groups: Vec<Group>,
    large: Mutex<Cell>,
    version: AtomicU64,
    acknowledged: AtomicU64,
    unknown: AtomicU64,
}

/// Names that always say the same.
pub(super) struct Group {
    pub(super) zone: &'static str,
    pub(super) names: Vec<String>,
    cell: Mutex<Cell>,
}

/// One value: a number, 0 being nothing there.
#[derive(Debug, Default)]
struct Cell {
    acknowledged: u64,
    /// Written after that, in order, and not answered.
    unknown: Vec<u64>,
    last: u64,
}

impl Cell {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.unknown.push(self.last);
        self.last
    }

    fn may_be(&self, found: u64) -> bool {
        found == self.acknowledged || self.unknown.contains(&found)
    }

    /// At rest: what is there is there, and what is not will never be.
    fn settle(&mut self, found: u64) {
        self.acknowledged = found;
        self.unknown.clear();
    }
}

/// What has become of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Acknowledged(u64),
    Refused,
    Unknown,
}

impl Fate {
    pub(super) fn of(answer: &Result<(u16, Value), NoAnswer>) -> Self {
        match answer {
            Ok((200, body)) => Self::Acknowledged(body["version"].as_u64().unwrap()),
            // Busy with an import, or overloaded: said before anything is proposed.
            Ok((429, _)) => Self::Refused,
            Ok((503, body)) if body["error"]["code"] == "busy" => Self::Refused,
            Ok((503, _)) | Err(NoAnswer::Unknown) => Self::Unknown,
            Err(NoAnswer::NotSent) => Self::Refused,
            Ok((status, body)) => panic!("a write was answered {status}: {body}"),
        }
    }
}

impl Group {
    /// The value that its writer writes next. What it said before is known: a writer waits for its answers.
    pub(super) fn next(&self) -> u64 {
        self.cell.lock().unwrap().next()
    }

    fn record_name(&self, name: &str) -> String {
        format!("{name}.{}", self.zone)
    }

    /// All of them, absolute.
    pub(super) fn absolute(&self) -> impl Iterator<Item = String> {
        self.names.iter().map(|name| self.record_name(name))
    }
}

impl Model {
    pub(super) fn new() -> Self {
        let group = |number: usize| {
            let count = if number < GROUPS / 2 { 1 } else { BURST };
            let names = (0..count).map(|name| format!("n{name}.g{number}")).collect();
            Group { zone: ZONES[number % ZONES.len()], names, cell: Mutex::default() }
        };
        let groups = (0..GROUPS).map(group).collect();
        Self { groups, large: Mutex::default(), version: 0.into(), acknowledged: 0.into(), unknown: 0.into() }
    }

    /// Makes the zones, each name saying 0.
    pub(super) fn make_zones(&self, api: &Http) {
        for zone in ZONES {
            let mut text = APEX.to_owned();
            for group in self.groups.iter().filter(|group| group.zone == zone) {
                group.names.iter().for_each(|name| text.push_str(&format!("{name} 60 TXT 0\n")));
            }
            let (status, written) = api.call("PUT", &format!("/v1/zones/{zone}"), Some(&text)).unwrap();
            assert_eq!(status, 200, "{written}");
        }
    }

    /// Notes what became of the last write of a group.
    pub(super) fn note(&self, group: &Group, value: u64, fate: Fate) {
        self.note_in(&mut group.cell.lock().unwrap(), value, fate);
    }

    fn note_in(&self, cell: &mut Cell, value: u64, fate: Fate) {
        match fate {
            Fate::Acknowledged(version) => {
                cell.settle(value);
                self.version.fetch_max(version, Ordering::Relaxed);
                self.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            Fate::Refused => cell.unknown.retain(|unknown| *unknown != value),
            Fate::Unknown => {
                self.unknown.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Imports the large zone with so many hosts, all of which have an address made from a new number.
    pub(super) fn import(&self, api: &Http, hosts: usize) {
        let number = self.large.lock().unwrap().next();
        let mut text = APEX.to_owned();
        let address = address_of(number);
        (0..hosts).for_each(|host| text.push_str(&format!("host-{host} 300 A {address}\n")));
        text.push_str(&format!("count 300 TXT {hosts}\n"));
        let answer = api.call("PUT", &format!("/v1/zones/{LARGE}?allow_shrink=true"), Some(&text));
        self.note_in(&mut self.large.lock().unwrap(), number, Fate::of(&answer));
    }

    /// At rest: every name says what was acknowledged last, or what was written after it; whole groups, whole zones.
    pub(super) fn compare_with_core(&self, api: &Http, round: &str) {
        for zone in ZONES {
            let page = api.get(&format!("/v1/zones/{zone}/records?type=TXT"));
            let rrsets = page["rrsets"].as_array().unwrap();
            for group in self.groups.iter().filter(|group| group.zone == zone) {
                let said = |name: &str| {
                    let name = json!(format!("{}.", group.record_name(name)));
                    let rrset = rrsets.iter().find(|rrset| rrset["name"] == name);
                    rrset.map(|rrset| rrset["data"][0].as_str().unwrap().trim_matches('"').parse::<u64>().unwrap())
                };
                let all: Vec<_> = group.names.iter().map(|name| said(name)).collect();
                let found = all[0].unwrap_or_else(|| panic!("{round}: {:?} of {zone} are gone", group.names));
                assert!(all.iter().all(|one| *one == all[0]), "{round}: a burst was applied by half: {all:?}");
                let mut cell = group.cell.lock().unwrap();
                assert!(cell.may_be(found), "{round}: {:?} of {zone} say {found}, but {cell:?}", group.names);
                cell.settle(found);
            }
        }
        self.compare_large(api, round);
    }

    fn compare_large(&self, api: &Http, round: &str) {
        let mut cell = self.large.lock().unwrap();
        let (status, text) = api.call("GET", &format!("/v1/zones/{LARGE}/file"), None).unwrap();
        if status == 404 {
            assert!(cell.may_be(0), "{round}: {LARGE} is gone, but {cell:?}");
            return;
        }
        let text = text.as_str().unwrap();
        let fields = || text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let hosts: Vec<_> =
            fields().filter(|line| line.first().is_some_and(|name| name.starts_with("host-"))).collect();
        let address = *hosts[0].last().unwrap();
        assert!(hosts.iter().all(|host| host.last() == Some(&address)), "{round}: {LARGE} is of two imports");
        let count = fields().find(|line| line.first().is_some_and(|name| name.starts_with("count"))).unwrap();
        let count = count.last().unwrap().trim_matches('"');
        assert_eq!(count, hosts.len().to_string(), "{round}: {LARGE} is not whole");
        let found = (1..=cell.last).find(|number| address_of(*number) == address).unwrap();
        assert!(cell.may_be(found), "{round}: {LARGE} is of import {found}, but {cell:?}");
        cell.settle(found);
    }

    /// At rest, and the core compared: an edge answers what the core holds.
    pub(super) fn compare_with_edge(&self, edge: SocketAddr, round: &str) {
        for group in &self.groups {
            let value = group.cell.lock().unwrap().acknowledged;
            for name in group.absolute() {
                let reply = crate::api::ask(edge, &name, Rtype::TXT);
                let said: Vec<_> = reply.answer.iter().map(super::readers::number_in).collect();
                assert_eq!(said, [Some(value)], "{round}: {name} at {edge}");
            }
        }
    }

    /// The last version that was acknowledged.
    pub(super) fn last_version(&self) -> u64 {
        self.version.load(Ordering::Relaxed)
    }

    /// How many writes were.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    pub(super) fn summary(&self) -> String {
        let unknown = self.unknown.load(Ordering::Relaxed);
        format!("{} writes acknowledged, {unknown} unknown, version {}", self.acknowledged(), self.last_version())
    }
}

fn address_of(number: u64) -> String {
    format!("10.{}.{}.1", number / 256, number % 256)
}
