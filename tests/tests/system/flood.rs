//! Many clients that change keys as fast as they can: the core tells those to come back for whom there is no place, and
//! its memory stays bounded however many changes come.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use zonecast_tests::System;

use crate::http::Http;
use crate::voters::rounds;

const CHANGES: u64 = 4_000;
const CHANGES_OF_SOAK: u64 = 1_000_000;

/// More than the core works on for one client, so that some are told to come back.
const CLIENTS: u64 = 300;

/// Of a core that holds little: caches and write buffers of two databases, 512 requests, and what is on its way.
const MOST_MEMORY: u64 = 640 * 1024 * 1024;

const LOOK: Duration = Duration::from_millis(100);

#[test]
fn a_flood_of_changes_takes_bounded_memory() {
    let _alone = crate::heavy::alone();
    let mut system = System::new(0).unwrap();
    system.core.start_ready().unwrap();
    let address = system.core.http;
    let made = Http::new(address).call("PUT", "/v1/kv/flood", Some("{}")).unwrap();
    assert!(made.0 < 300, "{made:?}");
    let before = system.core.memory().unwrap();
    let (changes, next, most) = (rounds(CHANGES, CHANGES_OF_SOAK), AtomicU64::new(0), AtomicU64::new(before));
    let (done, busy, started) = (AtomicU64::new(0), AtomicU64::new(0), Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let core = Http::new(address);
                while next.fetch_add(1, Ordering::Relaxed) < changes {
                    let number = next.load(Ordering::Relaxed);
                    let path = format!("/v1/kv/flood/keys/{}", number % 10_000);
                    // Whoever finds no place asks again; the number of its change is used up.
                    match core.call("PUT", &path, Some(&"v".repeat(100))) {
                        Ok((200..300, _)) => done.fetch_add(1, Ordering::Relaxed),
                        Ok((429 | 503, _)) => busy.fetch_add(1, Ordering::Relaxed),
                        other => panic!("{other:?}"),
                    };
                }
            });
        }
        while next.load(Ordering::Relaxed) < changes {
            most.fetch_max(system.core.memory().unwrap(), Ordering::Relaxed);
            std::thread::park_timeout(LOOK);
        }
    });
    let [done, busy, most] = [done, busy, most].map(AtomicU64::into_inner);
    let mebibytes = |bytes: u64| bytes / (1024 * 1024);
    println!(
        "{changes} changes of {CLIENTS} clients in {:?}: {done} done, {busy} told to come back; memory {} MiB before, {} at \
         most",
        started.elapsed(),
        mebibytes(before),
        mebibytes(most)
    );
    assert!(done > changes / 4, "only {done} were done, {busy} were told to come back");
    assert!(most < MOST_MEMORY, "{} MiB, before {}", mebibytes(most), mebibytes(before));
}
