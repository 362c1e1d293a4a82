//! The contract: old bytes still parse, and we still write these bytes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use events::{BookingEvent, DeadLetterClass, DecodeError, EventType, Known, Stage};
use proptest::prelude::*;
use serde_json::Value;

const SAMPLE: &str = include_str!("../../golden/specification-sample.json");

fn sample() -> BookingEvent {
    BookingEvent::decode(SAMPLE.as_bytes()).unwrap()
}

/// The sample with one field replaced (or removed, for `None`).
fn sample_with(field: &str, value: Option<Value>) -> Vec<u8> {
    let mut object: serde_json::Map<String, Value> = serde_json::from_str(SAMPLE).unwrap();
    match value {
        Some(value) => object.insert(field.to_owned(), value),
        None => object.remove(field),
    };
    serde_json::to_vec(&object).unwrap()
}

#[test]
fn specification_sample_is_stable() {
    assert_eq!(serde_json::to_string_pretty(&sample()).unwrap(), SAMPLE);
}

#[test]
fn compact_form_is_stable() {
    let written = String::from_utf8(sample().encode().unwrap()).unwrap();
    assert_eq!(
        written,
        include_str!("../../golden/compact.json").trim_end()
    );
}

#[test]
fn what_a_liberal_producer_wrote_means_the_same() {
    let foreign = include_bytes!("../../golden/foreign-producer.json");
    assert_eq!(BookingEvent::decode(foreign).unwrap(), sample());
}

#[test]
fn a_booking_without_an_address_still_reaches_the_other_channels() {
    let event = BookingEvent::decode(&sample_with("userPhone", Some(Value::Null))).unwrap();
    assert!(event.phone().is_err());
    assert_eq!(event.email().unwrap().as_str(), "user@example.com");
    let event = BookingEvent::decode(&sample_with("userEmail", None)).unwrap();
    assert!(event.email().is_err());
    assert_eq!(event.phone().unwrap().e164(), "+919876543210");
}

#[test]
fn an_array_is_no_event_though_it_has_the_fields_in_their_order() {
    // `serde_json::Map` would sort them.
    let values = SAMPLE.lines().filter_map(|line| line.split_once("\": "));
    let values: String = values.map(|(_, value)| value).collect();
    let array = format!(" [{values}]");
    assert!(serde_json::from_str::<Vec<Value>>(&array).is_ok());
    let error = BookingEvent::decode(array.as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "field .: must be an object");
}

#[test]
fn a_word_that_is_none_is_said_to_be_no_text() {
    let error = BookingEvent::decode(&sample_with("quotaType", Some(Value::Null))).unwrap_err();
    assert_eq!(error.to_string(), "field quotaType: must be a text");
}

#[test]
fn a_word_of_a_newer_producer_is_kept() {
    let event = BookingEvent::decode(&sample_with("coachType", Some("VISTADOME".into()))).unwrap();
    assert_eq!(event.coach_type, Known::Other("VISTADOME".into()));
}

#[test]
fn a_number_as_pnr_is_invalid_and_not_repeated() {
    let error =
        BookingEvent::decode(&sample_with("pnrNumber", Some(1_234_567_890.into()))).unwrap_err();
    assert_eq!(
        (error.class(), error.stage()),
        (DeadLetterClass::Invalid, Stage::Validate)
    );
    assert_eq!(
        error.to_string(),
        "field pnrNumber: invalid type: integer, expected a string"
    );
}

#[test]
fn each_kind_of_bad_bytes_has_its_class() {
    let cases: [(&[u8], DeadLetterClass, Stage); 5] = [
        (b"", DeadLetterClass::Undecodable, Stage::Decode),
        (
            b"{\"eventId\": ",
            DeadLetterClass::Undecodable,
            Stage::Decode,
        ),
        (b"\xff\xfe\x00", DeadLetterClass::Undecodable, Stage::Decode),
        (b"[]", DeadLetterClass::Invalid, Stage::Validate),
        (b"{}", DeadLetterClass::Invalid, Stage::Validate),
    ];
    for (bytes, class, stage) in cases {
        let error = BookingEvent::decode(bytes).unwrap_err();
        assert_eq!((error.class(), error.stage()), (class, stage), "{bytes:?}");
    }
}

#[test]
fn the_error_names_the_field_at_fault() {
    for (field, value, problem) in [
        ("eventType", Some("BOOKING_BURNT".into()), "must be one of"),
        (
            "trainNumber",
            Some("123".into()),
            "must be exactly 5 digits",
        ),
        ("totalFare", Some("5000".into()), "must be a number"),
        ("passengerName", None, "missing field"),
        (
            "passengerName",
            Some(serde_json::json!({"secret": "Asha"})),
            "invalid type: map",
        ),
    ] {
        let error = BookingEvent::decode(&sample_with(field, value)).unwrap_err();
        assert!(matches!(error, DecodeError::Invalid { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(problem) && text.contains(field), "{text}");
        assert!(!text.contains("Asha"), "{text}");
    }
}

#[test]
fn every_event_has_its_topic() {
    for event in EventType::ALL {
        assert_eq!(EventType::of_topic(event.topic()), Some(event));
    }
    assert_eq!(EventType::of_topic("notification-status"), None);
}

proptest! {
    #[test]
    fn every_event_survives_json(
        id in "[!-~]{1,128}",
        name in ".{0,40}",
        seat in "[0-9]{1,3}",
        paise in 0_i64..100_000_000,
        age in 0_u8..=125,
    ) {
        let mut event = sample();
        event.event_id = id.parse().unwrap();
        event.passenger_name = name;
        event.seat_number = seat;
        event.total_fare = events::Money::from_paise(paise);
        event.passenger_age = age;
        let bytes = event.encode().unwrap();
        prop_assert_eq!(BookingEvent::decode(&bytes).unwrap(), event);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _outcome = BookingEvent::decode(&bytes);
    }
}
