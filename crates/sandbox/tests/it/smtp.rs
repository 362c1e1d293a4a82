//! The mail server.

use std::time::Duration;

use events::Channel;
use lettre::AsyncTransport;
use lettre::transport::smtp::authentication::Credentials;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::running::{Mailer, Running, envelope, mail};

#[tokio::test]
async fn a_mail_is_answered_with_its_queue_id_and_kept_whole() {
    let sandbox = Running::start().await;
    let html = "<h1>Confirmed</h1><p>₹2,140.00</p>";
    let sent = sandbox
        .mailer()
        .send(mail("PNR: 2412345678\n.\n..dots\nरेल", html))
        .await
        .unwrap();
    let kept = sandbox.only();
    let reply: Vec<_> = sent.message().collect();
    assert_eq!(
        reply,
        [format!("2.0.0 Ok: queued as {}", kept.provider_message_id)]
    );
    assert_eq!(kept.channel, Channel::Email);
    assert_eq!(kept.recipient, "asha@example.com");
    assert_eq!(kept.sender, "noreply@rail.example");
    assert_eq!(
        kept.subject.as_deref(),
        Some("Ticket confirmed 🎫 PNR 2412345678")
    );
    assert_eq!(
        kept.text.replace("\r\n", "\n").trim_end(),
        "PNR: 2412345678\n.\n..dots\nरेल"
    );
    assert_eq!(kept.html.as_deref().map(str::trim), Some(html));
    assert_eq!(kept.event_id.as_ref().unwrap().as_str(), "evt-mail");
    assert_eq!(kept.pnr.as_ref().unwrap().as_str(), "2412345678");
    assert!(kept.answered);
}

#[tokio::test]
async fn one_connection_carries_many_mails() {
    let sandbox = Running::start().await;
    let mailer = sandbox.mailer();
    for _ in 0..50 {
        mailer.send(mail("text", "<p>html</p>")).await.unwrap();
    }
    assert_eq!(sandbox.all().len(), 50);
    assert_eq!(sandbox.all()[0].seq, 50);
}

#[tokio::test]
async fn whoever_must_authenticate_may() {
    let sandbox = Running::start().await;
    let mailer = Mailer::builder_dangerous("127.0.0.1")
        .port(sandbox.smtp_port)
        .credentials(Credentials::new("user".into(), "pass".into()))
        .build();
    mailer
        .send(envelope().body("text".to_owned()).unwrap())
        .await
        .unwrap();
    assert_eq!(sandbox.only().text.trim_end(), "text");
}

/// A client that writes what no library would.
struct Raw(BufReader<TcpStream>);

impl Raw {
    async fn connect(sandbox: &Running) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", sandbox.smtp_port))
            .await
            .unwrap();
        let mut raw = Self(BufReader::new(stream));
        assert!(raw.line().await.starts_with("220 "));
        raw
    }

    async fn write(&mut self, bytes: &str) {
        self.0.get_mut().write_all(bytes.as_bytes()).await.unwrap();
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        let read = tokio::time::timeout(Duration::from_secs(5), self.0.read_line(&mut line));
        read.await.expect("answers in time").unwrap();
        line
    }

    /// The code of each reply to these lines, sent one by one.
    async fn codes(&mut self, commands: &[&str]) -> Vec<String> {
        let mut codes = Vec::new();
        for command in commands {
            self.write(&format!("{command}\r\n")).await;
            codes.push(self.reply().await);
        }
        codes
    }

    /// The code of one reply, of however many lines.
    async fn reply(&mut self) -> String {
        loop {
            let line = self.line().await;
            if line.as_bytes().get(3) != Some(&b'-') {
                return line.chars().take(3).collect();
            }
        }
    }
}

#[tokio::test]
async fn a_pipelined_session_is_answered_in_order() {
    let sandbox = Running::start().await;
    let mut raw = Raw::connect(&sandbox).await;
    let mail = "MAIL FROM:<a@rail.example> SIZE=100 BODY=8BITMIME\r\nRCPT TO:<b@example.com>\r\nRCPT TO:<nobody>\r\nRCPT TO:<c@example.com>\r\nDATA\r\nSubject: one\r\n\r\n..dot\r\n.\r\n";
    raw.write(&format!(
        "EHLO client.example\r\n{mail}RSET\r\n{mail}NOOP\r\nQUIT\r\n"
    ))
    .await;
    let mut codes = Vec::new();
    for _ in 0..16 {
        codes.push(raw.reply().await);
    }
    let one = ["250", "250", "501", "250", "354", "250"];
    let expected = [&["250"][..], &one, &["250"], &one, &["250", "221"]].concat();
    assert_eq!(codes, expected);
    assert_eq!(raw.0.read(&mut [0]).await.unwrap(), 0, "closed after QUIT");
    assert_eq!(sandbox.all().len(), 2);
    assert_eq!(sandbox.all()[0].text.trim_end(), ".dot");
    assert_eq!(sandbox.all()[0].recipient, "b@example.com, c@example.com");
}

#[tokio::test]
async fn commands_out_of_order_or_out_of_shape_are_refused() {
    let sandbox = Running::start().await;
    let mut raw = Raw::connect(&sandbox).await;
    let codes = raw
        .codes(&[
            "MAIL FROM:<a@rail.example>",
            "HELO client.example",
            "RCPT TO:<b@example.com>",
            "DATA",
            "MAIL FROM:<>",
            "MAIL FROM:<a@rail.example>",
            "DATA",
            "RSET",
            "RCPT TO:<b@example.com>",
            "MAIL FROM:<a@rail.example> SIZE=99999999",
            "MAIL FROM:<a@rail.example> COLOUR=red",
            "HELLO",
            "STARTTLS",
            "VRFY someone",
            "AUTH PLAIN",
            "AHVzZXIAcGFzcw==",
            "AUTH CRAM-MD5",
        ])
        .await;
    let expected = [
        "503", "250", "503", "503", "250", "503", "554", "250", "503", "552", "555", "500", "502",
        "252", "334", "235", "504",
    ];
    assert_eq!(codes, expected);
    assert!(sandbox.all().is_empty());
}

#[tokio::test]
async fn a_mail_over_the_limit_is_refused_and_the_next_is_taken() {
    let sandbox = Running::start().await;
    let mut raw = Raw::connect(&sandbox).await;
    let open = [
        "EHLO c.example",
        "MAIL FROM:<a@rail.example>",
        "RCPT TO:<b@example.com>",
        "DATA",
    ];
    raw.codes(&open).await;
    let line = format!("{}\r\n", "x".repeat(998));
    for _ in 0..11 {
        raw.write(&line.repeat(1000)).await;
    }
    raw.write(".\r\n").await;
    assert_eq!(raw.reply().await, "552");
    raw.codes(&open[1..]).await;
    raw.write("Subject: small\r\n\r\ntext\r\n.\r\n").await;
    assert_eq!(raw.reply().await, "250");
    assert_eq!(sandbox.only().subject.as_deref(), Some("small"));
}

#[tokio::test]
async fn a_stop_tells_idle_clients() {
    let sandbox = Running::start().await;
    let mut raw = Raw::connect(&sandbox).await;
    raw.codes(&["EHLO c.example"]).await;
    sandbox.stop().await;
    assert!(raw.line().await.starts_with("421 "));
}
