mod address;
mod changes;

use events::Quota;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use utoipa::PartialSchema;

use super::*;

const SAMPLE: &str = include_str!("../../../golden/create-request.json");

fn sample() -> Map<String, Value> {
    serde_json::from_str(SAMPLE).unwrap()
}

fn with(name: &str, value: Value) -> Vec<u8> {
    let mut body = sample();
    body.insert(name.to_owned(), value);
    serde_json::to_vec(&body).unwrap()
}

fn without(name: &str) -> Vec<u8> {
    let mut body = sample();
    body.remove(name).unwrap();
    serde_json::to_vec(&body).unwrap()
}

/// The problem's status and its faults, as `pointer detail`.
fn faults(body: &[u8]) -> (u16, Vec<String>) {
    let problem = BookingIn::read(body).unwrap_err();
    let body: Value = serde_json::from_str(&problem.body("/", None)).unwrap();
    let errors = body["errors"].as_array().cloned().unwrap_or_default();
    let fault = |error: &Value| {
        let part = |name: &str| error[name].as_str().unwrap().to_owned();
        format!("{} {}", part("pointer"), part("detail"))
    };
    (problem.status(), errors.iter().map(fault).collect())
}

/// The one fault of a body with this field.
fn fault_of(name: &str, value: Value) -> String {
    let (status, faults) = faults(&with(name, value));
    assert_eq!((status, faults.len()), (422, 1), "{faults:?}");
    faults.into_iter().next().unwrap()
}

#[test]
fn the_specification_s_sample_is_taken_as_it_stands() {
    let BookingIn(details) = BookingIn::read(SAMPLE.as_bytes()).unwrap();
    let again: Value = serde_json::to_value(&details).unwrap();
    let sample: Value = serde_json::from_str(SAMPLE).unwrap();
    assert_eq!(again, sample);
    assert_eq!(details.total_fare.to_string(), "5000.00");
}

#[test]
fn what_may_be_left_out_has_its_default() {
    let mut body = sample();
    for name in [
        "totalFare",
        "convenienceFee",
        "gstAmount",
        "quotaType",
        "isTatkal",
        "bookingSource",
    ] {
        body.remove(name).unwrap();
    }
    body.insert("quotaType".to_owned(), Value::Null);
    let body = serde_json::to_vec(&body).unwrap();
    let BookingIn(details) = BookingIn::read(&body).unwrap();
    assert_eq!(details.convenience_fee.to_string(), "90.00");
    assert_eq!(details.gst_amount.to_string(), "225.00");
    assert_eq!(details.total_fare.to_string(), "4815.00");
    assert_eq!(details.quota_type, Quota::General);
    assert!(!details.is_tatkal);
    assert_eq!(details.booking_source, "WEB");
}

#[test]
fn everything_wrong_is_told_at_once() {
    let (status, faults) = faults(b"{\"passengerAge\":126,\"isTatkal\":1,\"a/b~\":0}");
    assert_eq!(status, 422);
    let told = |fault: &str| assert!(faults.iter().any(|one| one == fault), "{faults:?}");
    told("/passengerAge must be a whole number from 0 to 125");
    told("/isTatkal must be true or false");
    told("/userId is required");
    told("/baseFare is required");
    told("/a~1b~0 is not a known field");
    assert_eq!(faults.len(), 21);
}

#[test]
fn each_required_field_is_missed_by_name() {
    let mut body = sample();
    body.retain(|name, _| {
        ![
            "totalFare",
            "convenienceFee",
            "gstAmount",
            "quotaType",
            "isTatkal",
            "bookingSource",
        ]
        .contains(&name.as_str())
    });
    assert_eq!(body.len(), 19);
    for name in body.keys() {
        let expected = (422, vec![format!("/{name} is required")]);
        assert_eq!(faults(&without(name)), expected);
        assert_eq!(fault_of(name, Value::Null), format!("/{name} is required"));
    }
}

