//! What a process and all its children use, as `/proc` says (proc(5)).

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

/// Ticks a second of `/proc/PID/stat`: 100 on every Linux that Debian ships (`getconf CLK_TCK`).
const TICKS: u32 = 100;

/// User and system time of a process and its children so far.
pub(crate) fn cpu_time(pid: u32) -> Duration {
    let ticks: u32 = tree(pid).into_iter().filter_map(ticks).sum();
    Duration::from_secs(1) * ticks / TICKS
}

/// Memory of a process and its children in bytes; what they share with each other counts once.
pub(crate) fn memory(pid: u32) -> u64 {
    tree(pid).into_iter().filter_map(proportional).sum()
}

fn tree(root: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if let Some(parent) = field(pid, 4) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut all = vec![root];
    let mut next = 0;
    while let Some(pid) = all.get(next).copied() {
        all.extend(children.get(&pid).into_iter().flatten());
        next += 1;
    }
    all
}

fn ticks(pid: u32) -> Option<u32> {
    Some(field(pid, 14)? + field(pid, 15)?)
}

/// A field of `/proc/PID/stat`, counted from 1. The second is a name that may hold anything.
fn field(pid: u32, number: usize) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
}

fn proportional(pid: u32) -> Option<u64> {
    let smaps = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = smaps.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_and_its_children_count() {
        let own = std::process::id();
        assert!(memory(own) > 100 * 1024, "{}", memory(own));
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        assert!(tree(own).contains(&child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
        let before = cpu_time(own);
        let deadline = std::time::Instant::now() + Duration::from_secs(30);
        while cpu_time(own) == before {
            assert!(std::time::Instant::now() < deadline, "time does not pass");
        }
    }
}
