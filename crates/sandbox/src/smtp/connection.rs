//! The bytes of one SMTP connection: reading commands and mails, writing replies, and keeping silent when a fault says so.

use std::io;
use std::slice::Iter;
use std::time::Duration;

use smtp_proto::Error;
use smtp_proto::request::receiver::{
    DataReceiver, DummyDataReceiver, LineReceiver, RequestReceiver,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::mail;
use super::transaction::{Next, SIZE_LIMIT, Transaction};
use crate::admission::{Admission, Verdict};

/// A server waits at least five minutes for the next command (RFC 5321 §4.5.3.2.7).
const PATIENCE: Duration = Duration::from_mins(5);

const CHUNK_BYTES: usize = 16 << 10;

/// One client's connection.
pub(super) struct Connection {
    stream: TcpStream,
    admission: Admission,
    commands: RequestReceiver,
    transaction: Transaction,
    mode: Mode,
    replies: Vec<u8>,
}

/// What the next bytes are.
enum Mode {
    Command,
    Mail {
        receiver: DataReceiver,
        bytes: Vec<u8>,
    },
    /// The rest of a mail that is too big.
    Overlong(DummyDataReceiver),
    /// The credentials of AUTH PLAIN, asked for with 334.
    Credentials(LineReceiver<()>),
}

/// Whether the connection lives on.
#[derive(PartialEq, Eq)]
enum Life {
    On,
    /// What was answered is sent, then it ends.
    Ends,
    /// It ends at once.
    Cut,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, admission: Admission) -> Self {
        Self {
            stream,
            transaction: Transaction::new(admission.clone()),
            admission,
            commands: RequestReceiver::default(),
            mode: Mode::Command,
            replies: Vec::new(),
        }
    }

    /// Serves until the client leaves, a fault cuts it off, or the sandbox stops.
    pub(super) async fn serve(mut self) -> io::Result<()> {
        self.stream.set_nodelay(true)?;
        self.reply("220 sandbox.invalid ESMTP ready");
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            self.flush().await?;
            let shutdown = self.admission.shutdown.clone();
            let length = tokio::select! {
                read = tokio::time::timeout(PATIENCE, self.stream.read(&mut buffer)) => match read {
                    Ok(length) => length?,
                    Err(_) => break self.farewell("421 4.4.2 idle for too long").await,
                },
                () = shutdown.cancelled() => break self.farewell("421 4.3.2 shutting down").await,
            };
            let received = buffer.get(..length).unwrap_or_default();
            if received.is_empty() {
                break Ok(());
            }
            match self.take(received).await? {
                Life::On => {}
                Life::Ends => break self.flush().await,
                Life::Cut => break Ok(()),
            }
        }
    }

    /// Works off what was received: with PIPELINING that may be many commands (RFC 2920), answered in one write.
    async fn take(&mut self, chunk: &[u8]) -> io::Result<Life> {
        let mut bytes = chunk.iter();
        let mut life = Life::On;
        while life == Life::On && !bytes.as_slice().is_empty() {
            life = self.step(&mut bytes).await?;
        }
        Ok(life)
    }

    async fn step(&mut self, bytes: &mut Iter<'_, u8>) -> io::Result<Life> {
        match &mut self.mode {
            Mode::Command => return Ok(self.command(bytes)),
            Mode::Mail { .. } => return self.mail(bytes).await,
            Mode::Credentials(receiver) => {
                if receiver.ingest(bytes) {
                    self.mode = Mode::Command;
                    self.reply("235 2.7.0 any credentials are welcome");
                }
            }
            Mode::Overlong(receiver) => {
                if receiver.ingest(bytes) {
                    self.mode = Mode::Command;
                    self.transaction.refuse();
                    self.reply("552 5.3.4 message too big");
                }
            }
        }
        Ok(Life::On)
    }

    fn command(&mut self, bytes: &mut Iter<'_, u8>) -> Life {
        let request = match self.commands.ingest(bytes) {
            Ok(request) => request,
            Err(Error::NeedsMoreData { .. }) => return Life::On,
            Err(Error::ResponseTooLong) => {
                self.reply("500 5.5.2 line too long");
                return Life::Ends;
            }
            Err(error) => {
                let reply = syntax_error(&error);
                self.reply(reply);
                return Life::On;
            }
        };
        let (reply, next) = self.transaction.take(request);
        let closing = reply.starts_with("421");
        self.reply(&reply);
        match next {
            Next::Command if closing => return Life::Ends,
            Next::Command => {}
            Next::Mail => {
                self.mode = Mode::Mail {
                    receiver: DataReceiver::new(),
                    bytes: Vec::new(),
                }
            }
            Next::Credentials => self.mode = Mode::Credentials(LineReceiver::new(())),
            Next::End => return Life::Ends,
        }
        Life::On
    }

    async fn mail(&mut self, received: &mut Iter<'_, u8>) -> io::Result<Life> {
        let Mode::Mail { receiver, bytes } = &mut self.mode else {
            return Ok(Life::On);
        };
        if !receiver.ingest(received, bytes) {
            if bytes.len() > SIZE_LIMIT {
                self.mode = Mode::Overlong(DummyDataReceiver::new_data(receiver));
            }
            return Ok(Life::On);
        }
        let raw = std::mem::take(bytes);
        self.mode = Mode::Command;
        // A fault may keep silent for long: what was answered before it must be out.
        self.flush().await?;
        let Some(envelope) = self.transaction.finish() else {
            self.reply("503 5.5.1 no transaction");
            return Ok(Life::On);
        };
        let verdict = self.admission.admit(mail::read(&raw, envelope)).await;
        Ok(self.tell(verdict))
    }

    fn tell(&mut self, verdict: Verdict) -> Life {
        match verdict {
            Verdict::Accepted(message) => {
                let id = &message.provider_message_id;
                let reply = format!("250 2.0.0 Ok: queued as {id}");
                self.reply(&reply);
                Life::On
            }
            Verdict::Reply(reply) => {
                self.reply(&reply);
                if reply.starts_with("421") {
                    Life::Ends
                } else {
                    Life::On
                }
            }
            Verdict::Cut => Life::Cut,
            Verdict::Refused { .. } | Verdict::Failed => {
                self.reply("451 4.3.0 local error in processing");
                Life::On
            }
        }
    }

    fn reply(&mut self, line: &str) {
        self.replies.extend_from_slice(line.as_bytes());
        self.replies.extend_from_slice(b"\r\n");
    }

    async fn flush(&mut self) -> io::Result<()> {
        let outcome = self.stream.write_all(&self.replies).await;
        self.replies.clear();
        outcome
    }

    async fn farewell(&mut self, line: &str) -> io::Result<()> {
        self.reply(line);
        self.flush().await
    }
}

fn syntax_error(error: &Error) -> &'static str {
    match error {
        Error::UnknownCommand => "500 5.5.1 command not known",
        Error::InvalidSenderAddress => "501 5.1.7 bad sender address",
        Error::InvalidRecipientAddress => "501 5.1.3 bad recipient address",
        Error::UnsupportedParameter { .. } => "555 5.5.4 parameter not supported",
        Error::SyntaxError { .. }
        | Error::InvalidParameter { .. }
        | Error::NeedsMoreData { .. }
        | Error::ResponseTooLong
        | Error::InvalidResponse { .. } => "501 5.5.4 syntax error in parameters",
    }
}
