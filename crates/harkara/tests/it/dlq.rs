//! Listing, showing and discarding dead letters.

use std::collections::BTreeSet;

use events::{Channel, DeadLetterClass, EventType, Stage};
use serde_json::Value;

use crate::desk::{Desk, LetterBuilder, some_pnr};

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

const CLASSES: [(DeadLetterClass, Stage); 5] = [
    (DeadLetterClass::Undecodable, Stage::Decode),
    (DeadLetterClass::Invalid, Stage::Validate),
    (DeadLetterClass::Permanent, Stage::Send),
    (DeadLetterClass::Exhausted, Stage::Send),
    (DeadLetterClass::Ambiguous, Stage::Send),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_class_is_listed_counted_and_filtered() {
    let desk = Desk::open().await;
    let pnr = some_pnr();
    for (class, stage) in CLASSES {
        let event = desk.event(EventType::BookingConfirmed, &pnr, class.as_str());
        desk.bury(&LetterBuilder::new(Channel::Sms, &event).class(class, stage))
            .await;
    }
    let text = desk.dlq(&["list", "--pnr", pnr.as_str()]).await.well();
    assert!(
        !text.contains(pnr.as_str()) && text.contains(&pnr.masked()),
        "{text}"
    );
    assert!(text.contains("\n5 dead letters.\n"), "{text}");
    for (class, stage) in CLASSES {
        let row = text
            .lines()
            .find(|line| line.contains(&format!("  {stage}")) && line.contains(class.as_str()));
        assert!(row.unwrap().contains("the provider was away"), "{text}");
        let summed = format!("booking-confirmed.sms.dlq  {:<12}  1", class.as_str());
        assert!(
            text.lines()
                .any(|line| line.split_whitespace().eq(summed.split_whitespace())),
            "{text}"
        );
        let json = desk
            .dlq(&[
                "list",
                "--json",
                "--show-pnr",
                "--pnr",
                pnr.as_str(),
                "--class",
                &class.as_str().to_lowercase(),
            ])
            .await
            .well();
        let found = lines(&json);
        assert_eq!(found.len(), 1, "{json}");
        assert_eq!(found[0]["class"], class.as_str());
        assert_eq!(found[0]["pnr"], pnr.as_str());
        assert_eq!(found[0]["attempts"], 8);
        assert_eq!(found[0]["state"], "open");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_filters_leave_what_fits_all_of_them() {
    let desk = Desk::open().await;
    let pnr = some_pnr();
    let confirmed = desk.event(EventType::BookingConfirmed, &pnr, "confirmed");
    let paid = desk.event(EventType::PaymentCompleted, &pnr, "paid");
    desk.bury(&LetterBuilder::new(Channel::Sms, &confirmed))
        .await;
    desk.bury(&LetterBuilder::new(Channel::Email, &confirmed))
        .await;
    desk.bury(&LetterBuilder::new(Channel::Email, &paid)).await;
    for (filter, count) in [
        (vec![], 3),
        (vec!["--channel", "email"], 2),
        (vec!["--topic", "payment-completed"], 1),
        (vec!["--topic", "payment-completed", "--channel", "sms"], 0),
        (vec!["--event-id", paid.event_id.as_str()], 1),
        (vec!["--since", "30min"], 0),
        (vec!["--since", "2h"], 3),
        (vec!["--until", "30min"], 3),
        (vec!["--until", "2h"], 0),
        (vec!["--limit", "2"], 2),
    ] {
        let arguments = [
            vec!["list", "--json", "--pnr", pnr.as_str()],
            filter.clone(),
        ]
        .concat();
        let text = desk.dlq(&arguments).await.well();
        assert_eq!(lines(&text).len(), count, "{filter:?}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_is_shown_with_its_headers_and_without_its_passenger() {
    let desk = Desk::open().await;
    let pnr = some_pnr();
    let event = desk.event(EventType::BookingConfirmed, &pnr, "a");
    let at = desk.bury(&LetterBuilder::new(Channel::Email, &event)).await;
    let parts: Vec<_> = at.split('/').collect();
    let apart = desk
        .dlq(&["show", parts[0], parts[1], parts[2]])
        .await
        .well();
    let text = desk.dlq(&["show", &at]).await.well();
    assert_eq!(text, apart);
    assert!(text.starts_with(&format!("{at}  open\n")), "{text}");
    for told in [
        "dlq-provider-status    503",
        "\"trainName\": \"Rajdhani Express\"",
        &pnr.masked(),
    ] {
        assert!(text.contains(told), "{told}: {text}");
    }
    let personal = ["John Doe", "user@example.com", "9876543210", pnr.as_str()];
    let revealed = desk.dlq(&["show", &at, "--reveal"]).await.well();
    for one in personal {
        assert!(!text.contains(one), "{one}: {text}");
        assert!(revealed.contains(one), "{one}: {revealed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discarded_letter_is_dealt_with_and_stays_where_it_is() {
    let desk = Desk::open().await;
    let pnr = some_pnr();
    let event = desk.event(EventType::BookingConfirmed, &pnr, "a");
    let at = desk
        .bury(&LetterBuilder::new(Channel::Whatsapp, &event))
        .await;
    let asked = desk.dlq(&["discard", "--pnr", pnr.as_str()]).await;
    assert_eq!(asked.status, Some(64), "{}", asked.err);
    assert!(
        asked
            .err
            .starts_with("--yes: is required to discard 1 dead letter "),
        "{}",
        asked.err
    );

    let said = desk
        .dlq(&["discard", "--pnr", pnr.as_str(), "--yes"])
        .await
        .well();
    assert!(said.starts_with(&format!("discarded {at} by ")), "{said}");
    assert!(said.ends_with("1 of 1 dead letter discarded.\n"), "{said}");
    let records = desk.records("booking-confirmed.whatsapp.dlq").await;
    assert_eq!(records.len(), 2);
    let mark = records.last().unwrap();
    assert_eq!((mark.value.as_ref(), mark.partition), (None, 1));
    assert_eq!(mark.key, records[0].key);
    assert_eq!(mark.header("dlq-discarded"), Some(at.as_str()));
    assert_eq!(mark.header("dlq-event-id"), Some(event.event_id.as_str()));

    let open = desk.dlq(&["list", "--pnr", pnr.as_str()]).await.well();
    assert!(open.starts_with("No dead letter fits.\n"), "{open}");
    let all = desk
        .dlq(&["list", "--pnr", pnr.as_str(), "--all", "--json"])
        .await
        .well();
    assert_eq!(lines(&all)[0]["state"], "discarded");
    let again = desk
        .dlq(&["discard", "--pnr", pnr.as_str(), "--yes"])
        .await
        .well();
    assert_eq!(again, "No open dead letter fits.\n");
    let replay = desk
        .dlq(&["replay", "--pnr", pnr.as_str(), "--force"])
        .await
        .well();
    assert_eq!(replay, "No open dead letter fits.\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_no_dead_letter_is_named_and_can_be_shown() {
    let desk = Desk::open().await;
    let pnr = some_pnr();
    let event = desk.event(EventType::BookingCancelled, &pnr, "a");
    let letter = LetterBuilder::new(Channel::Sms, &event);
    let mut record = desk.write_letter(&letter).await;
    record.headers.clear();
    let at = crate::desk::place(&desk.write(&record).await);
    let text = desk
        .dlq(&["list", "--topic", "booking-cancelled"])
        .await
        .well();
    let told =
        format!("{at} is no dead letter: header dlq-source-topic is missing or makes no sense");
    assert!(text.contains(&told), "{text}");
    let shown = desk.dlq(&["show", &at]).await.well();
    assert!(shown.contains("  no dead letter: "), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_flag_is_64_and_an_absent_broker_69() {
    let desk = Desk::open().await;
    for (arguments, line) in [
        (vec!["list", "--class", "BORED"], "--class: must be one of"),
        (vec!["list", "--since", "soon"], "--since: must be a time"),
        (
            vec!["list", "--topic", "booking-lost"],
            "--topic: must be one of",
        ),
        (vec!["list", "--pnr", "12"], "--pnr: must be 10 digits"),
        (vec!["replay", "--max-age", "old"], "MAX_AGE: "),
        (vec!["replay", "--rate", "0"], "--rate: "),
        (vec!["show"], "PLACE: is required"),
        (vec!["show", "nowhere"], "PLACE: must be"),
        (
            vec!["show", "booking-confirmed/0/0"],
            "PLACE: booking-confirmed is no dead-letter topic",
        ),
        (
            vec!["list", "--kafka-bootstrap-servers", "nowhere"],
            "KAFKA_BOOTSTRAP_SERVERS: ",
        ),
    ] {
        let said = desk.dlq(&arguments).await;
        assert_eq!(said.status, Some(64), "{arguments:?}: {}", said.err);
        assert!(said.err.starts_with(line), "{arguments:?}: {}", said.err);
        assert_eq!(said.err.lines().count(), 1, "{arguments:?}: {}", said.err);
    }
    let absent = desk
        .dlq(&["list", "--kafka-bootstrap-servers", "127.0.0.1:1"])
        .await;
    assert_eq!(absent.status, Some(69), "{}", absent.err);
    assert!(
        absent
            .err
            .contains("KAFKA_BOOTSTRAP_SERVERS: no broker answered"),
        "{}",
        absent.err
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn help_is_the_reference_of_every_action() {
    let desk = Desk::open().await;
    let filters = BTreeSet::from([
        "--topic",
        "--channel",
        "--pnr",
        "--event-id",
        "--class",
        "--since",
        "--until",
        "--limit",
    ]);
    for (action, own) in [
        ("list", vec!["--all", "--json", "--show-pnr"]),
        (
            "replay",
            vec!["--dry-run", "--force", "--rate", "MAX_AGE", "--reveal"],
        ),
        ("discard", vec!["--yes"]),
    ] {
        let help = desk.dlq(&[action, "--help"]).await.well();
        let shared = [
            "KAFKA_BOOTSTRAP_SERVERS",
            "KAFKA_PROPERTIES",
            "Examples:\n  harkara dlq list",
        ];
        for told in filters.iter().chain(&own).chain(&shared) {
            assert!(help.contains(told), "{action} {told}: {help}");
        }
    }
}
