//! The cores of `zonecast dev --voters`: where each is reached, and how several become one cluster.
//!
//! # Format
//! The file `voters` in the data folder has a line for each core: name, tab, QUIC address. Cores of a cluster know each
//! other by these addresses, so they stay over restarts. One core alone has no such file.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use zonecast_kv_core::{ClusterStatus, MemberRole};
use zonecast_service::exit::{Failure, Outcome};

use super::Stop;
use super::running_core::{CoreSetup, RunningCore};

/// Name of the file.
const FILE: &str = "voters";

/// Between two looks at who asks to join, and who votes.
const LOOK: Duration = Duration::from_millis(200);

/// For the first core to get the lead back after a restart.
const LEAD_WITHIN: Duration = Duration::from_secs(10);

/// What a core is called.
pub(super) fn name(number: usize) -> String {
    format!("core-{number}")
}

/// Where so many cores are reached; for one alone any port will do.
///
/// # Errors
/// The folder is of more cores, or its file cannot be read or written.
pub(super) fn addresses(folder: &Path, voters: usize) -> Outcome<Vec<SocketAddr>> {
    let file = folder.join(FILE);
    let mut addresses = match std::fs::read_to_string(&file) {
        Ok(text) => read(&text).ok_or_else(|| Failure::failed(format_args!("{}: it is damaged", file.display())))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => vec![],
        Err(error) => return Err(Failure::io("read", &file, &error)),
    };
    if addresses.len() > voters {
        let kept = addresses.len();
        return Err(Failure::usage(format_args!(
            "{} holds a cluster of {kept} cores: start it with --voters {kept}",
            folder.display()
        )));
    }
    if voters == 1 && addresses.is_empty() {
        return Ok(vec![(Ipv4Addr::LOCALHOST, 0).into()]);
    }
    while addresses.len() < voters {
        addresses.push(free_port()?);
    }
    let lines = addresses.iter().zip(1..).map(|(address, number)| format!("{}\t{address}\n", name(number)));
    std::fs::write(&file, lines.collect::<String>()).map_err(|error| Failure::io("write", &file, &error))?;
    Ok(addresses)
}

fn read(text: &str) -> Option<Vec<SocketAddr>> {
    text.lines().map(|line| line.split_once('\t')?.1.parse().ok()).collect()
}

/// A port that is free now.
///
/// # Errors
/// There is none.
pub(super) fn free_port() -> Outcome<SocketAddr> {
    let bound = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr());
    bound.map_err(|error| Failure::bind("QUIC", Ipv4Addr::LOCALHOST, &error))
}

/// Starts the other cores, lets them in, and waits until all vote and the first one leads. Those that run are in `others`,
/// whatever happens. Says no when asked to stop before.
///
/// # Errors
/// A core cannot start.
pub(super) async fn gather(
    first: &RunningCore,
    setups: Vec<CoreSetup>,
    others: &mut Vec<RunningCore>,
    stop: &Stop,
) -> Outcome<bool> {
    let voters = setups.len() + 1;
    let gathering = async {
        let mut starting: FuturesUnordered<_> = setups.into_iter().map(RunningCore::start).collect();
        while !starting.is_empty() {
            tokio::select! {
                Some(started) = starting.next() => others.push(started?),
                () = tokio::time::sleep(LOOK) => admit(first, others).await,
            }
        }
        while !is_whole(&first.core().cluster().await, voters) {
            tokio::time::sleep(LOOK).await;
        }
        lead(first, others).await;
        Ok(())
    };
    tokio::select! {
        gathered = gathering => gathered.map(|()| true),
        () = stop.asked() => Ok(false),
    }
}

/// Lets in whoever asks the core that leads.
async fn admit(first: &RunningCore, others: &[RunningCore]) {
    for core in [first].into_iter().chain(others).map(RunningCore::core).filter(|core| core.leads()) {
        for candidate in core.cluster().await.candidates {
            if let Err(error) = core.add_member(&candidate.name).await {
                tracing::info!(core = candidate.name, %error, "not let in yet");
            }
        }
    }
}

/// Whether so many vote, and one leads.
fn is_whole(cluster: &ClusterStatus, voters: usize) -> bool {
    let votes = cluster.members.iter().filter(|member| member.role == MemberRole::Voter);
    votes.count() == voters && !cluster.is_changing && cluster.leader.is_some()
}

/// Gives the lead to the first core, which imports the zones.
async fn lead(first: &RunningCore, others: &[RunningCore]) {
    while !first.core().leads() {
        for core in others.iter().map(RunningCore::core).filter(|core| core.leads()) {
            if let Err(error) = core.transfer_lead(&name(1), LEAD_WITHIN).await {
                tracing::info!(%error, "the first core does not lead yet");
            }
        }
        let _ = tokio::time::timeout(LOOK, first.core().lead_changed(true)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_stay_and_a_folder_does_not_shrink() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        assert_eq!(addresses(path, 1).unwrap(), ["127.0.0.1:0".parse().unwrap()]);
        let three = addresses(path, 3).unwrap();
        assert!(three.len() == 3 && three.iter().all(|address| address.port() != 0), "{three:?}");
        assert_eq!(addresses(path, 3).unwrap(), three);
        let five = addresses(path, 5).unwrap();
        assert_eq!(five.get(..3), Some(three.as_slice()));
        let message = addresses(path, 3).unwrap_err().message;
        assert!(message.contains("--voters 5"), "{message}");
        std::fs::write(path.join(FILE), "core-1 127.0.0.1:1\n").unwrap();
        assert!(addresses(path, 3).unwrap_err().message.contains("damaged"));
    }
}
