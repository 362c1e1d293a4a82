//! `GET /api/v1/bookings/{pnr}/timeline` and `/notifications`, as far as they need no broker.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::fixture::{BOOKINGS, TestApi, send};

async fn items(api: &TestApi, pnr: &str, of: &str) -> Vec<Value> {
    let answer = api.get(&format!("{BOOKINGS}/{pnr}/{of}")).await.expect(200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    answer.json()["items"].as_array().unwrap().clone()
}

fn texts(items: &[Value]) -> Vec<&str> {
    let texts = items.iter().map(|item| item["text"].as_str().unwrap());
    texts.collect()
}

#[tokio::test]
async fn a_pnr_that_was_never_booked_has_no_story() {
    let api = TestApi::start().await;
    for path in [
        "2412345678/timeline",
        "2412345678/notifications",
        "1/timeline",
    ] {
        let answer = api.get(&format!("{BOOKINGS}/{path}")).await;
        answer.expect_problem(404, "booking-not-found");
    }
}

#[tokio::test]
async fn a_booking_nobody_was_told_of_has_no_notifications() {
    let api = TestApi::start().await;
    let pnr = api.create().await.pnr();
    let answer = api.get(&format!("{BOOKINGS}/{pnr}/notifications")).await;
    assert_eq!(answer.expect(200).body, "{\"items\":[]}");
}

#[tokio::test]
async fn a_new_booking_is_told_as_booked_and_waiting_for_kafka() {
    let api = TestApi::start().await;
    let pnr = api.create().await.pnr();
    let items = items(&api, &pnr, "timeline").await;
    let event_id = api.outbox().await[0].header("ce_id").to_owned();
    assert_eq!(
        items,
        [
            json!({
                "at": "2024-01-01T10:00:00.000+05:30", "kind": "BOOKING", "bookingVersion": 1,
                "bookingStatus": "CONFIRMED", "paymentStatus": "PENDING",
                "text": "The seat was booked and confirmed.",
            }),
            json!({
                "at": "2024-01-01T10:00:00.000+05:30", "kind": "PUBLICATION", "bookingVersion": 1,
                "eventId": event_id, "eventType": "BOOKING_CONFIRMED", "topic": "booking-confirmed",
                "text": "BOOKING_CONFIRMED is not published yet: it waits until Kafka takes it on topic booking-confirmed.",
            }),
        ]
    );
}

#[tokio::test]
async fn every_change_is_told_those_without_an_event_as_well() {
    let api = TestApi::start().await;
    let pnr = api.create().await.pnr();
    for status in ["FAILED", "PENDING", "COMPLETED"] {
        api.clock.turn(TimeDelta::minutes(1));
        send(api.put_payment(&pnr, status)).await.expect(200);
    }
    api.clock.turn(TimeDelta::minutes(1));
    let cancel = api.post(
        &format!("{BOOKINGS}/{pnr}/cancel"),
        "{\"reason\":\"change of plans\"}",
    );
    send(cancel).await.expect(200);
    for status in ["PARTIALLY_REFUNDED", "REFUNDED"] {
        api.clock.turn(TimeDelta::minutes(1));
        send(api.put_payment(&pnr, status)).await.expect(200);
    }
    let items = items(&api, &pnr, "timeline").await;
    let changes = items.into_iter().filter(|item| item["kind"] == "BOOKING");
    let changes: Vec<_> = changes.collect();
    assert_eq!(
        texts(&changes),
        [
            "The seat was booked and confirmed.",
            "The payment failed.",
            "The payment was begun again.",
            "The payment was completed.",
            "The booking was cancelled: change of plans.",
            "The payment was refunded in part.",
            "The payment was refunded.",
        ]
    );
    let versions: Vec<_> = changes.iter().map(|item| &item["bookingVersion"]).collect();
    assert_eq!(json!(versions), json!([1, 2, 3, 4, 5, 6, 7]));
    assert_eq!(changes[1]["paymentStatus"], "FAILED");
    assert_eq!(changes[4]["bookingStatus"], "CANCELLED");
    assert_eq!(changes[4]["cancelReason"], "change of plans");
    assert_eq!(changes[6]["at"], "2024-01-01T10:06:00.000+05:30");
}

#[tokio::test]
async fn a_change_that_changes_nothing_is_not_told() {
    let api = TestApi::start().await;
    let pnr = api.create().await.pnr();
    for _ in 0..2 {
        send(api.put_payment(&pnr, "FAILED")).await.expect(200);
    }
    let items = items(&api, &pnr, "timeline").await;
    let failed = texts(&items)
        .into_iter()
        .filter(|text| *text == "The payment failed.");
    assert_eq!(failed.count(), 1);
}

#[tokio::test]
async fn a_cancellation_without_a_reason_says_so_by_saying_nothing() {
    let api = TestApi::start().await;
    let pnr = api.create().await.pnr();
    send(api.cancel(&pnr)).await.expect(200);
    let items = items(&api, &pnr, "timeline").await;
    assert!(texts(&items).contains(&"The booking was cancelled."));
    assert!(items.iter().all(|item| item.get("cancelReason").is_none()));
}
