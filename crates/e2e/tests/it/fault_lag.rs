//! A notifier that finds a long backlog.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bus::{NewRecord, Patience, Producer, Topics};
use events::Channel;
use sandbox::Filter;
use serde_json::Value;
use testkit::{System, TestBroker, eventually, full_length, sample_event};

use crate::sessions::count_in_state;

/// `design.md`, budgets: resident memory of a daemon with 1,000,000 records of lag.
const BUDGET_BYTES: u64 = 128 << 20;

/// How long the backlog may take, on a busy machine.
const LIMIT: Duration = Duration::from_hours(1);

/// How often the backlog is looked at.
const LOOK: Duration = Duration::from_secs(1);

const TOPIC: &str = "booking-confirmed";

/// Records written before the first of them is acknowledged; the producer's queue holds 10,000.
const IN_FLIGHT: usize = 5000;

/// Writes confirmations of as many bookings, each for a phone of its own: providers limit what one recipient is sent.
async fn write_backlog(system: &System, count: usize) {
    let producer = Producer::new(system.broker().settings(), "e2e", Patience::Endless).unwrap();
    let mut value: Value = serde_json::from_str(sample_event()).unwrap();
    let mut reports = VecDeque::new();
    for number in 0..count {
        let pnr = format!("4{number:09}");
        value["eventId"] = format!("backlog-{number}").into();
        value["pnrNumber"] = pnr.clone().into();
        value["userPhone"] = format!("9{number:09}").into();
        let text = value.to_string();
        let record = NewRecord {
            topic: TOPIC,
            partition: None,
            key: Some(pnr.as_bytes()),
            value: Some(text.as_bytes()),
            headers: &[],
        };
        reports.push_back(producer.enqueue(&record).unwrap());
        if reports.len() >= IN_FLIGHT {
            reports.pop_front().unwrap().await.unwrap();
        }
    }
    for report in reports {
        report.await.unwrap();
    }
}

/// Records that the group of the SMS notifier has not read.
async fn lag(system: &System) -> i64 {
    let topics = Topics::new(system.broker().settings(), "e2e").unwrap();
    let group = system.group_of("sms-notifier");
    let positions = topics.positions(&group, vec![TOPIC.to_owned()]).await;
    let lag = positions.unwrap().into_iter().map(|position| {
        let next = position.committed.unwrap_or(position.start);
        position.end - next
    });
    lag.sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_backlog_is_told_once_each_within_the_memory_of_a_short_one() {
    let Some(broker) = TestBroker::start_own().await.unwrap() else {
        println!("not run: it takes an Apache Kafka of its own; give TEST_KAFKA");
        return;
    };
    let count = if full_length() { 1_000_000 } else { 20_000 };
    let mut system = System::builder()
        .on(broker)
        .with("RATE_LIMIT", "100000")
        .start_without_programs()
        .await
        .unwrap();
    write_backlog(&system, count).await;
    assert_eq!(lag(&system).await, i64::try_from(count).unwrap());

    let started = Instant::now();
    system.start_program("sms-notifier").await.unwrap();
    let accepted = Filter {
        channel: Some(Channel::Sms),
        ..Filter::default()
    };
    // Looking seldom: what is measured runs on the same machine.
    while system.ledger().messages(&accepted).len() < count {
        assert!(started.elapsed() < LIMIT, "after {LIMIT:?} not all is told");
        tokio::time::sleep(LOOK).await;
    }
    let done = async || {
        let sent = count_in_state(&system, "sms-notifier", "SENT").await;
        let sent = usize::try_from(sent).unwrap() == count;
        (sent && lag(&system).await == 0).then_some(())
    };
    eventually("end of the backlog", done).await;
    let span = started.elapsed();
    let peak = system.program("sms-notifier").unwrap().peak_memory_bytes();
    let peak = peak.unwrap();

    let told = system.ledger().messages(&accepted);
    let events: BTreeSet<_> = told.iter().map(|text| text.event_id.clone()).collect();
    println!(
        "{count} records of lag: {} told in {span:.0?}, {} MiB resident at most",
        told.len(),
        peak >> 20
    );
    assert_eq!((told.len(), events.len()), (count, count), "each once");
    assert!(peak <= BUDGET_BYTES, "{} MiB", peak >> 20);
}
