//! One connection through a misbehaving network.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::{Link, RETRANSMISSION};

/// What is read at once.
const CHUNK_BYTES: usize = 64 << 10;

/// Chunks on their way, each way.
const IN_FLIGHT: usize = 256;

/// PostgreSQL's answer to a commit: `CommandComplete`, 11 bytes, its tag.
const COMMITTED: &[u8] = b"C\0\0\0\x0bCOMMIT\0";

/// What to write in the place of what: as long as each other.
pub(super) type Names = Arc<Vec<(Vec<u8>, Vec<u8>)>>;

/// A chunk and when it arrives.
type Chunk = (Instant, Vec<u8>);

/// How a broker of this machine is named in Kafka's answers: the host as text, the port as 32 bits (METADATA and `FIND_COORDINATOR`).
pub(super) fn broker_name(port: u16) -> Vec<u8> {
    let port = u32::from(port).to_be_bytes();
    [b"127.0.0.1".as_slice(), &port].concat()
}

/// Carries a connection until one end closes it or the link is cut.
pub(super) async fn carry(
    client: TcpStream,
    target: SocketAddr,
    link: watch::Receiver<Link>,
    names: Names,
) {
    let (mut cut, mut deaf) = (link.clone(), link.clone());
    tokio::select! {
        _ = cut.wait_for(|link| *link == Link::Cut) => {}
        () = talk(client, target, link, names, &mut deaf) => {}
    }
}

async fn talk(
    client: TcpStream,
    target: SocketAddr,
    link: watch::Receiver<Link>,
    names: Names,
    deaf: &mut watch::Receiver<Link>,
) {
    let (mut from_client, mut to_client) = client.into_split();
    let ends = (&mut from_client, &mut to_client);
    tokio::select! {
        biased;
        _ = deaf.wait_for(|link| *link == Link::HalfOpen) => {}
        // An end that breaks is closed for both.
        _ = exchange(ends, target, link, names) => return,
    }
    swallow(&mut from_client).await;
}

/// Reads and forgets, for as long as the client keeps the connection.
async fn swallow(from_client: &mut OwnedReadHalf) {
    let mut forgotten = vec![0; CHUNK_BYTES];
    while matches!(from_client.read(&mut forgotten).await, Ok(1..)) {}
}

async fn exchange(
    (from_client, to_client): (&mut OwnedReadHalf, &mut OwnedWriteHalf),
    target: SocketAddr,
    link: watch::Receiver<Link>,
    names: Names,
) -> io::Result<()> {
    let server = TcpStream::connect(target).await?;
    server.set_nodelay(true)?;
    let (mut from_server, mut to_server) = server.into_split();
    let asked = pump(from_client, &mut to_server, link.clone(), Names::default());
    let answered = pump(&mut from_server, to_client, link, names);
    tokio::select! {
        asked = asked => asked,
        answered = answered => answered,
    }
}

async fn pump(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    link: watch::Receiver<Link>,
    names: Names,
) -> io::Result<()> {
    let (sender, receiver) = mpsc::channel(IN_FLIGHT);
    tokio::try_join!(take(from, sender, link, names), give(to, receiver))?;
    Ok(())
}

async fn take(
    from: &mut OwnedReadHalf,
    sender: mpsc::Sender<Chunk>,
    link: watch::Receiver<Link>,
    names: Names,
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let length = from.read(&mut buffer).await?;
        let mut chunk = buffer.get(..length).unwrap_or_default().to_vec();
        for (name, other) in names.iter() {
            rename(&mut chunk, name, other);
        }
        let state = *link.borrow();
        if is_silenced(state, &chunk) {
            return Ok(());
        }
        let due = Instant::now() + lateness(state);
        if length == 0 || sender.send((due, chunk)).await.is_err() {
            return Ok(());
        }
    }
}

async fn give(to: &mut OwnedWriteHalf, mut receiver: mpsc::Receiver<Chunk>) -> io::Result<()> {
    while let Some((due, chunk)) = receiver.recv().await {
        tokio::time::sleep_until(due).await;
        to.write_all(&chunk).await?;
    }
    Ok(())
}

fn is_silenced(link: Link, chunk: &[u8]) -> bool {
    let Link::Silent(percent) = link else {
        return false;
    };
    let commits = chunk.windows(COMMITTED.len());
    commits.filter(|window| *window == COMMITTED).count() > 0
        && chassis::chance::number_in(0..100) < percent
}

fn lateness(link: Link) -> Duration {
    match link {
        Link::Slow(each_way) => each_way,
        Link::Lossy(percent) if chassis::chance::number_in(0..100) < percent => RETRANSMISSION,
        Link::Good | Link::Cut | Link::Lossy(_) | Link::HalfOpen | Link::Silent(_) => {
            Duration::ZERO
        }
    }
}

/// Answers that name brokers are short and come in one piece; a name that was missed would lead around the link, where the fault is not met.
fn rename(chunk: &mut [u8], name: &[u8], other: &[u8]) {
    let length = name.len();
    let places = chunk.windows(length).enumerate();
    let found: Vec<_> = places
        .filter(|(_, window)| *window == name)
        .map(|(place, _)| place)
        .collect();
    for place in found {
        if let Some(old) = chunk.get_mut(place..place + length) {
            old.copy_from_slice(other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_renamed_wherever_it_is_named() {
        let (name, other) = (broker_name(9092), broker_name(40_000));
        let mut chunk = [b"x".as_slice(), &name, b"127.0.0.1:9092", &name].concat();
        rename(&mut chunk, &name, &other);
        let expected = [b"x".as_slice(), &other, b"127.0.0.1:9092", &other].concat();
        assert_eq!(chunk, expected);
    }
}
