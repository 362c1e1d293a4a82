//! `harkara topics` on a broker.

use std::process::{Command, Stdio};

use testkit::TestBroker;

use crate::desk::Said;

/// `harkara topics …` with these settings more.
fn topics(broker: &TestBroker, action: &str, settings: &[(&str, &str)]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harkara"));
    let servers = &broker.settings().kafka_bootstrap_servers;
    command
        .args(["topics", action])
        .env_clear()
        .env("KAFKA_BOOTSTRAP_SERVERS", servers)
        .env("KAFKA_PROPERTIES", broker.properties())
        .envs(settings.iter().copied())
        .stdin(Stdio::null());
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
