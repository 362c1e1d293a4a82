//! Each stage of a message alone: the decoder, the rendering, the inbox, the relay and the consumer, the last two beside Kafka's own tools.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bus::{Consumer, NewRecord, Offsets, Patience, Producer, Subscription};
use chassis::metrics::Metrics;
use chassis::{Shutdown, SystemClock};
use database::{Database, Schema};
use events::{BookingEvent, EventType, ReadHeaders};
use inbox::{Arrival, Choice, Claimed, Inbox, Outcome, Rules, Settled};
use outbox::{History, OutboxRow};
use testkit::{TestBroker, TestDatabase, sample_event};

const TOPIC: &str = EventType::BookingConfirmed.topic();
pub(crate) const LEASE: Duration = Duration::from_secs(30);
pub(crate) const RULES: Rules = Rules {
    order_wait: Duration::from_secs(10),
    max_age: Duration::from_hours(24),
};

pub(crate) async fn measure() {
    println!("\n## Stages, each alone\n");
    println!("| stage | count | seconds | a second |\n|---|---|---|---|");
    decoder();
    rendering();
    for batch in [1, 32, 256] {
        claims(batch).await;
    }
    relay().await;
    consumer().await;
}

fn row(stage: &str, count: usize, took: Duration) {
    let seconds = took.as_secs_f64();
    let rate = f64::from(u32::try_from(count).unwrap()) / seconds;
    println!("| {stage} | {count} | {seconds:.2} | {rate:.0} |");
}

fn decoder() {
    let count = 200_000;
    let started = Instant::now();
    for _ in 0..count {
        let event = BookingEvent::decode(std::hint::black_box(sample_event().as_bytes()));
        std::hint::black_box(event.unwrap());
    }
    row("decode an event", count, started.elapsed());
}

fn rendering() {
    let event = BookingEvent::decode(sample_event().as_bytes()).unwrap();
    let count = 20_000;
    let time = |name: &str, render: fn(&BookingEvent) -> usize| {
        let started = Instant::now();
        for _ in 0..count {
            std::hint::black_box(render(std::hint::black_box(&event)));
        }
        row(name, count, started.elapsed());
    };
    time("render a letter", |event| {
        email_notifier::preview(event).unwrap().len()
    });
    time("render an SMS", |event| {
        sms_notifier::preview(event).unwrap().len()
    });
    time("render a template message", |event| {
        whatsapp_notifier::preview(event).unwrap().len()
    });
}

/// Confirmations of so many PNRs.
pub(crate) fn arrivals(numbers: std::ops::Range<usize>) -> Vec<Arrival> {
    let sample = BookingEvent::decode(sample_event().as_bytes()).unwrap();
    let arrival = |number: usize| {
        let mut event = sample.clone();
        event.event_id = format!("stage-{number}").parse().unwrap();
        event.pnr_number = format!("3{number:09}").parse().unwrap();
        let record = bus::Record {
            topic: TOPIC.to_owned(),
            value: Some(event.encode().unwrap()),
            ..bus::Record::default()
        };
        Arrival::new(record, &event, &ReadHeaders::default(), &EventType::ALL).unwrap()
    };
    numbers.map(arrival).collect()
}

pub(crate) async fn store(database: &Database, inbox: &Inbox, arrivals: &[Arrival]) {
    let mut transaction = database.begin().await.unwrap();
    let store = inbox.store(&mut transaction, arrivals, None);
    store.await.unwrap();
    transaction.commit().await.unwrap();
}

pub(crate) async fn open(test_database: &TestDatabase, schema: Schema) -> Database {
    let settings = test_database.settings();
    Database::open(&settings, 4, &[schema]).await.unwrap()
}

/// In, claimed and settled, by the number of rows in a transaction.
async fn claims(batch: usize) {
    let test_database = TestDatabase::new().unwrap();
    let database = open(&test_database, inbox::SCHEMA).await;
    let inbox = Inbox::new(database.clone(), RULES, &["smtp"]);
    let count = if batch == 1 { 1_000 } else { 20_480 };
    let rows = arrivals(0..count);
    let started = Instant::now();
    for some in rows.chunks(batch) {
        store(&database, &inbox, some).await;
    }
    row(
        &format!("into the inbox, {batch} at once"),
        count,
        started.elapsed(),
    );
    let started = Instant::now();
    let mut left = count;
    while left > 0 {
        let claim = inbox.claim(("smtp", Choice::Any), batch, LEASE).await;
        let settled: Vec<_> = claim.unwrap().iter().map(sent).collect();
        let mut transaction = database.begin().await.unwrap();
        left -= inbox
            .settle(&mut transaction, &settled)
            .await
            .unwrap()
            .len();
        transaction.commit().await.unwrap();
    }
    row(
        &format!("claim and outcome, {batch} at once"),
        count,
        started.elapsed(),
    );
}

pub(crate) fn sent(row: &Claimed) -> Settled {
    Settled {
        seq: row.seq,
        token: row.token,
        outcome: Outcome::Sent {
            provider_message_id: "1".to_owned(),
            remark: None,
        },
    }
}

