//! Producer and consumer against librdkafka's in-process broker.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod topics;

use std::time::Duration;

use bus::{
    Consumer, IN_PROCESS_PROPERTIES, InProcessBroker, KafkaSettings, NewRecord, Offsets, Patience,
    Producer, PublishError, Record, Refusal, Request, Subscription, Topics,
};
use testkit::eventually;

const LIMIT: Duration = Duration::from_secs(30);

fn broker(topics: &[&str]) -> (InProcessBroker, KafkaSettings) {
    let broker = InProcessBroker::start().unwrap();
    for topic in topics {
        broker.create_topic(topic, 3).unwrap();
    }
    let settings = broker.settings(3);
    (broker, settings)
}

fn consumer(settings: &KafkaSettings) -> Consumer {
    let subscription = Subscription {
        client_id: "test".to_owned(),
        group: "group".to_owned(),
        topics: vec!["t".to_owned()],
    };
    Consumer::start(settings, subscription).unwrap()
}

/// An earlier record's refusal is forgotten by librdkafka when a later one is acknowledged; here the broker has only the later one.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_taken_for_written_because_a_later_one_is_is_not_written() {
    let (broker, settings) = broker(&["t"]);
    let properties = format!("{IN_PROCESS_PROPERTIES},batch.num.messages=1");
    let settings = KafkaSettings {
        kafka_properties: properties.parse().unwrap(),
        ..settings
    };
    let producer = Producer::new(&settings, "test", Patience::Endless).unwrap();
    let record = NewRecord {
        topic: "t",
        partition: Some(0),
        key: None,
        value: Some(b"value"),
        headers: &[],
    };
    for _ in 0..100 {
        let before = producer.publish(&record).await.unwrap();
        broker
            .refuse(Request::Produce, &[Refusal::TimedOut])
            .unwrap();
        let refused = producer.enqueue(&record).unwrap();
        let taken = producer.enqueue(&record).unwrap();
        let refused = tokio::time::timeout(LIMIT, refused).await.unwrap();
        let taken = taken.await.unwrap();
        match refused {
            Err(PublishError::Unplaced) => {
                assert_eq!(taken.offset, before.offset + 1);
                return;
            }
            // The later one was not on its way yet, and the refused one went again before it.
            again => assert_eq!(again.unwrap().offset, before.offset + 1),
        }
    }
    panic!("no record was taken for written");
}

async fn publish(producer: &Producer, key: &str, value: &str) {
    let headers = [("h".to_owned(), Some(b"1".to_vec()))];
    let record = NewRecord {
        topic: "t",
        partition: None,
        key: Some(key.as_bytes()),
        value: Some(value.as_bytes()),
        headers: &headers,
    };
    producer.publish(&record).await.unwrap();
}

async fn read(consumer: &mut Consumer, count: usize) -> Vec<Record> {
    let mut records = Vec::new();
    while records.len() < count {
        let batch = tokio::time::timeout(LIMIT, consumer.next())
            .await
            .unwrap()
            .unwrap();
        records.extend(batch);
    }
    records
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_is_not_read_again() {
    let (_broker, settings) = broker(&["t"]);
    let producer = Producer::new(&settings, "test", Patience::Endless).unwrap();
    for n in 0..20 {
        publish(&producer, &format!("key-{n}"), "first").await;
    }
    let mut first = consumer(&settings);
    let records = read(&mut first, 20).await;
    assert_eq!(records.len(), 20);
    assert_eq!(records[0].header("h"), Some("1"));
    let mut offsets = Offsets::default();
    for record in &records {
        offsets.past(record);
    }
    first.commit(offsets);
    first.close().await;

    publish(&producer, "key-21", "second").await;
    let mut second = consumer(&settings);
    let records = read(&mut second, 1).await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].value.as_deref(), Some(b"second".as_slice()));
    second.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_committed_is_read_again() {
    let (_broker, settings) = broker(&["t"]);
    let producer = Producer::new(&settings, "test", Patience::Endless).unwrap();
    publish(&producer, "key", "value").await;
    let mut first = consumer(&settings);
    read(&mut first, 1).await;
    first.close().await;
    let mut second = consumer(&settings);
    assert_eq!(read(&mut second, 1).await.len(), 1);
    second.close().await;
}

/// Of each codec that a producer of another team may have; of like bytes, or librdkafka leaves a batch as it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_read_however_its_producer_compressed_it() {
    let (_broker, settings) = broker(&["t"]);
    let value = "v".repeat(100_000);
    let mut consumer = consumer(&settings);
    for codec in ["gzip", "snappy", "lz4", "zstd"] {
        let properties = format!("compression.type={codec}");
        let compressing = KafkaSettings {
            kafka_properties: properties.parse().unwrap(),
            ..settings.clone()
        };
        let producer = Producer::new(&compressing, "test", Patience::Endless).unwrap();
        publish(&producer, codec, &value).await;
        let record = read(&mut consumer, 1).await.remove(0);
        assert_eq!(record.key.as_deref(), Some(codec.as_bytes()));
        assert!(record.value.as_deref() == Some(value.as_bytes()), "{codec}");
    }
    consumer.close().await;
}

