//! How the cores of `zonecast dev --processes --voters` become a cluster: whoever asks to join is let in.

use std::time::Duration;

use zonecast_api::Client;
use zonecast_api::types::ClusterInfo;
use zonecast_service::exit::{Failure, Outcome};

use super::processes::{Running, check_running};
use super::{Stop, voters};
use crate::config::CoreFile;

/// Between two looks at who asks to join, and who votes.
const LOOK: Duration = Duration::from_millis(200);

/// Waits until all of them vote, and says the number of the one that leads, counted from 0. Nothing, when it was asked to
/// stop.
///
/// # Errors
/// One of them ends instead.
pub(super) async fn gather(files: &[CoreFile], children: &mut [Running], stop: &Stop) -> Outcome<Option<usize>> {
    let clients: Vec<Client> = files.iter().map(|core| Client::new(&format!("http://{}", core.http.listen))).collect();
    while !stop.is_asked() {
        check_running(children)?;
        let clients = clients.clone();
        let looked = tokio::task::spawn_blocking(move || look(&clients)).await.map_err(Failure::failed)?;
        if let Some(leader) = looked {
            return Ok(Some(leader));
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(None)
}

/// Lets in whoever asks, and says who leads once all vote.
fn look(clients: &[Client]) -> Option<usize> {
    // One that waits to be let in has no API yet.
    let known = clients.iter().find_map(|client| client.cluster().ok())?;
    let number = (1..=clients.len()).find(|number| known.leader == Some(voters::name(*number)))?;
    let leader = clients.get(number - 1)?;
    let cluster = leader.cluster().ok()?;
    for candidate in &cluster.asking {
        if let Err(error) = leader.add_core(&candidate.name) {
            tracing::info!(core = candidate.name, %error, "not let in yet");
        }
    }
    is_whole(&cluster, clients.len()).then_some(number - 1)
}

fn is_whole(cluster: &ClusterInfo, voters: usize) -> bool {
    cluster.voters == voters as u64 && !cluster.changing
}