/// Rows that wait in the outbox, until the broker has them all.
async fn relay() {
    let count = 50_000;
    let test_database = TestDatabase::new().unwrap();
    let database = open(&test_database, outbox::SCHEMA).await;
    let broker = own_broker().await;
    let (outbox, _idle) = pair(&database, &broker);
    let rows: Vec<_> = (0..count).map(outbox_row).collect();
    for some in rows.chunks(500) {
        let mut transaction = database.begin().await.unwrap();
        // Nobody holds them, as after a crash.
        drop(
            outbox
                .insert(&mut transaction, some.to_vec())
                .await
                .unwrap(),
        );
        transaction.commit().await.unwrap();
    }
    let (_outbox, relay) = pair(&database, &broker);
    let started = Instant::now();
    let shutdown = Shutdown::new();
    let running = tokio::spawn(relay.run(shutdown.clone()));
    let sql = "select count(*) from outbox where published_at is null";
    while 0 < sqlx::query_scalar::<_, i64>(sql)
        .fetch_one(&database)
        .await
        .unwrap()
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    row(
        "relay, from the database to the broker",
        count,
        started.elapsed(),
    );
    shutdown.cancel();
    running.await.unwrap().unwrap();
    producer_perf_test(&broker, count);
}

fn pair(database: &Database, broker: &TestBroker) -> (outbox::Outbox, outbox::Relay) {
    let producer = Producer::new(broker.settings(), "bench", Patience::Endless).unwrap();
    let (clock, metrics) = (Arc::new(SystemClock), Metrics::default());
    outbox::pair(
        database.clone(),
        producer,
        clock,
        &metrics,
        ("booking", History::Kept),
    )
}

fn outbox_row(number: usize) -> OutboxRow {
    OutboxRow {
        event_id: format!("stage-{number}"),
        topic: TOPIC.to_owned(),
        key: format!("3{number:09}"),
        event_type: "BOOKING_CONFIRMED".to_owned(),
        version: 1,
        payload: sample_event().to_owned(),
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        created_at_micros: 1_800_000_000_000_000,
    }
}

/// Kafka's own tool with the same size and the same promises.
fn producer_perf_test(broker: &TestBroker, count: usize) {
    let servers = &broker.settings().kafka_bootstrap_servers;
    let properties = [
        format!("bootstrap.servers={servers}"),
        "acks=all".to_owned(),
        "enable.idempotence=true".to_owned(),
    ];
    let size = sample_event().len().to_string();
    let mut arguments = vec![
        "--topic",
        TOPIC,
        "--throughput",
        "-1",
        "--record-size",
        &size,
    ];
    let records = count.to_string();
    arguments.extend(["--num-records", &records, "--producer-props"]);
    arguments.extend(properties.iter().map(String::as_str));
    own_tool(broker, "kafka-producer-perf-test.sh", &arguments);
}

/// Records that wait in Kafka, until the inbox has them all.
async fn consumer() {
    let count = 50_000;
    let broker = own_broker().await;
    let test_database = TestDatabase::new().unwrap();
    let database = open(&test_database, inbox::SCHEMA).await;
    let inbox = Inbox::new(database.clone(), RULES, &["smtp"]);
    let subscription = Subscription {
        client_id: "bench".to_owned(),
        group: "stages".to_owned(),
        topics: vec![TOPIC.to_owned()],
    };
    write(&broker, count).await;
    let mut consumer = Consumer::start(broker.settings(), subscription).unwrap();
    let mut started = None;
    let mut read = 0;
    while read < count {
        let batch = consumer.next().await.unwrap();
        // Joining the group takes its time.
        let _ = started.get_or_insert_with(Instant::now);
        read += batch.len();
        let mut offsets = Offsets::default();
        let mut rows = Vec::with_capacity(batch.len());
        for record in batch {
            offsets.past(&record);
            let event = BookingEvent::decode(record.value.as_deref().unwrap()).unwrap();
            rows.push(
                Arrival::new(record, &event, &ReadHeaders::default(), &EventType::ALL).unwrap(),
            );
        }
        store(&database, &inbox, &rows).await;
        consumer.commit(offsets);
    }
    row(
        "consumer, from the broker into the inbox",
        count,
        started.unwrap().elapsed(),
    );
    consumer.close().await;
    consumer_perf_test(&broker, count);
}

async fn write(broker: &TestBroker, count: usize) {
    let producer = Producer::new(broker.settings(), "bench", Patience::Endless).unwrap();
    let sample = BookingEvent::decode(sample_event().as_bytes()).unwrap();
    let mut reports = Vec::new();
    for number in 0..count {
        let mut event = sample.clone();
        event.event_id = format!("stage-{number}").parse().unwrap();
        event.pnr_number = format!("4{number:09}").parse().unwrap();
        let value = event.encode().unwrap();
        let key = event.pnr_number.to_string();
        let record = NewRecord {
            topic: TOPIC,
            partition: None,
            key: Some(key.as_bytes()),
            value: Some(&value),
            headers: &[],
        };
        reports.push(producer.enqueue(&record).unwrap());
        if reports.len() == 5_000 {
            for report in reports.drain(..) {
                report.await.unwrap();
            }
        }
    }
    for report in reports {
        report.await.unwrap();
    }
}

fn consumer_perf_test(broker: &TestBroker, count: usize) {
    let servers = broker.settings().kafka_bootstrap_servers.clone();
    let records = count.to_string();
    let arguments = [
        "--bootstrap-server",
        &servers,
        "--topic",
        TOPIC,
        "--messages",
        &records,
    ];
    own_tool(broker, "kafka-consumer-perf-test.sh", &arguments);
}

async fn own_broker() -> TestBroker {
    match TestBroker::start_own().await.unwrap() {
        Some(broker) => broker,
        None => TestBroker::start().await.unwrap(),
    }
}

/// Its last line is its result.
fn own_tool(broker: &TestBroker, tool: &str, arguments: &[&str]) {
    let Some(tools) = broker.tools() else {
        println!("| `{tool}` | | needs TEST_KAFKA | |");
        return;
    };
    let output = Command::new(tools.join(tool))
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    println!("| `{tool}`: {} |", said.lines().last().unwrap());
}