#[test]
fn each_field_keeps_its_rule() {
    let long = "x".repeat(101);
    for (name, bad) in [
        (
            "userId",
            json!([0, -1, 1.5, "1", true, 1e3, 9_223_372_036_854_775_808_u64]),
        ),
        ("trainId", json!([0, {}, []])),
        (
            "userEmail",
            json!([
                "",
                "user",
                "user@localhost",
                "a@b.example\r\nBcc: x",
                7,
                "\"a b\"@c.com",
                "a@1.2",
                "a@ex_am.co"
            ]),
        ),
        (
            "userPhone",
            json!(["98765", "5876543210", 9_876_543_210_u64]),
        ),
        (
            "userName",
            json!(["", "  ", long, "a\nb", "a\u{0}b", 7, {}]),
        ),
        ("trainNumber", json!(["1234", "123456", 12345])),
        ("coachNumber", json!(["", "123456789", "A\u{200b}1"])),
        ("seatNumber", json!(["123456789", "\u{2060}"])),
        ("passengerAge", json!([-1, 126, 30.0, "30"])),
        ("passengerGender", json!(["male", "M", 1])),
        ("coachType", json!(["1A", ""])),
        ("quotaType", json!(["GN"])),
        ("isTatkal", json!(["false", 0])),
        ("bookingSource", json!([""])),
        (
            "baseFare",
            json!([-0.01, 1_000_000.01, 1.005, "4500.00", true]),
        ),
        ("totalFare", json!([1_000_001])),
        ("convenienceFee", json!([-1])),
        ("gstAmount", json!(["0"])),
    ] {
        for value in bad.as_array().unwrap() {
            let fault = fault_of(name, value.clone());
            assert!(fault.starts_with(&format!("/{name} must ")), "{fault}");
        }
    }
}

#[test]
fn dates_and_times_are_exact() {
    for (name, bad) in [
        (
            "journeyDate",
            json!([
                "2024-02-30",
                "2024-1-5",
                "15.01.2024",
                "2024-01-15T00:00:00",
                " 2024-01-15",
                "+2024-01-15",
                "-2024-01-15",
                "0000-01-01",
                "1899-12-31",
                "3000-01-01",
                "२०२४-01-15",
                20_240_115
            ]),
        ),
        (
            "departureTime",
            json!(["24:00", "4 pm", 16, "8:05", "08:5", "08:05:5", "08:05 ", ""]),
        ),
        (
            "arrivalTime",
            json!([
                "08:60:00",
                "08:00:60",
                "23:59:60",
                "08:00:00.5",
                "08:00:00Z",
                "08:00:"
            ]),
        ),
    ] {
        for value in bad.as_array().unwrap() {
            let fault = fault_of(name, value.clone());
            assert!(fault.starts_with(&format!("/{name} must ")), "{fault}");
        }
    }
}

#[test]
fn a_fault_never_repeats_what_was_sent() {
    for name in sample().keys() {
        let (_, faults) = faults(&with(name, json!("s3cret\u{7}")));
        assert!(!format!("{faults:?}").contains("s3cret"), "{faults:?}");
    }
}

#[test]
fn the_edges_are_taken() {
    for (name, good) in [
        ("userName", json!(["é".repeat(100), " x "])),
        ("passengerAge", json!([0, 125])),
        ("baseFare", json!([0, 1_000_000, 0.01])),
        ("userPhone", json!(["+91 98765-43210", "+1 631 555 0123"])),
        ("departureTime", json!(["00:00", "23:59:59"])),
        (
            "journeyDate",
            json!(["2024-02-29", "1900-01-01", "2999-12-31"]),
        ),
        ("coachNumber", json!(["SLR2", "12345678", "डी1"])),
        ("seatNumber", json!(["1", "12345678"])),
        ("userId", json!([1, i64::MAX])),
    ] {
        for value in good.as_array().unwrap() {
            assert!(
                BookingIn::read(&with(name, value.clone())).is_ok(),
                "{name} {value}"
            );
        }
    }
}

#[test]
fn a_text_holds_nothing_that_hides_or_turns_it_and_something_to_see() {
    let hidden = [
        '\u{7f}',
        '\u{ad}',
        '\u{61c}',
        '\u{200b}',
        '\u{200e}',
        '\u{2028}',
        '\u{202a}',
        '\u{202e}',
        '\u{2060}',
        '\u{2066}',
        '\u{2069}',
        '\u{feff}',
        '\u{e0041}',
    ];
    let invisible = "must hold no control characters and no invisible ones";
    for c in hidden {
        let fault = fault_of("passengerName", json!(format!("As{c}ha")));
        assert_eq!(fault, format!("/passengerName {invisible}"), "{c:?}");
    }
    let blank = [
        "\u{200c}",
        "\u{200d}\u{200c}",
        "\u{3164}",
        "\u{2800} \u{2800}",
        "\u{fe0f}",
    ];
    for text in blank {
        let fault = fault_of("passengerName", json!(text));
        assert_eq!(
            fault, "/passengerName must hold a visible character",
            "{text:?}"
        );
    }
    // Malayalam and Marathi need the joiners.
    for text in [
        "അവന്\u{200d}",
        "क\u{94d}\u{200d}ष",
        "नी\u{200c}ल",
        "❤\u{fe0f}",
    ] {
        assert!(
            BookingIn::read(&with("passengerName", json!(text))).is_ok(),
            "{text}"
        );
    }
}

