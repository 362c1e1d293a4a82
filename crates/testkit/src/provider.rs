//! A provider that answers what a test tells it to, byte for byte.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// What the provider does with the one request it takes.
#[derive(Clone, Debug)]
pub enum Script {
    /// Answers with these bytes, then closes.
    Answer(String),
    /// Reads the request, then closes without a word.
    Drop,
    /// Reads the request and says nothing for as long as the caller waits.
    Hang,
}

/// An answer with a JSON body.
pub fn json_answer(status: &str, headers: &str, body: &str) -> Script {
    let length = body.len();
    Script::Answer(format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{headers}connection: close\r\n\r\n{body}"
    ))
}

/// Takes one request on a port of its own; what it read comes out of the receiver.
///
/// # Panics
/// If no port is free.
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
pub async fn provider(script: Script) -> (SocketAddr, oneshot::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = oneshot::channel();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        drop(tell.send(request(&mut stream).await));
        match script {
            Script::Answer(bytes) => stream.write_all(bytes.as_bytes()).await.unwrap(),
            Script::Drop => {}
            // Ends when the caller gives up and closes.
            Script::Hang => drop(stream.read_to_end(&mut Vec::new()).await),
        }
    });
    (address, told)
}

#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
async fn request(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                let length = name.eq_ignore_ascii_case("content-length");
                length.then(|| value.trim().parse::<usize>().unwrap())
            });
            if body.len() >= length.unwrap_or_default() {
                return text;
            }
        }
        assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0, "cut short");
    }
}
