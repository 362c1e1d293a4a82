use std::net::SocketAddr;
use std::time::Duration;

use broker::Forwarder;
use chassis::Shutdown;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(10);

fn any_port() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// Answers every connection with what it sends, in capitals.
async fn start_shouter() -> SocketAddr {
    let listener = TcpListener::bind(any_port()).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(shout(client));
        }
    });
    address
}

async fn shout(mut client: TcpStream) {
    let mut words = [0; 64];
    while let Ok(length @ 1..) = client.read(&mut words).await {
        let shout = words.get(..length).unwrap().to_ascii_uppercase();
        client.write_all(&shout).await.unwrap();
    }
}

async fn say(client: &mut TcpStream, words: &str) -> String {
    client.write_all(words.as_bytes()).await.unwrap();
    let mut answer = vec![0; words.len()];
    client.read_exact(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn many_connections_reach_the_target_at_once() {
    let target = start_shouter().await;
    let forwarder = Forwarder::start(any_port(), target).await.unwrap();
    let address = forwarder.address();
    let shutdown = Shutdown::new();
    let running = tokio::spawn(forwarder.run(shutdown.clone()));
    let mut first = TcpStream::connect(address).await.unwrap();
    let mut second = TcpStream::connect(address).await.unwrap();
    assert_eq!(say(&mut first, "one").await, "ONE");
    assert_eq!(say(&mut second, "two").await, "TWO");
    assert_eq!(say(&mut first, "three").await, "THREE");
    shutdown.cancel();
    timeout(PATIENCE, running).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_shutdown_closes_open_connections_and_frees_the_port() {
    let target = start_shouter().await;
    let forwarder = Forwarder::start(any_port(), target).await.unwrap();
    let address = forwarder.address();
    let shutdown = Shutdown::new();
    let running = tokio::spawn(forwarder.run(shutdown.clone()));
    let mut client = TcpStream::connect(address).await.unwrap();
    assert_eq!(say(&mut client, "hello").await, "HELLO");
    shutdown.cancel();
    timeout(PATIENCE, running).await.unwrap().unwrap();
    // The end of the stream, or a reset: in either case nothing more comes.
    let more = timeout(PATIENCE, client.read_u8()).await.unwrap();
    assert!(more.is_err(), "{more:?}");
    Forwarder::start(address, target).await.unwrap();
}

#[tokio::test]
async fn a_dead_target_closes_the_connection_and_not_the_forwarder() {
    let dead = TcpListener::bind(any_port()).await.unwrap();
    let target = dead.local_addr().unwrap();
    drop(dead);
    let forwarder = Forwarder::start(any_port(), target).await.unwrap();
    let address = forwarder.address();
    let shutdown = Shutdown::new();
    let running = tokio::spawn(forwarder.run(shutdown.clone()));
    for _ in 0..2 {
        let mut client = TcpStream::connect(address).await.unwrap();
        let nothing = timeout(PATIENCE, client.read_u8()).await.unwrap();
        assert!(nothing.is_err(), "{nothing:?}");
    }
    shutdown.cancel();
    timeout(PATIENCE, running).await.unwrap().unwrap();
}
