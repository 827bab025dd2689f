//! What a client makes of answers, of none, and of cores that are not there.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::types::{SettingsChange, StoreSettingsChange};
use crate::{Client, ClientError, ClientOptions, Patience};

const BUSY: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 49\r\n\r\n\
    {\"error\": {\"code\": \"busy\", \"message\": \"perhaps\"}}";
const UNKNOWN: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 52\r\n\r\n\
    {\"error\": {\"code\": \"unknown\", \"message\": \"perhaps\"}}";
const NO_LEADER: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 54\r\n\r\n\
    {\"error\": {\"code\": \"no_leader\", \"message\": \"perhaps\"}}";
const TOO_OLD: &str = "HTTP/1.1 422 Unprocessable Content\r\nContent-Length: 71\r\n\r\n\
    {\"error\": {\"code\": \"key_time\", \"message\": \"too old\", \"store_ms\": 5000}}";
const DONE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 51\r\n\r\n\
    {\"zone\": \"example.\", \"version\": 9, \"changed\": true}";

/// A core that reads a request for each of these answers, gives it, and hangs up. Where it listens, and what it was asked.
fn serve(answers: &'static [&'static str]) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, asked) = channel();
    std::thread::spawn(move || {
        for answer in answers {
            // A client that was hung up on looks whether TLS is spoken here.
            let (head, mut stream) = listener.incoming().find_map(|stream| request(stream.unwrap())).unwrap();
            // Nobody may want to know.
            let _ = tell.send(head);
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    (url, asked)
}

/// The head of a request, if it is HTTP.
fn request(mut stream: TcpStream) -> Option<(String, TcpStream)> {
    let mut heard = Vec::new();
    while !heard.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        heard.extend(byte);
        heard.first().filter(|first| first.is_ascii_uppercase())?;
    }
    Some((String::from_utf8(heard).unwrap(), stream))
}

/// A client of a core that answers once so.
fn once(answers: &'static [&'static str]) -> Client {
    Client::new(&serve(answers).0).retry_within(Duration::ZERO)
}

/// A URL where nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn cores(cores: &[&str]) -> Client {
    let cores: Vec<String> = cores.iter().copied().map(str::to_owned).collect();
    Client::of_cores(&cores, ClientOptions::default()).unwrap()
}

fn delete(client: &Client) -> Result<u64, ClientError> {
    client.delete_zone("example", false, Patience::default()).map(|written| written.version)
}

/// The key of a request.
fn key(head: &str) -> &str {
    head.lines().find_map(|line| line.strip_prefix("idempotency-key: ")).unwrap()
}

#[test]
fn nobody_listening_is_unreachable() {
    let client = Client::new(&format!("{}/", nobody()));
    let error = client.status().unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
    let error = delete(&client).unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
}

#[test]
fn the_next_core_is_asked_when_one_is_not_there() {
    let error = delete(&cores(&[&nobody(), &serve(&[BUSY]).0])).unwrap_err();
    assert!(matches!(error, ClientError::Refused { .. }), "{error:?}");
    // A read is asked again.
    let error = cores(&[&serve(&[""]).0, &serve(&[BUSY]).0]).status().unwrap_err();
    assert!(matches!(error, ClientError::Refused { .. }), "{error:?}");
    let (one, other) = (nobody(), nobody());
    let error = delete(&cores(&[&one, &other])).unwrap_err();
    assert!(matches!(&error, ClientError::Unreachable { core, .. } if *core == format!("{one}, {other}")), "{error:?}");
    assert!(Client::of_cores(&[], ClientOptions::default()).is_err());
}

#[test]
fn a_write_is_asked_for_again_under_the_same_key_until_its_outcome_is_known() {
    // The connection ends, the next core knows no leader, then it does not know, then it has done it.
    let (one, first) = serve(&["", UNKNOWN]);
    let (other, then) = serve(&[NO_LEADER, BUSY, DONE]);
    assert_eq!(delete(&cores(&[&one, &other])).unwrap(), 9);
    let asked: Vec<String> = [first.recv(), then.recv(), first.recv(), then.recv()].map(Result::unwrap).into();
    assert!(asked.iter().all(|head| key(head) == key(&asked[0])), "{asked:?}");
    // Another write has another key, and one that is surely not done is not asked for again.
    let (core, asked) = serve(&[BUSY, BUSY]);
    for _ in 0..2 {
        let error = delete(&Client::new(&core)).unwrap_err();
        assert!(matches!(error, ClientError::Refused { .. }), "{error:?}");
    }
    assert_ne!(key(&asked.recv().unwrap()), key(&asked.recv().unwrap()));
}

#[test]
fn a_client_whose_clock_is_wrong_makes_its_key_by_the_clock_of_the_core() {
    let (core, asked) = serve(&[TOO_OLD, DONE]);
    assert_eq!(delete(&Client::new(&core)).unwrap(), 9);
    let [first, second] = [asked.recv().unwrap(), asked.recv().unwrap()];
    assert!(key(&first) != key(&second) && key(&second).starts_with("00000000-1388-7"), "{second}");
}

#[test]
fn a_write_that_was_sent_and_has_no_answer_is_not_called_undone() {
    let broken: [&'static [&'static str]; 5] = [
        &[""],
        &["HTTP/1.1 200 OK\r\nContent-"],
        &["HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"zone\": "],
        &["HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\noops"],
        &[UNKNOWN],
    ];
    for answer in broken {
        let error = delete(&once(answer)).unwrap_err();
        assert!(matches!(error, ClientError::Unknown { .. }), "{answer:?}: {error:?}");
        assert!(error.to_string().contains("not known"), "{error}");
    }
    let refused: [&'static [&'static str]; 2] = [&["HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\noops"], &[BUSY]];
    for answer in refused {
        let error = delete(&once(answer)).unwrap_err();
        assert!(matches!(error, ClientError::Foreign { .. } | ClientError::Refused { .. }), "{answer:?}: {error:?}");
    }
    let core = || once(&[""]);
    let writes = [
        core().expect_edge("edge-1", "edge").map(drop),
        core().forget_edge("edge-1", "edge").map(drop),
        core().change_settings("example", &SettingsChange::default()).map(drop),
        core().change_store_settings(&StoreSettingsChange::default()).map(drop),
    ];
    for (number, written) in writes.into_iter().enumerate() {
        assert!(matches!(written, Err(ClientError::Unknown { .. })), "{number}: {written:?}");
    }
    let read = once(&[""]).status().unwrap_err();
    assert!(matches!(read, ClientError::Unreachable { .. }), "{read:?}");
}
