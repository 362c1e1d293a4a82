use events::{NotificationStatus, Step};

use super::*;

const SAMPLE: &[u8] = include_bytes!("../../../events/golden/specification-sample.json");

/// What the sample says about its passenger.
const PERSONAL: [&str; 4] = ["John Doe", "user@example.com", "9876543210", "1234567890"];

fn sample() -> Record {
    Record {
        key: Some(b"1234567890".to_vec()),
        value: Some(SAMPLE.to_vec()),
        headers: vec![
            ("ce_id".to_owned(), Some(b"an-event".to_vec())),
            ("x-passenger".to_owned(), Some(b"John Doe".to_vec())),
            ("dlq-error".to_owned(), Some(b"red \x1b[31m".to_vec())),
        ],
        ..Record::default()
    }
}

#[test]
fn a_masked_record_names_nobody_and_a_revealed_one_is_as_it_was_written() {
    let masked = Privacy::Masked.record(&sample());
    let revealed = Privacy::Revealed.record(&sample());
    for personal in PERSONAL {
        assert!(!masked.contains(personal), "{personal}: {masked}");
        assert!(revealed.contains(personal), "{personal}: {revealed}");
    }
    assert!(masked.contains("12******90") && masked.contains("an-event"));
    assert!(masked.contains("\"totalFare\": 5000.00"), "{masked}");
    assert!(masked.contains("\"passengerAge\": \"…\""), "{masked}");
    assert!(!masked.contains('\u{1b}'), "{masked}");
}

#[test]
fn a_record_is_one_line_of_json_with_its_numbers_as_they_were_written() {
    let revealed = Privacy::Revealed.record_json(&sample());
    let (line, rest) = revealed.split_once('\n').unwrap();
    assert_eq!(rest, "");
    assert!(line.contains("\"totalFare\": 5000.00"), "{line}");
    let json: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(json["key"], "1234567890");
    assert_eq!(json["headers"][0][0], "ce_id");
    assert_eq!(json["value"]["passengerName"], "John Doe");
    let masked = Privacy::Masked.record_json(&sample());
    serde_json::from_str::<serde_json::Value>(&masked).unwrap();
    for personal in PERSONAL {
        assert!(!masked.contains(personal), "{personal}: {masked}");
    }
    let tombstone = Privacy::Revealed.record_json(&Record::default());
    let json: serde_json::Value = serde_json::from_str(&tombstone).unwrap();
    assert_eq!(json["value"], serde_json::Value::Null);
}

#[test]
fn a_field_that_nobody_knows_is_hidden() {
    let record = Record {
        value: Some(
            br#"{"contact":"Asha Rao","kin":{"name":"Asha"},"trainName":["Asha"]}"#.to_vec(),
        ),
        ..Record::default()
    };
    let text = Privacy::Masked.record(&record);
    assert!(!text.contains("Asha"), "{text}");
    assert!(text.contains("\"contact\": \"A*** R**\""), "{text}");
    let broken = Record {
        value: Some(b"{\"contact\":\"Asha".to_vec()),
        ..Record::default()
    };
    assert!(!Privacy::Masked.record(&broken).contains("Asha"));
}

#[test]
fn a_masked_message_names_nobody_on_any_channel() {
    let event = BookingEvent::decode(SAMPLE).unwrap();
    for channel in Channel::ALL {
        let masked = Privacy::Masked.message(channel, &event).unwrap();
        for personal in PERSONAL {
            assert!(!masked.contains(personal), "{channel}: {masked}");
        }
        let revealed = Privacy::Revealed.message(channel, &event).unwrap();
        assert!(revealed.contains("John Doe") && revealed.contains("1234567890"));
    }
}

#[test]
fn every_script_is_masked() {
    assert_eq!(masked("John O'Neil Doe"), "J*** O'N*** D**");
    assert!(!masked("आशा राव").contains("शा"));
}

#[test]
fn a_status_is_shown_but_for_its_pnr_and_the_same_fields_of_another_topic_are_hidden() {
    let event = BookingEvent::decode(SAMPLE).unwrap();
    let at = chrono::DateTime::UNIX_EPOCH;
    let status = NotificationStatus {
        attempt: 2,
        provider: Some("twilio".to_owned()),
        provider_message_id: Some("SM1".to_owned()),
        reason: Some("the next attempt is in 1m".to_owned()),
        ..NotificationStatus::new(&event, Channel::Sms, Step::Retrying, at)
    };
    let on = |topic: &str| {
        let record = Record {
            topic: topic.to_owned(),
            value: Some(serde_json::to_vec(&status).unwrap()),
            ..Record::default()
        };
        let line = Privacy::Masked.record_json(&record);
        serde_json::from_str::<serde_json::Value>(&line).unwrap()["value"].clone()
    };
    let mut whole = serde_json::to_value(&status).unwrap();
    whole["pnrNumber"] = "12******90".into();
    assert_eq!(on(NOTIFICATION_STATUS), whole);
    let elsewhere = on("booking-cancelled");
    assert_eq!(elsewhere["reason"], "t** n*** a****** i* i* 1*");
    assert_eq!(elsewhere["attempt"], "…");
}
