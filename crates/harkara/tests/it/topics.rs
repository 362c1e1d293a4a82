//! `harkara topics` on a broker.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use bus::Record;
use events::EventType;
use testkit::TestBroker;

use crate::desk::{Desk, Said, some_pnr};

/// `harkara topics …`.
fn command(broker: &TestBroker, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harkara"));
    let servers = &broker.settings().kafka_bootstrap_servers;
    command
        .arg("topics")
        .args(arguments)
        .env_clear()
        .env("KAFKA_BOOTSTRAP_SERVERS", servers)
        .env("KAFKA_PROPERTIES", broker.properties())
        .stdin(Stdio::null());
    command
}

/// The same with these settings more.
fn topics(broker: &TestBroker, action: &str, settings: &[(&str, &str)]) -> Said {
    let mut command = command(broker, &[action]);
    command.envs(settings.iter().copied());
    command.output().unwrap().into()
}

/// The line about a topic.
fn line<'a>(said: &'a Said, topic: &str) -> &'a str {
    let mut lines = said.out.lines();
    let about = |line: &&str| line.split_whitespace().next() == Some(topic);
    lines.find(about).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_differs_is_told_and_is_exit_status_2() {
    let broker = TestBroker::start_uneven("booking-cancelled", 6).await;
    let broker = broker.unwrap();
    if broker.in_process_broker().is_none() {
        topics(&broker, "apply", &[]);
    }
    let said = topics(&broker, "describe", &[]);
    assert_eq!(said.status, Some(2), "{}{}", said.out, said.err);
    let uneven = line(&said, "booking-cancelled");
    assert!(uneven.contains("partitions 6, not 3"), "{uneven}");
    let even = line(&said, "booking-confirmed");
    assert!(!even.contains("not"), "{even}");
    let said = topics(&broker, "describe", &[("KAFKA_REPLICATION_FACTOR", "3")]);
    let few = line(&said, "booking-confirmed");
    assert!(few.contains("replicas 1, not 3"), "{few}");
}

/// On Apache Kafka alone: the in-process broker makes no topics when asked, and tells no settings.
#[tokio::test(flavor = "multi_thread")]
async fn apply_makes_what_is_missing_and_changes_nothing_that_exists() {
    let Some(broker) = TestBroker::start_own().await.unwrap() else {
        println!("not run: it takes an Apache Kafka of its own; give TEST_KAFKA");
        return;
    };
    let said = topics(&broker, "describe", &[]);
    assert_eq!(said.status, Some(2), "{}", said.err);
    let missing = line(&said, "booking-confirmed.sms.dlq");
    assert!(missing.ends_with("missing"), "{missing}");

    let dead = [("KAFKA_DLQ_RETENTION", "2days")];
    let said = topics(&broker, "apply", &dead).well();
    assert!(said.contains("made notification-status: 3 "), "{said}");
    assert!(said.contains("13 made, 0 differ, 3 as"), "{said}");
    let said = topics(&broker, "describe", &dead);
    let made = line(&said, "booking-confirmed.sms.dlq");
    let cells: Vec<_> = made.split_whitespace().skip(1).collect();
    assert_eq!(cells, ["3", "1", "1", "1", "2days", "producer"], "{made}");
    assert_eq!(said.status, Some(0), "{}", said.out);

    let more = [("KAFKA_PARTITIONS", "6"), ("KAFKA_RETENTION", "1day")];
    let said = topics(&broker, "apply", &more);
    assert_eq!(said.status, Some(2), "{}{}", said.out, said.err);
    let told =
        "booking-confirmed differs: partitions 3, not 6; retention.ms 604800000, not 86400000";
    assert!(said.out.contains(told), "{}", said.out);
    assert!(said.out.contains("0 made, "), "{}", said.out);
    let again = topics(&broker, "describe", &dead);
    assert_eq!(again.status, Some(0), "{}", again.out);
}

