//! What was accepted is never lost.

use std::fs;
use std::io::Write as _;

use chassis::Failure;
use serde_json::{Value, json};

use crate::running::{Running, confirmed, mail};

const TEXT: [(&str, &str); 3] = [
    ("To", "+919876543210"),
    ("From", "RAILTK"),
    ("Body", "PNR 2412345678"),
];

#[tokio::test]
async fn the_ledger_survives_a_restart_and_a_torn_last_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger.jsonl");
    let sandbox = Running::start_in(Some(folder.path())).await.unwrap();
    sandbox.mail(mail("one", "<p>one</p>")).await;
    sandbox.sms(&TEXT).await;
    sandbox.whatsapp(&confirmed()).await;
    let before = sandbox.all();
    sandbox.stop().await;

    let torn = br#"{"entry":"accepted","seq":4,"acceptedAt":"2026-11-23T06"#;
    fs::OpenOptions::new()
        .append(true)
        .open(&file)
        .unwrap()
        .write_all(torn)
        .unwrap();
    let sandbox = Running::start_in(Some(folder.path())).await.unwrap();
    assert_eq!(sandbox.all(), before);
    sandbox.sms(&TEXT).await;
    assert_eq!(sandbox.all()[0].seq, 4);
    sandbox.stop().await;

    let lines = fs::read_to_string(&file).unwrap();
    let entries: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let seqs: Vec<_> = entries
        .iter()
        .map(|entry| entry["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(seqs, [1, 2, 3, 4]);
    assert!(entries.iter().all(|entry| entry["entry"] == "accepted"));
}

#[tokio::test]
async fn a_message_is_in_the_file_before_its_answer() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Running::start_in(Some(folder.path())).await.unwrap();
    for seen in 1..=20 {
        let (_, body) = sandbox.sms(&TEXT).await;
        let file = fs::read_to_string(folder.path().join("ledger.jsonl")).unwrap();
        assert_eq!(file.lines().count(), seen);
        assert!(
            file.lines()
                .last()
                .unwrap()
                .contains(body["sid"].as_str().unwrap())
        );
    }
}

#[tokio::test]
async fn clearing_empties_the_view_and_the_file_keeps_everything() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Running::start_in(Some(folder.path())).await.unwrap();
    sandbox.sms(&TEXT).await;
    let cleared = sandbox
        .http
        .delete(format!("{}/api/messages", sandbox.base))
        .send()
        .await
        .unwrap();
    assert_eq!(cleared.status().as_u16(), 204);
    assert!(sandbox.all().is_empty());
    sandbox.sms(&TEXT).await;
    assert_eq!(sandbox.only().seq, 2);
    sandbox.stop().await;

    let sandbox = Running::start_in(Some(folder.path())).await.unwrap();
    assert_eq!(sandbox.only().seq, 2);
    let (_, stats) = sandbox.get("/api/stats").await;
    assert_eq!(
        stats["channels"]["sms"],
        json!({"requests": 0, "refused": 0, "accepted": 2, "shown": 1})
    );
    let file = fs::read_to_string(folder.path().join("ledger.jsonl")).unwrap();
    let kinds: Vec<Value> = file
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["entry"].take())
        .collect();
    assert_eq!(kinds, ["accepted", "cleared", "accepted"]);
}

#[tokio::test]
async fn two_sandboxes_never_share_a_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Running::start_in(Some(folder.path())).await.unwrap();
    let second = Running::start_in(Some(folder.path())).await.err().unwrap();
    assert!(
        matches!(
            second,
            Failure::Unavailable {
                what: "SANDBOX_DATA_DIR",
                ..
            }
        ),
        "{second}"
    );
    sandbox.stop().await;
    Running::start_in(Some(folder.path()))
        .await
        .unwrap()
        .stop()
        .await;
}

#[tokio::test]
async fn a_ledger_that_cannot_be_read_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger.jsonl");
    fs::write(&file, "not a ledger\n").unwrap();
    let failure = Running::start_in(Some(folder.path())).await.err().unwrap();
    assert!(
        failure.line().contains("line 1 is not an entry"),
        "{}",
        failure.line()
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), "not a ledger\n");
}