#[test]
fn a_computed_total_beyond_the_limit_is_told_as_such() {
    let mut body = sample();
    body.remove("totalFare").unwrap();
    body.insert("baseFare".to_owned(), json!(1_000_000));
    let rule = "/totalFare is left out, and the sum of the parts is over 1000000";
    let expected = (422, vec![rule.to_owned()]);
    assert_eq!(faults(&serde_json::to_vec(&body).unwrap()), expected);
    body.insert("totalFare".to_owned(), json!(1_000_000));
    assert!(BookingIn::read(&serde_json::to_vec(&body).unwrap()).is_ok());
}

#[test]
fn texts_are_trimmed_and_phones_written_as_the_event_has_them() {
    let BookingIn(details) = BookingIn::read(&with("userName", json!("  Asha  "))).unwrap();
    assert_eq!(details.user_name, "Asha");
    let BookingIn(details) = BookingIn::read(&with("userPhone", json!("+91 98765 43210"))).unwrap();
    assert_eq!(details.user_phone.wire(), "9876543210");
}

#[test]
fn a_field_given_twice_is_refused() {
    let body = SAMPLE.replacen('{', "{\"userId\": 2,", 1);
    let expected = (422, vec!["/userId must be given once".to_owned()]);
    assert_eq!(faults(body.as_bytes()), expected);
}

#[test]
fn what_is_no_object_is_told_apart_from_what_is_no_json() {
    for (body, status) in [
        (&b""[..], 400),
        (b"{", 400),
        (b"{} {}", 400),
        (b"{\"userName\": \"\xff\"}", 400),
        (b"nonsense", 400),
        (b"[]", 422),
        (b"null", 422),
        (b"\"text\"", 422),
        (b"{\"userName\": \"\\ud800\"}", 422),
    ] {
        assert_eq!(faults(body).0, status, "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn a_deep_body_does_not_overflow_the_stack() {
    let deep = "[".repeat(60_000);
    assert_eq!(faults(deep.as_bytes()).0, 400);
    let deep = format!(
        "{{\"userName\":{}{}}}",
        "[".repeat(30_000),
        "]".repeat(30_000)
    );
    assert_eq!(faults(deep.as_bytes()).0, 422);
}

#[test]
fn a_thousand_unknown_fields_are_not_all_told() {
    let body: Map<_, _> = (0..1000).map(|n| (format!("x{n}"), json!(1))).collect();
    let (_, faults) = faults(&serde_json::to_vec(&body).unwrap());
    assert_eq!(faults.len(), 100);
}

/// The document and the reader cannot drift apart.
#[test]
fn the_schema_names_exactly_the_fields_that_are_read() {
    let schema = serde_json::to_value(BookingIn::schema()).unwrap();
    let documented: Vec<_> = schema["properties"].as_object().unwrap().keys().collect();
    let body = sample();
    let mut sent: Vec<_> = body.keys().collect();
    sent.sort();
    assert_eq!(documented, sent);
    let required = schema["required"].as_array().unwrap();
    for name in body.keys() {
        let needed = BookingIn::read(&without(name)).is_err();
        assert_eq!(required.contains(&json!(name)), needed, "{name}");
    }
}

proptest! {
    #[test]
    fn no_body_makes_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _outcome = BookingIn::read(&body);
    }

    #[test]
    fn money_is_taken_to_the_paisa(paise in 0_i64..=100_000_000) {
        let amount = format!("{}.{:02}", paise / 100, paise % 100);
        let body = SAMPLE.replace("4500.00", &amount);
        let BookingIn(details) = BookingIn::read(body.as_bytes()).unwrap();
        prop_assert_eq!(details.base_fare.paise(), paise);
    }

    #[test]
    fn every_text_comes_back_trimmed_or_is_refused(text in "\\PC{0,120}") {
        // A letter to see, and nothing that is no category C and hides all the same.
        let text = format!("{text}x").replace(['\u{2028}', '\u{2029}'], " ");
        let outcome = BookingIn::read(&with("trainName", json!(text)));
        let fits = !text.trim().is_empty() && text.trim().chars().count() <= 100;
        prop_assert_eq!(outcome.is_ok(), fits);
        if let Ok(BookingIn(details)) = outcome {
            prop_assert_eq!(details.train_name, text.trim());
        }
    }
}
