//! Streams between cores: messages, bytes, their limits, and how they end.

use futures_util::FutureExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::cluster::*;
use super::*;
use crate::protocol::Protocol;
use crate::quic_config::{ACK_WINDOW, MAX_CORE_STREAMS, STREAM_WINDOW};
use crate::{CoreStream, LinkError, MAX_MESSAGE, StreamError, TooLong};

#[tokio::test(flavor = "multi_thread")]
async fn messages_go_both_ways_in_order_whatever_their_length() {
    let cluster = Cluster::new();
    let stream = cluster.link().open(ECHO, PATIENCE).await.unwrap();
    let CoreStream { mut sender, mut receiver } = stream;
    let message = |number: usize, length: usize| Bytes::from(vec![u8::try_from(number).unwrap(); length]);
    let lengths = [0, 1, 70_000, 0, MAX_MESSAGE, 5, 1 << 20, 0];
    let sent: Vec<Bytes> = lengths.iter().enumerate().map(|(number, length)| message(number, *length)).collect();
    let all = sent.clone();
    let sending = tokio::spawn(async move {
        sender.send_all(all).await.unwrap();
        sender.send(Bytes::from_static(b"last")).await.unwrap();
        sender.finish().await.unwrap();
    });
    for message in &sent {
        assert!(receiver.next().await.unwrap().as_ref() == Some(message), "another than {}", message.len());
    }
    assert_eq!(receiver.next().await.unwrap(), Some(Bytes::from_static(b"last")));
    assert_eq!(receiver.next().await.unwrap(), None);
    sending.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_nobody_reads_holds_up_no_other() {
    let cluster = Cluster::new();
    let link = cluster.link();
    let mut blocked = link.open(HOLD, PATIENCE).await.unwrap();
    let much = Bytes::from(vec![0; MAX_MESSAGE]);
    let blocked = tokio::spawn(async move { blocked.sender.send_all([much.clone(), much]).await });
    let one = |number: u8| {
        let link = link.clone();
        async move {
            let mut stream = link.open(ECHO, PATIENCE).await.unwrap();
            for _ in 0..10 {
                let message = Bytes::from(vec![number; 10_000]);
                stream.sender.send(message.clone()).await.unwrap();
                assert_eq!(stream.receiver.next().await.unwrap(), Some(message));
            }
        }
    };
    let others: Vec<_> = (0..40).map(|number| tokio::spawn(one(number))).collect();
    for other in others {
        other.await.unwrap();
    }
    assert!(!blocked.is_finished());
    assert_eq!(cluster.one.metrics.core_connections.get(), 1);
    cluster.one.publisher.shutdown().await;
    assert!(blocked.await.unwrap().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_told_the_kind_and_the_peer() {
    let cluster = Cluster::new();
    assert_eq!(who(&cluster.link()).await, "one has a stream of kind 2 from core core-2");
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_go_both_ways_after_messages() {
    let cluster = Cluster::new();
    let mut stream = cluster.link().open(BYTES, PATIENCE).await.unwrap();
    // The service sends back what it gets, messages too.
    stream.sender.send(Bytes::from_static(b"a message")).await.unwrap();
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    // In one write with the beginning of the bytes, so that the receiver has read too far.
    let head = Bytes::from(bytes[..100].to_vec());
    stream.sender.half.quinn.write_all_chunks(&mut [head]).await.unwrap();
    assert_eq!(stream.receiver.next().await.unwrap(), Some(Bytes::from_static(b"a message")));
    let (mut read, mut write) = tokio::io::split(stream.into_io());
    let tail = bytes[100..].to_vec();
    let writing = tokio::spawn(async move {
        write.write_all(&tail).await.unwrap();
        write.shutdown().await.unwrap();
    });
    let mut back = Vec::new();
    read.read_to_end(&mut back).await.unwrap();
    assert!(back == bytes);
    writing.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_beyond_the_limit_ends_its_stream_and_no_other() {
    let cluster = Cluster::new();
    let link = cluster.link();
    let mut good = link.open(ECHO, PATIENCE).await.unwrap();
    let long = Bytes::from(vec![0; MAX_MESSAGE + 1]);
    let refused = good.sender.send_all([Bytes::from_static(b"short"), long]).await;
    assert!(matches!(refused, Err(StreamError::TooLong(TooLong(_)))), "{refused:?}");

    let mut io = link.open(ECHO, PATIENCE).await.unwrap().into_io();
    io.write_all(&[0xff; 8]).await.unwrap();
    let ended = tokio::time::timeout(PATIENCE, io.read_u8()).await.expect("it is still open");
    assert!(ended.is_err(), "the service answers it");
    assert!(
        cluster.one.service.until_failed().await.contains("4294967295"),
        "{}",
        cluster.one.service.until_failed().await
    );

    // Nothing of what was refused here has gone out.
    good.sender.send(Bytes::from_static(b"next")).await.unwrap();
    assert_eq!(good.receiver.next().await.unwrap(), Some(Bytes::from_static(b"next")));
}

#[tokio::test(flavor = "multi_thread")]
async fn half_of_a_stream_is_not_taken_for_all_of_it() {
    let cluster = Cluster::new();
    let link = cluster.link();
    // Dropped after a whole message.
    let mut stream = link.open(ECHO, PATIENCE).await.unwrap();
    stream.sender.send(Bytes::from_static(b"first")).await.unwrap();
    assert!(stream.receiver.next().await.unwrap().is_some());
    drop(stream.sender);
    failure(&mut stream.receiver).await;
    assert!(cluster.one.service.until_failed().await.starts_with("cannot receive"));

    // Ended within one.
    cluster.one.service.failed.send_replace(None);
    let mut io = link.open(ECHO, PATIENCE).await.unwrap().into_io();
    io.write_all(&[0, 0, 0, 9, 1]).await.unwrap();
    io.shutdown().await.unwrap();
    assert!(cluster.one.service.until_failed().await.contains("ends within a message"));

    // Half of a message is out, so none can follow.
    let mut stream = link.open(HOLD, PATIENCE).await.unwrap();
    let given_up = tokio::time::timeout(Duration::ZERO, stream.sender.send(vec![0; MAX_MESSAGE].into())).await;
    assert!(given_up.is_err(), "nobody reads it");
    assert!(matches!(stream.sender.send(Bytes::new()).await, Err(StreamError::Torn)));
    assert!(matches!(stream.sender.finish().await, Err(StreamError::Torn)));
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_a_message_loses_nothing_when_it_is_given_up() {
    let cluster = Cluster::new();
    let mut stream = cluster.link().open(ECHO, PATIENCE).await.unwrap();
    let message = Bytes::from(vec![7; 300_000]);
    let mut sender = stream.sender;
    let sent = message.clone();
    let sending = tokio::spawn(async move {
        for _ in 0..20 {
            sender.send(sent.clone()).await.unwrap();
        }
        sender.finish().await.unwrap();
    });
    let mut count = 0;
    loop {
        tokio::select! {
            biased;
            next = stream.receiver.next() => match next.unwrap() {
                Some(next) => { assert!(next == message); count += 1; }
                None => break,
            },
            () = tokio::task::yield_now() => {}
        }
    }
    assert_eq!(count, 20);
    sending.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_panics_ends_its_stream_only() {
    let cluster = Cluster::new();
    let link = cluster.link();
    let mut good = link.open(ECHO, PATIENCE).await.unwrap();
    let mut bad = link.open(PANIC, PATIENCE).await.unwrap();
    failure(&mut bad.receiver).await;
    good.sender.send(Bytes::from_static(b"still here")).await.unwrap();
    assert_eq!(good.receiver.next().await.unwrap(), Some(Bytes::from_static(b"still here")));
    assert_eq!(cluster.one.metrics.core_connections.get(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_has_so_many_streams_and_no_more() {
    let cluster = Cluster::new();
    let link = cluster.link();
    let mut streams = Vec::new();
    for _ in 0..MAX_CORE_STREAMS {
        streams.push(link.open(HOLD, PATIENCE).await.unwrap());
    }
    cluster.one.service.until_held(MAX_CORE_STREAMS as usize).await;
    let short = Duration::from_millis(100);
    assert!(matches!(link.open(WHO, short).await, Err(LinkError::Patience { .. })));

    // Those whose handlers go on count, too, when QUIC has given their places back.
    let link = cluster.link();
    for _ in 0..MAX_CORE_STREAMS {
        streams.push(link.open(LINGER, PATIENCE).await.unwrap());
    }
    cluster.one.service.until_held(2 * MAX_CORE_STREAMS as usize).await;
    streams.clear();
    let crowded = tokio::time::timeout(Duration::from_millis(300), who(&link)).await;
    assert!(crowded.is_err(), "{crowded:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn shutting_down_ends_the_streams_of_cores() {
    let cluster = Cluster::new();
    let link = cluster.link();
    let mut stream = link.open(HOLD, PATIENCE).await.unwrap();
    cluster.one.service.until_held(1).await;
    cluster.one.publisher.shutdown().await;
    failure(&mut stream.receiver).await;
    cluster.one.service.until_held(0).await;

    let other = Cluster::new();
    let mut stream = other.link().open(HOLD, PATIENCE).await.unwrap();
    other.one.service.until_held(1).await;
    // The service has put this one elsewhere.
    let mut kept = other.link().open(KEEP, PATIENCE).await.unwrap();
    assert!(kept.receiver.next().await.unwrap().is_some());
    let Core { publisher, service, .. } = other.one;
    drop(publisher);
    failure(&mut stream.receiver).await;
    failure(&mut kept.receiver).await;
    service.until_held(0).await;
}

/// Whether a listener takes exactly so many bytes from a dialler before anybody reads one.
async fn takes(bytes: usize, listener: &Endpoint, dialler: &Endpoint, protocol: Protocol) -> bool {
    let address = listener.local_addr().unwrap();
    let accepting = async { listener.accept(listener.incoming().await.unwrap()).await.unwrap() };
    let (accepted, dialled) = tokio::join!(accepting, dialler.dial(address, protocol));
    if protocol == Protocol::Core {
        accepted.widen();
    }
    let dialled = dialled.unwrap();
    let (mut send, _receive) = dialled.verified.quinn.open_bi().await.unwrap();
    let all = tokio::time::timeout(PATIENCE, send.write_all(&vec![0; bytes])).await;
    all.expect("it takes less").unwrap();
    send.write(&[0]).now_or_never().is_none()
}

/// The window of a stream is the same for all; what bounds an edge is that of its connection.
#[tokio::test(flavor = "multi_thread")]
async fn an_edge_can_leave_little_with_a_core_and_a_core_can_leave_much() {
    let cluster = Cluster::new();
    let identity = cluster.ca.issue(Role::Core, "core-3").unwrap();
    let listener = Endpoint::server("127.0.0.1:0".parse().unwrap(), &identity).unwrap();
    let (edge, core) = (cluster.endpoint(Role::Edge, "edge-1"), cluster.endpoint(Role::Core, "core-2"));
    assert!(takes(ACK_WINDOW as usize, &listener, &edge, Protocol::FanOut).await, "it takes more");
    assert!(takes(STREAM_WINDOW as usize, &listener, &core, Protocol::Core).await, "it takes more");
}
