//! With several addresses: in a network namespace of its own, which the test makes by running itself again there.

use std::net::{SocketAddr, UdpSocket};
use std::num::NonZeroUsize;
use std::process::Command;
use std::sync::Arc;

use domain::base::iana::Rcode;
use prometheus::Registry;
use zonecast_dns::{Bound, Limits, Metrics, Server};

use crate::{DEADLINE, Shared, query, read};

/// Set in the copy of this process that runs inside.
const INSIDE: &str = "ZONECAST_TEST_NAMESPACE";

/// Runs a test inside; `true` when this is the copy there.
fn is_inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        ip("link set lo up");
        return true;
    }
    let mut again = Command::new("unshare");
    again.args(["--net", "--map-root-user"]).arg(std::env::current_exe().unwrap());
    let output = again.args(["--exact", "--nocapture", test]).env(INSIDE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "it takes root or user namespaces: {said}");
    false
}

/// ip(8).
fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output().expect("iproute2 is installed");
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

fn serve(address: &str) -> Server {
    let shared = Arc::new(Shared::default());
    shared.publish(1);
    let bound = Bound::bind(address.parse().unwrap(), NonZeroUsize::MIN).unwrap();
    bound.start(shared, Limits::default(), Metrics::new(&Registry::new()).unwrap()).unwrap()
}

/// Asks from one address at another, as a resolver that takes answers from nowhere else.
fn ask(from: &str, server: SocketAddr, id: u16) {
    let socket = UdpSocket::bind((from, 0)).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket.connect(server).unwrap();
    socket.send(&query(id, "example.")).unwrap();
    let mut buffer = [0; 512];
    let len = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("{from} asks {server}: {error}"));
    assert_eq!(read(&buffer[..len]), (id, Rcode::NOERROR, Some(1)));
}

#[tokio::test]
async fn answers_leave_from_the_address_that_was_asked() {
    if !is_inside("namespace::answers_leave_from_the_address_that_was_asked") {
        return;
    }
    for address in ["192.0.2.1/32", "192.0.2.2/32", "2001:db8::1/128", "2001:db8::2/128"] {
        ip(&format!("address add {address} dev lo"));
    }
    for (any, one, other) in [("0.0.0.0:0", "192.0.2.1", "192.0.2.2"), ("[::]:0", "2001:db8::1", "2001:db8::2")] {
        let server = serve(any);
        let port = server.local_addr().port();
        tokio::task::spawn_blocking(move || {
            // Bursts of one address and of several.
            for id in 0..200 {
                for (from, to) in [(one, other), (other, one), (one, one), (other, other)] {
                    ask(from, (to.parse::<std::net::IpAddr>().unwrap(), port).into(), id);
                }
            }
            let asking = |from: &'static str, to: &'static str| {
                std::thread::spawn(move || {
                    (0..200).for_each(|id| ask(from, (to.parse::<std::net::IpAddr>().unwrap(), port).into(), id));
                })
            };
            let threads = [asking(one, other), asking(other, one), asking(one, one), asking(other, other)];
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        })
        .await
        .unwrap();
        server.shutdown().await;
    }
}

#[tokio::test]
async fn an_address_that_comes_later_is_served_then() {
    if !is_inside("namespace::an_address_that_comes_later_is_served_then") {
        return;
    }
    for (address, bind) in [("192.0.2.9", "192.0.2.9:0"), ("2001:db8::9", "[2001:db8::9]:0")] {
        let server = serve(bind);
        let to = server.local_addr();
        ip(&format!("address add {address} dev lo"));
        tokio::task::spawn_blocking(move || ask(address, to, 7)).await.unwrap();
        server.shutdown().await;
    }
}
