//! A core that does not lead tells the leader of the edges that connect to it, so that receipts and waits of the leader
//! know of every edge of the cluster.

use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use zonecast_kv_core::{Core, FIRST_OTHER_KIND, Member};
use zonecast_kv_transport::{CoreStream, Publisher};

/// Kind of the streams for it.
pub(crate) const EDGE_NEWS: u8 = FIRST_OTHER_KIND + 1;

/// Between two looks at who leads, and two tries to reach it.
const AGAIN: Duration = Duration::from_millis(200);

/// Tells whoever leads, for as long as the publisher is there.
pub(crate) async fn tell_leader(core: Core, publisher: Weak<Publisher>) {
    while let Some(here) = publisher.upgrade() {
        if let Some(leader) = core.other_leader()
            && let Err(error) = tell(&core, here, &leader).await
        {
            tracing::debug!(%leader, %error, "the leader was not told of the edges that connect here");
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn tell(core: &Core, publisher: Arc<Publisher>, leader: &Member) -> io::Result<()> {
    let mut feed = publisher.edge_news();
    // Nobody may keep the publisher from ending.
    drop(publisher);
    let CoreStream { mut sender, mut receiver } = core.open(leader, EDGE_NEWS).await?;
    loop {
        tokio::select! {
            news = feed.next() => sender.send_all(news).await.map_err(io::Error::other)?,
            // It says nothing; this ends when it does not lead any more.
            ended = receiver.next() => return ended.map(drop).map_err(io::Error::other),
        }
    }
}

/// Books what another core tells, as long as this one leads.
pub(crate) async fn hear(core: Core, publisher: Weak<Publisher>, name: String, mut stream: CoreStream) {
    let Some(mut edges) = publisher.upgrade().filter(|_| core.leads()).map(|publisher| publisher.edge_reports()) else {
        return;
    };
    loop {
        let message = tokio::select! {
            message = stream.receiver.next() => message,
            () = core.lead_changed(false) => return,
        };
        match message {
            Ok(Some(message)) => {
                if let Err(error) = edges.take(&message) {
                    tracing::warn!(core = name, %error, "a core tells of its edges what makes no sense");
                    return;
                }
            }
            Ok(None) | Err(_) => return,
        }
    }
}
