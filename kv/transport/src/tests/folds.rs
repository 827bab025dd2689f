//! What a publisher tells another node of many edges that keep up.

use zonecast_kv_proto::{EdgeTold, FOLD_FROM, Published, WaitFor};

use super::*;
use crate::FrameReceiver;

/// Reads until it has this version.
async fn until_given(receiver: &mut FrameReceiver) {
    loop {
        match receiver.next().await.unwrap() {
            Some(Frame::Version(_)) => return,
            Some(_) => {}
            None => panic!("closed"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn edges_that_keep_up_are_told_of_together() {
    let (below, above) = (World::new(), World::new());
    let mut edges = Vec::new();
    for number in 0..FOLD_FROM + 8 {
        let name = format!("edge-{number}");
        let connection = below.connect(&below.ca.issue(Role::Edge, &name).unwrap()).await;
        let (mut sender, receiver) = connection.open().await.unwrap();
        sender.send(&subscribe(&name, Some(origin()))).await.unwrap();
        sender.send(&Frame::Ack(Ack { incarnation: 1, ..Ack::default() })).await.unwrap();
        edges.push((connection, sender, receiver));
    }
    let (mut feed, mut reports) = (below.publisher.edge_news(), above.publisher.edge_reports());
    let mut steps = 0;
    let mut last = origin();
    for version in 1..=5 {
        let published = Published::after(&last, 0, vec![]).unwrap();
        last = published.follow(&last).unwrap();
        for world in [&below, &above] {
            world.publisher.publish(&published.to_bytes(), last);
        }
        for (_, sender, receiver) in &mut edges {
            until_given(receiver).await;
            let ack = Ack { incarnation: 1, applied: Version::new(version), ..Ack::default() };
            sender.send(&Frame::Ack(ack)).await.unwrap();
        }
        let told = async {
            // An edge counts once it is on record that it is expected.
            loop {
                above.publisher.recorded(&above.publisher.expected());
                let receipt = above.publisher.receipt(last.version);
                if (receipt.applied, receipt.of) == (edges.len(), edges.len()) {
                    return;
                }
                for message in feed.next().await {
                    steps += u64::from(matches!(EdgeTold::from_bytes(&message), Ok(EdgeTold::Step(_))));
                    reports.take(&message).unwrap();
                }
            }
        };
        tokio::time::timeout(PATIENCE, told).await.expect("not all of them are counted");
    }
    let all = above.publisher.wait(last.version, WaitFor::All, PATIENCE).await;
    assert_eq!(all.unwrap().took.map(|took| took.p50 <= took.max), Some(true));
    assert!(steps >= 4 && above.metrics.ack_steps.get() == steps, "{steps} steps");
    // Some of them are named more than once, as the first ones of them come before there are enough.
    let named = above.metrics.acks.get();
    assert!(named <= 4 * edges.len() as u64, "{named} acks of single edges");
    drop(reports);
    assert!(above.publisher.edges().iter().all(|edge| edge.report.link.away_since().is_some()), "they are away");
}
