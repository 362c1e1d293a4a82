use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;
use crate::http::serve_within;

/// No test waits this long for anything.
const SOON: Duration = Duration::from_secs(5);

const BRIEF: Limits = Limits {
    head: Duration::from_millis(100),
    drain: Duration::from_millis(100),
};

/// Limits that no test reaches.
const LONG: Limits = Limits {
    head: Duration::from_mins(1),
    drain: Duration::from_mins(1),
};

struct Server {
    address: SocketAddr,
    shutdown: Shutdown,
    running: JoinHandle<()>,
    gate: Arc<Semaphore>,
}

impl Server {
    async fn start(limits: Limits) -> Self {
        let gate = Arc::new(Semaphore::new(0));
        let waited = Arc::clone(&gate);
        let waits = move || async move {
            waited.acquire().await.unwrap().forget();
            "waited"
        };
        let router = Router::new()
            .route("/now", get(|| async { "now" }))
            .route("/echo", post(|body: Bytes| async move { body }))
            .route("/refuse", post(|| async { "refused" }))
            .route("/waits", get(waits))
            .route("/endless", get(endless));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = Shutdown::new();
        let running = serve_within(limits, listener, router, shutdown.clone());
        Self {
            address,
            shutdown,
            running: tokio::spawn(running),
            gate,
        }
    }

    async fn send(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    async fn ended(self) {
        timeout(SOON, self.running).await.unwrap().unwrap();
    }
}

/// Begins an answer and never ends it.
async fn endless() -> Body {
    let (sender, receiver) = watch::channel(());
    std::mem::forget(sender);
    Body::new(Endless(receiver))
}

struct Endless(#[expect(dead_code, reason = "kept open")] watch::Receiver<()>);

impl HttpBody for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

async fn read_until(stream: &mut TcpStream, text: &str) {
    let mut seen = String::new();
    while !seen.contains(text) {
        let byte = timeout(SOON, stream.read_u8()).await.unwrap().expect(&seen);
        seen.push(char::from(byte));
    }
}

async fn read_to_end(mut stream: TcpStream) -> String {
    let mut seen = Vec::new();
    let read = timeout(SOON, stream.read_to_end(&mut seen)).await.unwrap();
    drop(read);
    String::from_utf8(seen).unwrap()
}

#[tokio::test]
async fn half_a_head_does_not_hold_up_a_stop() {
    let limits = Limits {
        head: LONG.head,
        ..BRIEF
    };
    let server = Server::start(limits).await;
    let mut half = server
        .send("GET /now HTTP/1.1\r\nHost: x\r\n\r\nGET /no")
        .await;
    read_until(&mut half, "now").await;
    server.shutdown.cancel();
    server.ended().await;
}

#[tokio::test]
async fn a_head_with_half_a_body_does_not_hold_up_a_stop() {
    let server = Server::start(BRIEF).await;
    let head =
        "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n";
    let mut half = server.send(head).await;
    read_until(&mut half, "100 Continue\r\n\r\n").await;
    half.write_all(b"half").await.unwrap();
    server.shutdown.cancel();
    server.ended().await;
}

#[tokio::test]
async fn an_answer_that_never_ends_does_not_hold_up_a_stop() {
    let server = Server::start(BRIEF).await;
    let mut stream = server
        .send("GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        .await;
    read_until(&mut stream, "\r\n\r\n").await;
    server.shutdown.cancel();
    server.ended().await;
}

#[tokio::test]
async fn an_idle_connection_ends_a_stop_at_once() {
    let server = Server::start(LONG).await;
    let mut stream = server.send("GET /now HTTP/1.1\r\nHost: x\r\n\r\n").await;
    read_until(&mut stream, "now").await;
    server.shutdown.cancel();
    server.ended().await;
}

#[tokio::test]
async fn a_request_that_arrived_whole_is_answered_however_long_that_takes() {
    let limits = Limits {
        drain: Duration::from_millis(20),
        ..LONG
    };
    let server = Server::start(limits).await;
    let stream = server.send("GET /waits HTTP/1.1\r\nHost: x\r\n\r\n").await;
    // A second connection is dropped for its half head: then the limit is over for the first one too.
    let mut half = server
        .send("GET /now HTTP/1.1\r\nHost: x\r\n\r\nGET /no")
        .await;
    read_until(&mut half, "now").await;
    server.shutdown.cancel();
    read_to_end(half).await;
    server.gate.add_permits(1);
    let answer = read_to_end(stream).await;
    assert!(answer.ends_with("waited"), "{answer}");
    server.ended().await;
}

#[tokio::test]
async fn a_head_that_does_not_come_ends_the_connection() {
    let server = Server::start(Limits {
        drain: LONG.drain,
        ..BRIEF
    })
    .await;
    let begun = Instant::now();
    let silent = server.send("").await;
    let slow = server.send("GET /now HTTP/1.1\r\nHost: ").await;
    assert_eq!(read_to_end(silent).await, "");
    assert_eq!(read_to_end(slow).await, "");
    assert!(begun.elapsed() >= BRIEF.head);
}

#[tokio::test]
async fn an_answer_given_before_the_body_is_not_lost() {
    let server = Server::start(LONG).await;
    let head = "POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n";
    let mut stream = server.send(head).await;
    for _ in 0..100 {
        stream.write_all(&[b' '; 10_000]).await.unwrap();
    }
    let answer = read_to_end(stream).await;
    assert!(answer.ends_with("refused"), "{answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
}
