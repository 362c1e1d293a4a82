//! Brokers that are away, change, and refuse, under load.

use std::collections::BTreeMap;
use std::time::Duration;

use bus::{Refusal, Request};
use events::EventType;
use testkit::{Load, Plan, System, TestBroker, full_length};

use crate::under_load::UnderLoad;

const QUIET: Duration = Duration::from_mins(3);

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_costs_no_client_anything_and_nothing_is_lost_or_doubled() {
    let (rate, span) = if full_length() {
        (100, Duration::from_mins(1))
    } else {
        (40, Duration::from_secs(8))
    };
    let system = System::builder().start().await.unwrap();
    let url = system.url("booking-api", "/api/v1/bookings").await.unwrap();
    let load = Load::start(rate, Plan::Confirm, move || url.clone());
    tokio::time::sleep(span).await;
    system.broker().go_down().await.unwrap();
    tokio::time::sleep(span).await;
    system.broker().come_up().await.unwrap();
    let report = load.finish().await;

    assert_eq!(
        report.refusals, 0,
        "every POST was answered 201 at its first try"
    );
    // The first seconds warm up.
    let before = report.percentile(99, Duration::from_secs(3)..span);
    let during = report.percentile(99, span..span * 2);
    let verdict = system.judge(&report.booked, QUIET).await.unwrap();
    println!(
        "broker away {span:?} under {rate} bookings/s: {} bookings, {} refused, p99 {before:?} with it, {during:?} without: {verdict}",
        report.booked.len(),
        report.refusals,
    );
    assert!(verdict.is_clean(), "{verdict}");
    assert!(verdict.untold.is_empty(), "{verdict}");

    let text = reqwest::get(system.url("booking-api", "/metrics").await.unwrap())
        .await
        .unwrap();
    let published = published(&text.text().await.unwrap());
    assert_eq!(
        published.get("published").copied(),
        Some(report.booked.len()),
        "each event once"
    );
}

fn published(metrics: &str) -> BTreeMap<String, usize> {
    let lines = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("booking_events_published_total{"));
    let mut outcomes = BTreeMap::new();
    for line in lines {
        let outcome = line
            .split("outcome=\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        let count = line
            .rsplit(' ')
            .next()
            .and_then(|count| count.parse::<usize>().ok());
        *outcomes.entry(outcome.unwrap().to_owned()).or_default() += count.unwrap();
    }
    outcomes
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_that_restart_one_after_another_lose_and_double_nothing() {
    let system = System::builder().start().await.unwrap();
    let size = system.broker().size();
    if size < 3 {
        println!("not run: it takes three brokers, with TEST_KAFKA and TEST_KAFKA_DATA_DIR");
        return;
    }
    // A busy machine takes a minute for each broker, and what was booked meanwhile is to be told soon after.
    let (rounds, rate) = if full_length() { (3, 50) } else { (1, 10) };
    let run = UnderLoad::start(system, rate).await;
    for number in (1..=size).cycle().take(usize::from(size) * rounds) {
        run.go_on(Duration::from_secs(1)).await;
        run.system.broker().stop_one(number).await.unwrap();
        run.go_on(Duration::from_secs(1)).await;
        run.system.broker().start_one(number).await.unwrap();
    }
    for number in (1..=size).cycle().take(usize::from(size) * rounds) {
        run.go_on(Duration::from_secs(5)).await;
        run.system.broker().kill_one(number).await.unwrap();
        run.system.broker().start_one(number).await.unwrap();
    }
    run.finish_clean("brokers restarted one after another")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_are_refused_are_written_again_in_order_also_by_a_new_producer() {
    let run = UnderLoad::start(System::builder().start().await.unwrap(), 40).await;
    let Some(broker) = run.system.broker().in_process_broker() else {
        println!("not run: only the in-process broker refuses on demand");
        return;
    };
    run.go_on(Duration::from_secs(1)).await;
    for refusal in [
        Refusal::TimedOut,
        Refusal::NotEnoughReplicas,
        Refusal::Disconnect,
        // Ends the producer for good.
        Refusal::OutOfOrderSequence,
    ] {
        broker.refuse(Request::Produce, &[refusal; 5]).unwrap();
        run.go_on(Duration::from_secs(2)).await;
    }
    run.finish_clean("records refused in four ways").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_added_while_passengers_book_put_nothing_out_of_order() {
    let Some(broker) = TestBroker::start_own().await.unwrap() else {
        println!("not run: it takes an Apache Kafka of its own; give TEST_KAFKA");
        return;
    };
    let often = "topic.metadata.refresh.interval.ms=500";
    let builder = System::builder().on(broker).with("KAFKA_PROPERTIES", often);
    let run = UnderLoad::start(builder.start().await.unwrap(), 10).await;
    run.go_on(Duration::from_secs(2)).await;
    run.system
        .broker()
        .add_partitions(&EventType::ALL, 7)
        .unwrap();
    run.go_on(Duration::from_secs(4)).await;
    let ended = run.finish_clean("partitions added").await;
    let topics = ended.verdict.partitions;
    assert!(topics > 3, "no record went to a new partition");
}
