//! The sandbox's own API.

use std::time::Duration;

use events::Channel;
use reqwest::Response;
use sandbox::Filter;
use serde_json::{Value, json};

use crate::running::{Running, confirmed, mail};

const OTHER: [(&str, &str); 3] = [
    ("To", "+919876543210"),
    ("From", "RAILTK"),
    ("Body", "PNR 4512345678"),
];

async fn one_of_each(sandbox: &Running) {
    sandbox.mail(mail("one", "<p>one</p>")).await;
    sandbox.sms(&OTHER).await;
    sandbox.whatsapp(&confirmed()).await;
}

#[tokio::test]
async fn messages_are_listed_newest_first_and_narrowed() {
    let sandbox = Running::start().await;
    one_of_each(&sandbox).await;
    let (status, all) = sandbox.get("/api/messages").await;
    assert_eq!((status, &all["total"]), (200, &json!(3)));
    let seqs: Vec<_> = all["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(seqs, [3, 2, 1]);
    for (query, channels) in [
        ("?pnr=2412345678", vec!["whatsapp", "email"]),
        ("?channel=sms", vec!["sms"]),
        ("?eventId=evt-wa", vec!["whatsapp"]),
        ("?pnr=2412345678&channel=sms", vec![]),
        ("?limit=1", vec!["whatsapp"]),
    ] {
        let (_, found) = sandbox.get(&format!("/api/messages{query}")).await;
        let found: Vec<_> = found["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["channel"].as_str().unwrap())
            .collect();
        assert_eq!(found, channels, "{query}");
    }
    let (_, limited) = sandbox.get("/api/messages?limit=1").await;
    assert_eq!(limited["total"], 3);
    let in_process = sandbox.ledger.messages(&Filter {
        channel: Some(Channel::Sms),
        ..Filter::default()
    });
    assert_eq!(in_process.len(), 1);
}

#[tokio::test]
async fn html_is_left_out_on_request_and_found_by_number() {
    let sandbox = Running::start().await;
    one_of_each(&sandbox).await;
    let (_, brief) = sandbox.get("/api/messages?channel=email&html=false").await;
    assert_eq!(
        (&brief["items"][0]["html"], &brief["items"][0]["hasHtml"]),
        (&Value::Null, &json!(true))
    );
    let (_, whole) = sandbox.get("/api/messages/1").await;
    assert_eq!(whole["html"].as_str().map(str::trim), Some("<p>one</p>"));
    assert_eq!(sandbox.get("/api/messages/99").await.0, 404);
    let (status, problem) = sandbox.get("/api/messages?channel=fax").await;
    assert_eq!(
        (status, &problem["errors"][0]["pointer"]),
        (422, &json!("channel"))
    );
}

#[tokio::test]
async fn health_and_metrics_are_where_every_program_has_them() {
    let sandbox = Running::start().await;
    sandbox.sms(&OTHER).await;
    for path in ["/livez", "/readyz"] {
        assert_eq!(sandbox.get(path).await.0, 200);
    }
    let metrics = sandbox
        .http
        .get(format!("{}/metrics", sandbox.base))
        .send()
        .await
        .unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(
        metrics.contains("sandbox_requests_total{channel=\"sms\"} 1"),
        "{metrics}"
    );
    assert!(!metrics.contains("9876543210"));
}

/// The next event of a stream: its name and data.
async fn event(stream: &mut Response, read: &mut String) -> (String, Value) {
    loop {
        if let Some((block, rest)) = read.split_once("\n\n") {
            let field = |name: &str| {
                let line = block.lines().find_map(|line| line.strip_prefix(name));
                line.unwrap_or_default().trim().to_owned()
            };
            let event = (
                field("event:"),
                serde_json::from_str(&field("data:")).unwrap_or_default(),
            );
            *read = rest.into();
            return event;
        }
        let chunk = tokio::time::timeout(Duration::from_secs(5), stream.chunk());
        let chunk = chunk
            .await
            .expect("an event in time")
            .unwrap()
            .expect("the stream goes on");
        read.push_str(std::str::from_utf8(&chunk).unwrap());
    }
}

#[tokio::test]
async fn new_messages_and_clearings_are_streamed() {
    let sandbox = Running::start().await;
    let mut stream = sandbox
        .http
        .get(format!("{}/api/messages/stream", sandbox.base))
        .send()
        .await
        .unwrap();
    let mut read = String::new();
    one_of_each(&sandbox).await;
    for channel in ["email", "sms", "whatsapp"] {
        let (name, message) = event(&mut stream, &mut read).await;
        assert_eq!(
            (name.as_str(), &message["channel"]),
            ("message", &json!(channel))
        );
        assert_eq!(message.get("html"), None);
    }
    sandbox.ledger.clear().unwrap();
    assert_eq!(event(&mut stream, &mut read).await.0, "reload");
    sandbox.stop().await;
    assert!(
        matches!(stream.chunk().await, Ok(None)),
        "a stop ends the stream"
    );
}

#[tokio::test]
async fn messages_can_be_awaited_in_process() {
    let sandbox = Running::start().await;
    let mut news = sandbox.ledger.subscribe();
    one_of_each(&sandbox).await;
    let first = news.recv().await.unwrap();
    assert_eq!((first.channel, first.seq), (Channel::Email, 1));
}
