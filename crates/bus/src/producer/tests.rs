use super::*;
use crate::InProcessBroker;

const LIMIT: Duration = Duration::from_secs(30);

#[test]
#[cfg(not(feature = "tls"))]
fn a_program_built_without_tls_says_so_when_it_is_asked_for() {
    for properties in [
        "security.protocol=SASL_SSL",
        "ssl.ca.location=ca.pem",
        "security.protocol=SASL_PLAINTEXT,sasl.mechanism=SCRAM-SHA-512,sasl.username=a,sasl.password=hidden",
    ] {
        let settings = KafkaSettings {
            kafka_properties: properties.parse().unwrap(),
            ..KafkaSettings::local("127.0.0.1:1".to_owned())
        };
        let refused = Producer::new(&settings, "test", Patience::Endless);
        let said = refused.unwrap_err().to_string();
        assert!(said.ends_with("see --features tls"), "{properties}: {said}");
        assert!(!said.contains("hidden"), "{said}");
    }
}

#[test]
fn a_producer_that_is_told_nothing_is_refused() {
    let acks = "acks must be all or a number above 0";
    for (properties, told) in [
        ("enable.idempotence=false,acks=0", acks),
        ("enable.idempotence=false,acks=0x0", acks),
        ("enable.idempotence=false,request.required.acks=0", acks),
        (
            "delivery.report.only.error=true",
            "delivery.report.only.error must be false",
        ),
    ] {
        let settings = KafkaSettings {
            kafka_properties: properties.parse().unwrap(),
            ..KafkaSettings::local("127.0.0.1:1".to_owned())
        };
        let refused = Producer::new(&settings, "test", Patience::Endless);
        assert_eq!(refused.unwrap_err().to_string(), told, "{properties}");
    }
}

const RECORD: NewRecord<'_> = NewRecord {
    topic: "t",
    partition: None,
    key: None,
    value: Some(b"value"),
    headers: &[],
};

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_lost_the_brokers_gives_its_records_back_and_writes_through_another() {
    let broker = InProcessBroker::start().unwrap();
    broker.create_topic("t", 1).unwrap();
    let producer = Producer::new(&broker.settings(1), "test", Patience::Endless).unwrap();
    producer.publish(&RECORD).await.unwrap();
    broker.go_down().unwrap();
    let in_flight = producer.enqueue(&RECORD).unwrap();
    let lost = |producer: &Producer| {
        let generation = producer.inner.read().unwrap();
        generation.link.0.lost.store(true, Ordering::Release);
        generation.number
    };
    assert_eq!(lost(&producer), 0);
    producer.look_after();
    assert_eq!(producer.current().0, 1);
    let given_back = tokio::time::timeout(LIMIT, in_flight).await.unwrap();
    assert!(
        matches!(given_back, Err(PublishError::Refused(_))),
        "{given_back:?}"
    );
    broker.come_up().unwrap();
    let written = tokio::time::timeout(LIMIT, producer.publish(&RECORD)).await;
    written.unwrap().unwrap();
}
