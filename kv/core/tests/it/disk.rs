//! Disks that fail and disks that hang, under a leader of three.

use std::path::PathBuf;
use std::time::Duration;

use zonecast_kv_core::{Outcome, Patience};

use super::site::{Node, Site, WITHIN, leader, voters};
use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// So much that RocksDB soon begins its next file. Says whether it is committed.
async fn write_large(node: &Node) -> bool {
    let batch = put(ZONE, "much", vec![7; 1024 * 1024 - 64]);
    match node.core.change(move |_, _| Ok::<_, ViewError>((batch, ()))).await {
        Ok(((), pending)) => matches!(pending.await, Outcome::Committed { .. }),
        Err(_) => false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_disk_fails_stops_and_another_one_leads() {
    let site = Site::new();
    let [a, b, c] = site.three().await;
    a.write("n").await;
    // RocksDB cannot begin its next file there.
    std::fs::rename(site.path("a").join("raft"), site.path("a").join("gone")).unwrap();
    for number in 0.. {
        assert!(number < 400, "its disk does not fail");
        if !write_large(&a).await {
            break;
        }
    }
    let why = tokio::time::timeout(WITHIN, a.core.stopped()).await.expect("it says that it has stopped");
    assert!(why.to_string().contains("raft"), "{why}");
    tokio::time::timeout(WITHIN, a.core.lead_changed(false)).await.expect("it does not lead any more");
    let nodes = [b, c];
    assert_eq!(leader(&nodes).await.write("n").await, 2);
}

/// RocksDB waits where it begins its next write-ahead log here, until somebody reads from the pipe with that name.
fn let_hang(folder: &Path) -> PathBuf {
    let files = folder.read_dir().unwrap().map(|file| PathBuf::from(file.unwrap().file_name()));
    let numbers = files.filter_map(|file| {
        let text = file.to_string_lossy().into_owned();
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        digits.parse::<u64>().ok()
    });
    let last = numbers.max().unwrap();
    let pipes = (last + 1..last + 40).map(|number| folder.join(format!("{number:06}.log")));
    let made = std::process::Command::new("mkfifo").args(pipes.map(|path| path.into_os_string())).status().unwrap();
    assert!(made.success());
    folder.join(format!("{:06}.log", last + 1))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_disk_hangs_hands_over_and_then_stops() {
    let site = Site::new();
    let patience = Patience { hand_over_after: SECOND, stop_after: 3 * SECOND, end_within: SECOND };
    let a = site.prepare("a").start_with(vec![], patience).await.unwrap();
    let (b, c) = (site.add(&a, "b").await, site.add(&a, "c").await);
    a.until(|cluster| voters(cluster) == ["a", "b", "c"]).await;
    a.write("n").await;
    let pipe = let_hang(&site.path("a").join("raft"));
    let nodes = [a, b, c];
    // Whoever leads: it may lose the lead before its disk hangs, and then gets so much as a follower.
    let writing = async {
        loop {
            write_large(leader(&nodes).await).await;
        }
    };
    let stopping = nodes[0].core.stopped();
    let stopped = async {
        tokio::select! {
            () = writing => None,
            why = stopping => Some(why),
        }
    };
    let why = tokio::time::timeout(WITHIN, stopped).await.expect("it says that it has stopped");
    assert!(matches!(why, Some(CoreError::DiskHangs)), "{why:?}");
    let [a, b, c] = nodes;
    let others = [b, c];
    assert_eq!(leader(&others).await.write("n").await, 2);
    // Nobody waits for the disk.
    let shut_down = tokio::time::timeout(WITHIN, a.core.shutdown()).await.expect("it ends");
    assert!(shut_down.is_err());
    assert_eq!(leader(&others).await.write("n").await, 3);
    // Its thread ends with an error then, and with it the test; whoever reads ends with the database.
    let reading = std::process::Command::new("sh").args(["-c", "cat \"$0\" >/dev/null 2>&1 &"]).arg(pipe).status();
    assert!(reading.unwrap().success());
}