async fn group_has_committed(settings: &KafkaSettings, wanted: i64) {
    let topics = Topics::new(settings, "test").unwrap();
    eventually(&format!("commit of {wanted}"), async || {
        let positions = topics.positions("group", vec!["t".to_owned()]).await;
        let mut positions = positions.unwrap().into_iter();
        let found = positions.find(|position| position.committed == Some(wanted));
        found.map(|_| ())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_broker_refused_to_commit_is_committed_later() {
    let (broker, settings) = broker(&["t"]);
    let producer = Producer::new(&settings, "test", Patience::Endless).unwrap();
    publish(&producer, "key", "value").await;
    let mut consumer = consumer(&settings);
    let records = read(&mut consumer, 1).await;
    broker
        .refuse(Request::OffsetCommit, &[Refusal::NotAuthorised])
        .unwrap();
    let mut offsets = Offsets::default();
    offsets.past(&records[0]);
    consumer.commit(offsets);
    group_has_committed(&settings, 1).await;
    consumer.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_consumer_leaves_records_at_the_broker_and_goes_on_where_it_was() {
    let (_broker, settings) = broker(&["t"]);
    let producer = Producer::new(&settings, "test", Patience::Endless).unwrap();
    publish(&producer, "key", "before").await;
    let mut consumer = consumer(&settings);
    read(&mut consumer, 1).await;
    consumer.hold();
    publish(&producer, "key", "while held").await;
    let held = tokio::time::timeout(Duration::from_millis(700), consumer.next()).await;
    assert!(held.is_err(), "a held consumer read a record");
    consumer.resume();
    assert_eq!(
        read(&mut consumer, 1).await[0].value.as_deref(),
        Some(b"while held".as_slice())
    );
    consumer.close().await;
}

/// Records of 2 KiB each, written together.
async fn publish_many(producer: &Producer, count: usize) {
    let value = "v".repeat(2048);
    let enqueue = |number: usize| {
        let key = number.to_string();
        let record = NewRecord {
            topic: "t",
            partition: None,
            key: Some(key.as_bytes()),
            value: Some(value.as_bytes()),
            headers: &[],
        };
        producer.enqueue(&record).unwrap()
    };
    let written: Vec<_> = (0..count).map(enqueue).collect();
    for one in written {
        one.await.unwrap();
    }
}

async fn lag_is(consumer: &Consumer, wanted: usize) {
    let wanted = i64::try_from(wanted).unwrap();
    eventually(&format!("lag of {wanted}"), async || {
        let lag: i64 = consumer.lag().iter().map(|lag| lag.records).sum();
        (lag == wanted).then_some(())
    })
    .await;
}

/// More than librdkafka fetches ahead.
#[tokio::test(flavor = "multi_thread")]
async fn lag_grows_also_while_nothing_is_taken() {
    let (_broker, settings) = broker(&["t"]);
    let producer = Producer::new(&settings, "test", Patience::Endless).unwrap();
    publish_many(&producer, 4000).await;
    let mut consumer = consumer(&settings);
    let taken = read(&mut consumer, 1).await;
    lag_is(&consumer, 4000).await;
    publish_many(&producer, 1000).await;
    lag_is(&consumer, 5000).await;
    let mut offsets = Offsets::default();
    for record in &taken {
        offsets.past(record);
    }
    consumer.commit(offsets);
    lag_is(&consumer, 5000 - taken.len()).await;
    consumer.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_wait_for_a_broker_that_is_down() {
    let (broker, settings) = broker(&["t"]);
    let producer = Producer::new(&settings, "test", Patience::Endless).unwrap();
    publish(&producer, "key", "up").await;
    broker.go_down().unwrap();
    let record = NewRecord {
        topic: "t",
        partition: None,
        key: None,
        value: Some(b"down"),
        headers: &[],
    };
    let mut acknowledgement = tokio::spawn(producer.enqueue(&record).unwrap());
    let early = tokio::time::timeout(Duration::from_millis(200), &mut acknowledgement).await;
    assert!(early.is_err(), "acknowledged by nobody: {early:?}");
    broker.come_up().unwrap();
    tokio::time::timeout(LIMIT, acknowledgement)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_land_where_the_java_client_puts_them() {
    let (_broker, settings) = broker(&["t"]);
    let producer = Producer::new(&settings, "test", Patience::Endless).unwrap();
    // org.apache.kafka.common.utils.Utils.murmur2 & 0x7fffffff, modulo 3.
    for (key, partition) in [
        ("2412345678", 1),
        ("1234567890", 2),
        ("4500000001", 1),
        ("8899776655", 0),
    ] {
        let record = NewRecord {
            topic: "t",
            partition: None,
            key: Some(key.as_bytes()),
            value: None,
            headers: &[],
        };
        assert_eq!(
            producer.publish(&record).await.unwrap().partition,
            partition,
            "{key}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_whose_brokers_stay_away_begins_anew_with_the_bootstrap_servers() {
    let (first, settings) = broker(&["t"]);
    let (second, others) = broker(&["t"]);
    for (settings, value) in [(&settings, "first"), (&others, "second")] {
        let producer = Producer::new(settings, "test", Patience::Endless).unwrap();
        publish(&producer, "key", value).await;
    }
    second.go_down().unwrap();
    let both = KafkaSettings {
        kafka_bootstrap_servers: format!(
            "{},{}",
            settings.kafka_bootstrap_servers, others.kafka_bootstrap_servers
        ),
        ..settings
    };
    let mut consumer = consumer(&both);
    assert_eq!(
        read(&mut consumer, 1).await[0].value.as_deref(),
        Some(&b"first"[..])
    );
    first.go_down().unwrap();
    second.come_up().unwrap();
    // It is without a broker for longer than its session before it does.
    let batch = tokio::time::timeout(LIMIT, consumer.next()).await;
    assert_eq!(
        batch.unwrap().unwrap()[0].value.as_deref(),
        Some(&b"second"[..])
    );
    consumer.close().await;
}
