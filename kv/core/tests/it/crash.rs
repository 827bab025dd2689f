//! A process that dies at once: what it acknowledged must be there. A second process: must be told so.
//!
//! The test binary runs itself as the child, told what to do by the environment.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use zonecast_kv_core::Outcome;

use super::{ZONE, follow, increment, number, put, read, start};

const FOLDER: &str = "ZONECAST_TEST_FOLDER";
const ROLE: &str = "ZONECAST_TEST_ROLE";

fn child(role: &str, folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["crash::child_process", "--exact", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Not a test: the body of the children.
#[tokio::test(flavor = "multi_thread")]
async fn child_process() {
    let (Ok(role), Ok(folder)) = (std::env::var(ROLE), std::env::var(FOLDER)) else { return };
    let started = start(Path::new(&folder)).await;
    if role == "second" {
        println!("\nsecond: {}", started.err().map_or("no error".into(), |error| error.to_string()));
        return;
    }
    let (core, _) = started.unwrap();
    let (tell, mut told) = tokio::sync::mpsc::channel(64);
    tokio::spawn(async move {
        for number in 0_u64.. {
            // Each change goes to two keys, in one batch: one of its own, and a count.
            let build = move |view: &dyn zonecast_kv_proto::View, _: &zonecast_kv_core::Editions<'_>| {
                let count = super::number(view, "count") + 1;
                let mut batch = put(ZONE, &format!("change {number}"), number.to_be_bytes());
                batch.sections[0].ops.extend(put(ZONE, "count", count.to_be_bytes()).sections.remove(0).ops);
                Ok::<_, ()>((batch, ()))
            };
            let (_, pending) = core.change(build).await.unwrap();
            tell.send((number, pending)).await.unwrap();
        }
    });
    let mut out = std::io::stdout();
    while let Some((number, pending)) = told.recv().await {
        assert!(matches!(pending.await, Outcome::Committed { .. }));
        writeln!(out, "\nacknowledged {number}").unwrap();
        out.flush().unwrap();
    }
}

fn acknowledged(line: &str) -> Option<u64> {
    line.strip_prefix("acknowledged ")?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_it_has_everything_it_acknowledged() {
    for kill_after in [1, 50, 400] {
        let folder = tempfile::tempdir().unwrap();
        let mut child = child("write", folder.path());
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut last = None;
        let mut line = String::new();
        while last.is_none_or(|last| last < kill_after) && lines.read_line(&mut line).unwrap() > 0 {
            last = acknowledged(line.trim()).or(last);
            line.clear();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let mut rest = String::new();
        lines.read_to_string(&mut rest).unwrap();
        // The last line may be cut off: only a whole one counts.
        let whole = rest.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let last = whole.lines().filter_map(acknowledged).next_back().or(last).expect("nothing was acknowledged");

        let (core, _) = start(folder.path()).await.unwrap();
        let view = core.view();
        for number in 0..=last {
            let found = read(&view, ZONE, &format!("change {number}"));
            assert_eq!(found, Some(number.to_be_bytes().to_vec()), "change {number} of {last} was acknowledged");
        }
        let count = number(&view, "count");
        assert!(count > last, "{count} of {last}");
        assert_eq!(core.position().version.get(), count, "every batch is there whole");
        assert_eq!(follow(&core), core.position());
        assert_eq!(increment(&core, "count").await.unwrap().0, count + 1);
        core.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_is_told_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let (core, _) = start(folder.path()).await.unwrap();
    let output = child("second", folder.path()).wait_with_output().unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    let line = output.lines().find(|line| line.starts_with("second: ")).unwrap();
    assert!(line.ends_with("raft is in use by another process"), "{line}");
    core.shutdown().await.unwrap();
}
