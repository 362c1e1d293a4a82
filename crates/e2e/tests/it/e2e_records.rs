//! Records of other producers, good and bad.

use bus::{Header, NewRecord, Record};
use events::Channel;
use serde_json::Value;
use testkit::{System, TestBroker, eventually, sample_event};

use crate::client::{metric, told};
use crate::sessions::count_in_state;

/// The sample with an identity of its own.
fn event(id: &str, pnr: &str) -> Value {
    let mut event: Value = serde_json::from_str(sample_event()).unwrap();
    event["eventId"] = id.into();
    event["pnrNumber"] = pnr.into();
    event
}

/// An identity that no other run of the tests has.
fn unique() -> String {
    tempfile::TempDir::new()
        .unwrap()
        .path()
        .file_name()
        .unwrap()
        .to_string_lossy()
        .replace('.', "e")
}

fn pnr() -> String {
    let id = unique();
    let digits = id.bytes().fold(7_u64, |sum, byte| {
        (sum * 131 + u64::from(byte)) % 1_000_000_000
    });
    format!("2{digits:09}")
}

async fn produce(
    broker: &TestBroker,
    topic: &str,
    key: Option<&str>,
    value: Option<&[u8]>,
    headers: &[Header],
) -> bus::Published {
    let key = key.map(str::as_bytes);
    let record = NewRecord {
        topic,
        partition: None,
        key,
        value,
        headers,
    };
    broker.produce(&record).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_alone_is_told_on_every_channel() {
    let system = System::builder().start().await.unwrap();
    let pnr = pnr();
    let value = event(&unique(), &pnr).to_string();
    produce(
        system.broker(),
        "booking-confirmed",
        None,
        Some(value.as_bytes()),
        &[],
    )
    .await;
    for channel in Channel::ALL {
        told(&system, channel, &pnr, 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_no_text_changes_nothing() {
    let system = System::builder().start().await.unwrap();
    let pnr = pnr();
    let value = event(&unique(), &pnr).to_string();
    let record = NewRecord {
        topic: "booking-confirmed",
        partition: None,
        key: Some(b"\xff\x00\xfe"),
        value: Some(value.as_bytes()),
        headers: &[],
    };
    system.broker().produce(&record).await.unwrap();
    for channel in Channel::ALL {
        told(&system, channel, &pnr, 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_event_twice_is_told_once() {
    let system = System::builder().start().await.unwrap();
    let (first, second) = (pnr(), pnr());
    let value = event(&unique(), &first).to_string();
    for _ in 0..3 {
        produce(
            system.broker(),
            "booking-confirmed",
            Some("k"),
            Some(value.as_bytes()),
            &[],
        )
        .await;
    }
    let marker = event(&unique(), &second).to_string();
    produce(
        system.broker(),
        "booking-confirmed",
        Some("k"),
        Some(marker.as_bytes()),
        &[],
    )
    .await;
    for (channel, name) in [
        (Channel::Email, "email-notifier"),
        (Channel::Sms, "sms-notifier"),
        (Channel::Whatsapp, "whatsapp-notifier"),
    ] {
        told(&system, channel, &second, 1).await;
        let suppressed = async || {
            let count = metric(&system, name, "notifier_duplicates_suppressed_total").await;
            (count == 2).then_some(())
        };
        eventually("both copies", suppressed).await;
        let finished = async || {
            let waits = count_in_state(&system, name, "PENDING").await;
            let claimed = count_in_state(&system, name, "CLAIMED").await;
            (waits + claimed == 0).then_some(())
        };
        eventually("end of every row", finished).await;
        assert_eq!(system.told(channel, &first).len(), 1, "{channel}");
    }
}

struct Poison {
    name: &'static str,
    value: Option<Vec<u8>>,
    headers: Vec<Header>,
    class: &'static str,
    stage: &'static str,
    error: &'static str,
}

fn poison(
    name: &'static str,
    value: Option<Vec<u8>>,
    outcome: (&'static str, &'static str, &'static str),
) -> Poison {
    let (class, stage, error) = outcome;
    Poison {
        name,
        value,
        headers: vec![
            ("x-kept".to_owned(), Some(b"\x00\xff".to_vec())),
            ("x-none".to_owned(), None),
        ],
        class,
        stage,
        error,
    }
}

/// As near to 1 MiB as a broker takes by default (`message.max.bytes` 1,048,588, with the record's own overhead).
fn noise() -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..1_048_000).map(|_| next()).collect()
}

fn corpus() -> Vec<Poison> {
    let with = |field: &str, value: Value| {
        let mut event = event(&unique(), &pnr());
        event[field] = value;
        Some(event.to_string().into_bytes())
    };
    let mut newer = poison(
        "newer schema",
        with("userId", 1.into()),
        ("INVALID", "validate", "schema version 2"),
    );
    newer
        .headers
        .push(("ce_type".to_owned(), Some(b"booking.confirmed.v2".to_vec())));
    vec![
        poison(
            "broken JSON",
            Some(b"{\"eventId\": \"x".to_vec()),
            ("UNDECODABLE", "decode", "not JSON"),
        ),
        poison(
            "number as PNR",
            with("pnrNumber", 1_234_567_890.into()),
            ("INVALID", "validate", "pnrNumber"),
        ),
        poison(
            "empty value",
            Some(Vec::new()),
            ("UNDECODABLE", "decode", "no value"),
        ),
        poison("no value", None, ("UNDECODABLE", "decode", "no value")),
        poison(
            "noise",
            Some(noise()),
            ("UNDECODABLE", "decode", "not JSON"),
        ),
        poison(
            "unknown type",
            with("eventType", "BOOKING_BURNT".into()),
            ("INVALID", "validate", "eventType"),
        ),
        poison(
            "stray type",
            with("eventType", "BOOKING_CANCELLED".into()),
            ("INVALID", "validate", "eventType"),
        ),
        newer,
    ]
}

fn assert_dead(letter: &Record, poison: &Poison, at: bus::Published, channel: Channel) {
    let header = |name: &str| {
        letter
            .header(name)
            .unwrap_or_else(|| panic!("{}: no {name}", poison.name))
            .to_owned()
    };
    assert_eq!(letter.value, poison.value, "{}", poison.name);
    assert_eq!(letter.partition, at.partition, "{}", poison.name);
    let original = poison.headers.as_slice();
    assert!(letter.headers.starts_with(original), "{}", poison.name);
    assert_eq!(header("dlq-source-topic"), "booking-confirmed");
    assert_eq!(header("dlq-source-partition"), at.partition.to_string());
    assert_eq!(header("dlq-source-offset"), at.offset.to_string());
    assert!(header("dlq-source-timestamp").parse::<i64>().unwrap() > 1_600_000_000_000);
    assert!(header("dlq-group").contains(channel.as_str()));
    assert_eq!(header("dlq-channel"), channel.as_str());
    assert_eq!(header("dlq-class"), poison.class, "{}", poison.name);
    assert_eq!(header("dlq-stage"), poison.stage, "{}", poison.name);
    assert!(
        header("dlq-error").contains(poison.error),
        "{}: {}",
        poison.name,
        header("dlq-error")
    );
    assert_eq!(header("dlq-attempts"), "0");
    assert_eq!(header("dlq-provider"), "");
    assert_eq!(header("dlq-provider-status"), "");
    assert_eq!(header("dlq-replay-count"), "0");
    assert_eq!(
        header("dlq-first-failure-at"),
        header("dlq-last-failure-at")
    );
    let id = poison
        .value
        .as_deref()
        .and_then(|value| serde_json::from_slice::<Value>(value).ok());
    let id = id
        .and_then(|value| value["eventId"].as_str().map(str::to_owned))
        .unwrap_or_default();
    assert_eq!(header("dlq-event-id"), id, "{}", poison.name);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_record_goes_to_every_channel_s_dead_letters_and_the_next_good_one_is_told() {
    let system = System::builder().start().await.unwrap();
    let topics = Channel::ALL.map(|channel| channel.dead_letter_topic("booking-confirmed"));
    let mut dead_letters = system.broker().reader(topics).unwrap();
    for poison in corpus() {
        let key = unique();
        let broker = system.broker();
        let at = produce(
            broker,
            "booking-confirmed",
            Some(&key),
            poison.value.as_deref(),
            &poison.headers,
        )
        .await;
        let good = pnr();
        let value = event(&unique(), &good).to_string();
        produce(
            broker,
            "booking-confirmed",
            Some(&key),
            Some(value.as_bytes()),
            &[],
        )
        .await;
        for channel in Channel::ALL {
            told(&system, channel, &good, 1).await;
        }
        for channel in Channel::ALL {
            let topic = channel.dead_letter_topic("booking-confirmed");
            let letter = dead_letters.find(&topic, &key).await.unwrap();
            assert_dead(&letter, &poison, at, channel);
        }
    }
}
