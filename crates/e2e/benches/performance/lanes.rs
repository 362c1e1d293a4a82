//! 10,000 records on one partition and a provider that takes 0 to 5 ms: in order within a PNR, by the number of PNRs, beside two consumers as they are usually written.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bus::{Consumer, NewRecord, Patience, Producer, Record, Subscription};
use events::{Channel, EventType};
use reqwest::Client;
use sandbox::{Effect, Filter, Rule};
use serde_json::Value;
use testkit::{StandIn, System, TestBroker, eventually_within, sample_event};
use tokio::sync::mpsc;

const RECORDS: usize = 10_000;
const TOPIC: &str = EventType::BookingConfirmed.topic();

/// Where the records go.
#[derive(Clone, Copy)]
pub(crate) enum Spread {
    OnePartition,
    ByKey,
}

pub(crate) async fn measure() {
    println!("\n## {RECORDS} records, a provider that takes 0 to 5 ms\n");
    println!("| consumer | PNRs | seconds | records/s |\n|---|---|---|---|");
    let first = start().await;
    let took = usual(&first, Spread::OnePartition).await;
    row("one after another, one partition", 1000, took);
    let Some(broker) = TestBroker::start_own().await.unwrap() else {
        println!("| a task for each of 12 partitions | | needs TEST_KAFKA | |");
        return ours().await;
    };
    broker.add_partitions(&EventType::ALL, 12).unwrap();
    let wide = slow(System::builder().on(broker)).await;
    row(
        "a task for each of 12 partitions",
        1000,
        usual(&wide, Spread::ByKey).await,
    );
    drop(wide);
    ours().await;
}

async fn ours() {
    for pnrs in [1, 2, 5, 10, 20, 100, 1000] {
        let mut system = start().await;
        system.start_program("sms-notifier").await.unwrap();
        // The group is joined when the first message is told.
        write(&system, 1, 1, Spread::OnePartition).await;
        told(&system, Channel::Sms, 1).await;
        let started = Instant::now();
        write(&system, RECORDS, pnrs, Spread::OnePartition).await;
        told(&system, Channel::Sms, RECORDS + 1).await;
        row("`sms-notifier`, one partition", pnrs, started.elapsed());
    }
}

fn row(name: &str, pnrs: usize, took: Duration) {
    let seconds = took.as_secs_f64();
    let rate = f64::from(u32::try_from(RECORDS).unwrap()) / seconds;
    println!("| {name} | {pnrs} | {seconds:.2} | {rate:.0} |");
}

async fn start() -> System {
    slow(System::builder()).await
}

/// Five times 1 ms, each of every other message: 0 to 5 ms, 2.5 on average.
async fn slow(builder: testkit::SystemBuilder) -> System {
    let builder = builder.with("RATE_LIMIT", "100000");
    let system = builder.start_without_programs().await.unwrap();
    let delay = Rule::new(Channel::Sms, Effect::Delay { ms: 1 }).rate(0.5);
    system.faults().replace(vec![delay; 5]).unwrap();
    system
}

/// Confirmations of so many PNRs in turn, each newer than the last of its PNR and for a phone and an address of its own.
pub(crate) async fn write(system: &System, count: usize, pnrs: usize, spread: Spread) {
    let producer = Producer::new(system.broker().settings(), "e2e", Patience::Endless).unwrap();
    let mut value: Value = serde_json::from_str(sample_event()).unwrap();
    let run = system.group_of("");
    let mut reports = Vec::new();
    for number in 0..count {
        let pnr = format!("6{:09}", number % pnrs);
        value["eventId"] = format!("lane{run}-{count}-{number}").into();
        value["pnrNumber"] = pnr.clone().into();
        value["userPhone"] = format!("9{number:09}").into();
        value["userEmail"] = format!("user{number}@example.com").into();
        let text = value.to_string();
        let version = (count + number).to_string().into_bytes();
        let record = NewRecord {
            topic: TOPIC,
            partition: match spread {
                Spread::OnePartition => Some(0),
                Spread::ByKey => None,
            },
            key: Some(pnr.as_bytes()),
            value: Some(text.as_bytes()),
            headers: &[("ce_bookingversion".to_owned(), Some(version))],
        };
        reports.push(producer.enqueue(&record).unwrap());
        if reports.len() >= 5000 {
            for report in reports.drain(..) {
                report.await.unwrap();
            }
        }
    }
    for report in reports {
        report.await.unwrap();
    }
}

pub(crate) async fn told(system: &System, channel: Channel, count: usize) {
    let of_channel = Filter {
        channel: Some(channel),
        ..Filter::default()
    };
    let all = async || (system.ledger().messages(&of_channel).len() >= count).then_some(());
    eventually_within(Duration::from_mins(5), "messages", all).await;
}

/// Each record of a partition after the one before it, without a database; offsets are not even committed.
async fn usual(system: &System, spread: Spread) -> Duration {
    let subscription = Subscription {
        client_id: "e2e".to_owned(),
        group: system.group_of("usual"),
        topics: vec![TOPIC.to_owned()],
    };
    let topics = vec![TOPIC.to_owned()];
    let group = &subscription.group;
    system.broker().skip_to_end(group, topics).await.unwrap();
    let mut consumer = Consumer::start(system.broker().settings(), subscription).unwrap();
    let started = Instant::now();
    write(system, RECORDS, 1000, spread).await;
    let url = format!("{}/twilio", system.sandbox_url());
    let mut lanes = BTreeMap::new();
    let mut left = RECORDS;
    while left > 0 {
        let batch = consumer.next().await.unwrap();
        left -= batch.len();
        for record in batch {
            let lane = lanes
                .entry(record.partition)
                .or_insert_with(|| lane(url.clone()));
            lane.send(record).unwrap();
        }
    }
    drop(lanes);
    told(system, Channel::Sms, RECORDS).await;
    started.elapsed()
}

/// A task that sends what it is given, one after another.
fn lane(url: String) -> mpsc::UnboundedSender<Record> {
    let (lane, mut records) = mpsc::unbounded_channel::<Record>();
    let client = chassis::http::client(Duration::from_secs(30)).unwrap();
    tokio::spawn(async move {
        while let Some(record) = records.recv().await {
            send(&client, &url, &record).await;
        }
    });
    lane
}

async fn send(client: &Client, url: &str, record: &Record) {
    let event: Value = serde_json::from_slice(record.value.as_deref().unwrap()).unwrap();
    let (account, token) = (StandIn::CREDENTIALS[0].1, StandIn::CREDENTIALS[1].1);
    let form = [
        ("To", format!("+91{}", event["userPhone"].as_str().unwrap())),
        ("From", "RAILTK".to_owned()),
        (
            "Body",
            format!("PNR {} confirmed", event["pnrNumber"].as_str().unwrap()),
        ),
    ];
    let request = client.post(format!("{url}/2010-04-01/Accounts/{account}/Messages.json"));
    let answer = request
        .basic_auth(account, Some(token))
        .form(&form)
        .send()
        .await;
    assert!(answer.unwrap().status().is_success());
}
