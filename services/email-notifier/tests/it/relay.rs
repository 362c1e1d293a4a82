//! A relay that answers what a test tells it to, line by line.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

/// What the relay says to a command that begins with the word; `HANG` says nothing any more, `CLOSE` hangs up, `GARBLED` is no UTF-8.
/// `GREETING` stands for the connection and `.` for the end of a message; an answer used once makes room for the next of the same word.
pub(crate) type Script = Vec<(&'static str, &'static str)>;

/// A relay that takes one command at a time: to lettre's EHLO, and to ours.
pub(crate) const ONE_AT_A_TIME: [(&str, &str); 2] = [
    ("EHLO", "250-relay.example\r\n250 8BITMIME"),
    ("EHLO", "250-relay.example\r\n250 8BITMIME"),
];

/// A running relay.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
    early: Arc<AtomicUsize>,
}

impl Relay {
    /// Listens, and answers 250 to everything the script does not name.
    pub(crate) async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let script = Arc::new(Mutex::new(script));
        let listening = Arc::clone(&heard);
        let early = Arc::new(AtomicUsize::new(0));
        let counting = Arc::clone(&early);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                listening.lock().unwrap().push("GREETING".to_owned());
                tokio::spawn(converse(
                    stream,
                    Arc::clone(&script),
                    Arc::clone(&listening),
                    Arc::clone(&counting),
                ));
            }
        });
        Self {
            address,
            heard,
            early,
        }
    }

    /// How many commands came before the reply to the one before them was written.
    pub(crate) fn early(&self) -> usize {
        self.early.load(Ordering::Relaxed)
    }

    /// What was heard, a line each; messages without their lines, ended by `.`.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    /// How often a line beginning with the word was heard.
    pub(crate) fn count(&self, word: &str) -> usize {
        let heard = self.heard();
        heard.iter().filter(|line| line.starts_with(word)).count()
    }
}

/// Answers on one connection, until the other side ends it.
pub(crate) async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    script: Arc<Mutex<Script>>,
    heard: Arc<Mutex<Vec<String>>>,
    early: Arc<AtomicUsize>,
) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let mut command = "GREETING".to_owned();
    loop {
        early.fetch_add(usize::from(!stream.buffer().is_empty()), Ordering::Relaxed);
        let answer = answer(&script, &command);
        match answer {
            "CLOSE" => return None,
            "HANG" => std::future::pending().await,
            "GARBLED" => stream.write_all(b"250 2.0.0 f\xfcr dich\r\n").await.ok()?,
            answer => {
                let line = format!("{answer}\r\n");
                stream.write_all(line.as_bytes()).await.ok()?;
            }
        }
        command = line(&mut stream).await?;
        while answer.starts_with("354") && command != "." {
            command = line(&mut stream).await?;
        }
        heard.lock().unwrap().push(command.clone());
    }
}

async fn line(stream: &mut (impl AsyncBufReadExt + Unpin)) -> Option<String> {
    let mut line = String::new();
    let length = stream.read_line(&mut line).await.ok()?;
    (length > 0).then(|| line.trim_end().to_owned())
}

fn answer(script: &Mutex<Script>, command: &str) -> &'static str {
    let mut script = script.lock().unwrap();
    let place = script
        .iter()
        .position(|(word, _)| command.starts_with(word));
    if let Some(place) = place {
        return script.remove(place).1;
    }
    match command {
        "GREETING" => "220 relay.example ESMTP",
        "DATA" => "354 go on",
        "." => "250 2.0.0 queued",
        command if command.starts_with("EHLO") => {
            "250-relay.example\r\n250-PIPELINING\r\n250 8BITMIME"
        }
        _ => "250 2.0.0 ok",
    }
}
