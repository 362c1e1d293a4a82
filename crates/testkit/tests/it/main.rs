//! The misbehaving network, before an echo.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use testkit::{Link, Proxy, TestBroker};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(10);

/// Long enough for an answer on one machine, so that its absence means something.
const SILENCE: Duration = Duration::from_millis(300);

async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (mut from, mut to) = client.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from, &mut to).await });
        }
    });
    address
}

async fn link() -> (Proxy, TcpStream) {
    let proxy = Proxy::start(&echo().await.to_string()).await.unwrap();
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(answers(&mut client).await, "a good link carries");
    (proxy, client)
}

async fn answers(client: &mut TcpStream) -> bool {
    let mut answer = [0; 4];
    client.write_all(b"ping").await.unwrap();
    timeout(PATIENCE, client.read_exact(&mut answer))
        .await
        .unwrap()
        .is_ok()
}

#[tokio::test]
async fn a_cut_link_closes_what_is_open_and_what_comes_until_it_is_good_again() {
    let (proxy, mut old) = link().await;
    proxy.set(Link::Cut);
    assert!(timeout(PATIENCE, old.read_u8()).await.unwrap().is_err());
    let mut new = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(timeout(PATIENCE, new.read_u8()).await.unwrap().is_err());
    proxy.set(Link::Good);
    let mut next = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(answers(&mut next).await);
}

#[tokio::test]
async fn a_slow_link_takes_its_time_both_ways() {
    let (proxy, mut client) = link().await;
    proxy.set(Link::Slow(Duration::from_millis(100)));
    let asked = Instant::now();
    assert!(answers(&mut client).await);
    assert!(asked.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn a_lossy_link_is_late_and_loses_nothing() {
    let (proxy, mut client) = link().await;
    proxy.set(Link::Lossy(100));
    let asked = Instant::now();
    assert!(answers(&mut client).await);
    assert!(asked.elapsed() >= testkit::RETRANSMISSION * 2);
}

#[tokio::test]
async fn a_half_open_link_takes_everything_and_never_answers_on_what_was_open() {
    let (proxy, mut old) = link().await;
    proxy.set(Link::HalfOpen);
    let mut new = TcpStream::connect(proxy.address()).await.unwrap();
    for client in [&mut old, &mut new] {
        client.write_all(b"anybody?").await.unwrap();
        assert!(timeout(SILENCE, client.read_u8()).await.is_err());
    }
    proxy.set(Link::Good);
    assert!(timeout(SILENCE, old.read_u8()).await.is_err());
    let mut next = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(answers(&mut next).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_before_kafka_is_the_only_way_to_it() {
    let broker = TestBroker::start().await.unwrap();
    let servers = &broker.settings().kafka_bootstrap_servers;
    let (links, behind) = Proxy::before_kafka(servers).await.unwrap();
    let mut settings = broker.settings().clone();
    settings.kafka_bootstrap_servers = behind;
    let topics = bus::Topics::new(&settings, "testkit").unwrap();
    let source = vec!["booking-confirmed".to_owned()];
    let ends = || topics.positions("nobody", source.clone());
    assert_eq!(ends().await.unwrap().len(), 3);
    for link in &links {
        link.set(Link::Cut);
    }
    assert!(ends().await.is_err(), "a broker was reached another way");
    for link in &links {
        link.set(Link::Good);
    }
    testkit::eventually("answer", async || ends().await.ok()).await;
}