/// On Apache Kafka alone, as above.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_beside_an_event_topic_has_its_partitions() {
    let Some(broker) = TestBroker::start_own().await.unwrap() else {
        println!("not run: it takes an Apache Kafka of its own; give TEST_KAFKA");
        return;
    };
    broker.add_partitions(&[CONFIRMED], 6).unwrap();
    for gone in [EventType::BookingCancelled, EventType::PaymentCompleted] {
        broker.delete_topic(gone.topic()).unwrap();
    }
    let said = topics(&broker, "apply", &[]);
    let made = "made booking-cancelled.sms.dlq: 6 partitions";
    assert!(said.out.contains(made), "{}{}", said.out, said.err);
    let again = topics(&broker, "apply", &[]);
    let told = "0 made, 3 differ, 13 as they should be.";
    assert!(again.out.contains(told), "{}{}", again.out, again.err);
}

#[test]
fn a_broker_that_does_not_answer_is_exit_status_69() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harkara"));
    command.args(["topics", "describe"]).env_clear();
    command.args(["--kafka-bootstrap-servers", "127.0.0.1:1"]);
    let said: Said = command.output().unwrap().into();
    assert_eq!(said.status, Some(69), "{}", said.err);
    assert!(
        said.err.starts_with("KAFKA_BOOTSTRAP_SERVERS: "),
        "{}",
        said.err
    );
}

const CONFIRMED: EventType = EventType::BookingConfirmed;

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_followed_from_its_beginning_until_ctrl_c() {
    let desk = Desk::open().await;
    let (pnr, other) = (some_pnr(), some_pnr());
    let first = desk.event(CONFIRMED, &pnr, "first");
    desk.published(&desk.event(CONFIRMED, &other, "other"))
        .await;
    desk.published(&first).await;
    let wanted = ["tail", CONFIRMED.topic(), "--from-beginning", "--json"];
    let mut command = command(&desk.broker, &wanted);
    command.args(["--reveal", "--pnr", pnr.as_str()]);
    let mut tail = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    let mut next =
        || -> serde_json::Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    let shown = next();
    assert_eq!(shown["key"], pnr.as_str());
    assert_eq!(shown["topic"], CONFIRMED.topic());
    assert_eq!(shown["value"]["eventId"], first.event_id.as_str());
    assert!(shown["partition"].is_i64() && shown["offset"].is_i64());
    // As kafka-console-producer writes it: the value alone.
    let second = desk.event(CONFIRMED, &pnr, "second");
    desk.write(&Record {
        topic: CONFIRMED.topic().to_owned(),
        value: Some(second.encode().unwrap()),
        ..Record::default()
    })
    .await;
    let shown = next();
    assert_eq!(shown["key"], serde_json::Value::Null);
    assert_eq!(shown["value"]["eventId"], second.event_id.as_str());

    let interrupt = Command::new("kill")
        .args(["-INT", &tail.id().to_string()])
        .status();
    assert!(interrupt.unwrap().success());
    assert_eq!(tail.wait().unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_from_now_on_is_shown_with_nobody_named() {
    let desk = Desk::open().await;
    let (pnr, earlier) = (some_pnr(), some_pnr());
    desk.published(&desk.event(CONFIRMED, &earlier, "earlier"))
        .await;
    let mut command = command(&desk.broker, &["tail", CONFIRMED.topic()]);
    let mut tail = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut begun = BufReader::new(tail.stderr.take().unwrap());
    begun.read_line(&mut said).unwrap();
    assert_eq!(said, "following booking-confirmed: 3 partitions\n");
    let event = desk.event(CONFIRMED, &pnr, "now");
    desk.published(&event).await;
    let mut out = BufReader::new(tail.stdout.take().unwrap());
    let mut shown = String::new();
    while !shown.contains("\n}\n") {
        assert_ne!(out.read_line(&mut shown).unwrap(), 0, "{shown}");
    }
    assert!(shown.starts_with("offset "), "{shown}");
    assert!(shown.contains(event.event_id.as_str()), "{shown}");
    assert!(shown.contains(&pnr.masked()), "{shown}");
    for personal in [pnr.as_str(), &event.passenger_name, &earlier.masked()] {
        assert!(!shown.contains(personal), "{personal}: {shown}");
    }
    // Whoever read has gone: it ends with the next record.
    drop(out);
    desk.published(&event).await;
    assert_eq!(tail.wait().unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_not_there_is_exit_status_64() {
    let desk = Desk::open().await;
    let said: Said = command(&desk.broker, &["tail", "no-such-topic"])
        .output()
        .unwrap()
        .into();
    assert_eq!(said.status, Some(64), "{}", said.err);
    assert_eq!(said.err, "TOPIC: there is no topic no-such-topic\n");
}
