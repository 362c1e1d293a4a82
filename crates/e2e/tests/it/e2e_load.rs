//! The operator's load on the whole system.

use std::process::{Command, Output};

use serde_json::Value;
use testkit::{System, booking_request, program_path};

use crate::client::{book, warm_up};

fn harkara_load(arguments: &[&str]) -> Output {
    let mut command = Command::new(program_path("harkara").unwrap());
    command.arg("load").args(arguments).env_clear();
    command.output().unwrap()
}

async fn address(system: &System, name: &str) -> String {
    system.url(name, "").await.unwrap()
}

fn count(object: &Value, field: &str) -> u64 {
    object[field]
        .as_u64()
        .unwrap_or_else(|| panic!("no {field} in {object}"))
}

/// Runs a load on the system and gives its report and the page that it wrote.
async fn load_on(system: &System, plan: &str) -> (Value, String) {
    let api = address(system, "booking-api").await;
    let mut notifiers = Vec::new();
    for name in ["email-notifier", "sms-notifier", "whatsapp-notifier"] {
        notifiers.push(address(system, name).await);
    }
    let (notifiers, sandbox) = (notifiers.join(","), system.sandbox_url());
    let file = |name| system.folder().join(name).display().to_string();
    let (json, html) = (file("load.json"), file("load.html"));
    let arguments: Vec<_> = plan
        .split(' ')
        .chain(["--url", &api, "--sandbox", &sandbox])
        .chain(["--notifiers", &notifiers])
        .chain(["--json", &json, "--html", &html])
        .map(str::to_owned)
        .collect();
    let load = move || harkara_load(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let output = tokio::task::spawn_blocking(load).await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    let report = serde_json::from_str(&std::fs::read_to_string(json).unwrap()).unwrap();
    (report, std::fs::read_to_string(html).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_says_how_long_every_request_and_every_message_took() {
    let system = System::builder().start().await.unwrap();
    warm_up(&system).await;
    let plan = "--rate 20 --warm-up 1s --duration 3s --pay 40 --cancel 20 --think 100ms";
    let (report, page) = load_on(&system, plan).await;
    assert_requests(&report);
    assert_messages(&report);
    assert!(page.contains(report["plan"].as_str().unwrap()));
    assert!(!page.contains("\"REPORT\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_behind_a_backlog_misses_nothing_of_its_own() {
    let slow = System::builder().with("RATE_LIMIT", "4");
    let system = slow.start().await.unwrap();
    for n in 0..30 {
        book(&system, &booking_request(n)).await;
    }
    let (report, _) = load_on(&system, "--rate 5 --warm-up 0s --duration 2s").await;
    let messages = report["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 3);
    for message in messages {
        assert_eq!(count(message, "accepted"), 10, "{message}");
        assert_eq!(count(message, "missing"), 0, "{message}");
    }
}

fn assert_requests(report: &Value) {
    let requests = report["requests"].as_array().unwrap();
    let of = |event: &str| {
        let mut own = requests.iter().filter(|one| one["eventType"] == event);
        own.next()
            .unwrap_or_else(|| panic!("no {event} in {report}"))
    };
    let booked = count(&of("BOOKING_CONFIRMED")["millis"], "count");
    assert!((59..=61).contains(&booked), "{booked}");
    assert_eq!(of("BOOKING_CONFIRMED")["failed"], serde_json::json!({}));
    for event in ["PAYMENT_COMPLETED", "BOOKING_CANCELLED"] {
        assert!(count(&of(event)["millis"], "count") > 0, "{event}");
    }
}

fn assert_messages(report: &Value) {
    let messages = report["messages"].as_array().unwrap();
    assert_eq!(
        messages.len(),
        6,
        "three of a confirmation, two of a cancellation, a receipt"
    );
    for message in messages {
        assert_eq!(
            (count(message, "missing"), count(message, "again")),
            (0, 0),
            "{message}"
        );
        let ended = count(message, "accepted") + count(message, "superseded");
        assert_eq!(ended, count(message, "due"), "{message}");
        assert!(
            message["millis"]["p50"].as_f64().unwrap() > 0.0,
            "{message}"
        );
    }
    let stages = report["stages"].as_array().unwrap();
    for metric in [
        "booking_event_publish_seconds",
        "notifier_taken_in_seconds",
        "notifier_send_seconds",
        "notifier_end_to_end_seconds",
    ] {
        assert!(
            stages.iter().any(|stage| stage["metric"] == metric),
            "{metric}"
        );
    }
}

#[test]
fn a_load_on_nothing_is_one_line() {
    let output = harkara_load(&["--url", "http://127.0.0.1:1"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(69), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with("--url: "), "{said}");
}
