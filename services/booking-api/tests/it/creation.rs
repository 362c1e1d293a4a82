//! `POST /api/v1/bookings`.

use serde_json::Value;

use crate::fixture::{BOOKINGS, SAMPLE, TestApi, pnrs, send};

/// The specification's event in one line: those names, types and decimals, in that order.
const SPECIFICATION_EVENT: &str = include_str!("../../../../crates/events/golden/compact.json");

#[tokio::test]
async fn the_specification_s_sample_is_booked_and_its_event_is_the_specification_s_byte_for_byte() {
    let api = TestApi::start_with(pnrs(&["1234567890"])).await;
    let answer = api.create().await;
    assert_eq!(
        answer.header("location"),
        Some("/api/v1/bookings/1234567890")
    );
    assert_eq!(answer.header("etag"), Some("\"1\""));

    let rows = api.outbox().await;
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    assert_eq!(
        (row.topic.as_str(), row.key.as_str()),
        ("booking-confirmed", "1234567890")
    );
    let id = row.header("ce_id");
    let golden = SPECIFICATION_EVENT.trim_end();
    let golden = golden
        .replace("uuid-string", id)
        .replace("\"bookingId\":123", "\"bookingId\":1");
    assert_eq!(row.payload, golden);
}

#[tokio::test]
async fn the_event_s_headers_are_cloud_events_and_the_client_s_trace() {
    let api = TestApi::start().await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let traceparent = format!("00-{trace}-b7ad6b7169203331-01");
    let request = api
        .post(BOOKINGS, SAMPLE)
        .header("traceparent", traceparent.clone());
    send(request).await.expect(201);

    let row = api.outbox().await.remove(0);
    let event: Value = serde_json::from_str(&row.payload).unwrap();
    let id = event["eventId"].as_str().unwrap();
    assert_eq!(id.chars().nth(14), Some('7'), "{id} is no version 7 UUID");
    let (last, others) = row.headers.split_last().unwrap();
    let others: Vec<_> = others
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let expected = [
        ("content-type", "application/json"),
        ("ce_specversion", "1.0"),
        ("ce_id", id),
        ("ce_type", "booking.confirmed.v1"),
        ("ce_source", "/booking-api"),
        ("ce_time", "2024-01-01T10:00:00.000+05:30"),
        ("ce_subject", "1"),
        ("ce_bookingversion", "1"),
        ("ce_bookinghistory", ""),
    ];
    assert_eq!(others, expected);
    assert_eq!(last.0, "traceparent");
    assert!(last.1.starts_with(&format!("00-{trace}-")), "{}", last.1);
    assert_ne!(last.1, traceparent);
}

#[tokio::test]
async fn the_answer_is_what_a_look_shows_later() {
    let api = TestApi::start().await;
    let created = api.create().await;
    let found = api
        .get(&format!("{BOOKINGS}/{}", created.pnr()))
        .await
        .expect(200);
    assert_eq!(found.body, created.body);
    assert_eq!(found.header("etag"), Some("\"1\""));
    let booking = created.json();
    assert_eq!(booking["bookingStatus"], "CONFIRMED");
    assert_eq!(booking["paymentStatus"], "PENDING");
    assert_eq!(booking["bookingDate"], "2024-01-01T10:00:00");
    assert!(
        created
            .body
            .contains("\"totalFare\":5000.00,\"baseFare\":4500.00,")
    );
    assert_eq!(booking.get("cancelReason"), None);
}

#[tokio::test]
async fn a_fare_is_completed() {
    let api = TestApi::start().await;
    let mut body: Value = serde_json::from_str(SAMPLE).unwrap();
    let fields = body.as_object_mut().unwrap();
    for name in [
        "totalFare",
        "convenienceFee",
        "gstAmount",
        "quotaType",
        "isTatkal",
        "bookingSource",
    ] {
        fields.remove(name).unwrap();
    }
    let created = send(api.post(BOOKINGS, body.to_string())).await.expect(201);
    let parts =
        "\"totalFare\":4815.00,\"baseFare\":4500.00,\"convenienceFee\":90.00,\"gstAmount\":225.00";
    assert!(created.body.contains(parts), "{}", created.body);
}

#[tokio::test]
async fn a_taken_pnr_is_replaced() {
    let api = TestApi::start_with(pnrs(&["2412345678", "2412345678", "2412345679"])).await;
    assert_eq!(api.create().await.pnr(), "2412345678");
    assert_eq!(api.create().await.pnr(), "2412345679");
    assert_eq!(api.outbox().await.len(), 2);
}

#[tokio::test]
async fn without_a_free_pnr_nothing_is_written() {
    let api = TestApi::start_with(pnrs(&["2412345678"])).await;
    api.create().await;
    let refused = send(api.post(BOOKINGS, SAMPLE)).await;
    refused.expect_problem(503, "unavailable");
    assert_eq!(api.count("select count(*) from booking").await, 1);
    assert_eq!(api.outbox().await.len(), 1);
}

#[tokio::test]
async fn a_booking_survives_a_crash() {
    let api = TestApi::start().await;
    let created = api.create().await;
    let api = api.crash_and_restart().await;
    let found = api
        .get(&format!("{BOOKINGS}/{}", created.pnr()))
        .await
        .expect(200);
    assert_eq!(found.body, created.body);
    assert_eq!(api.outbox().await.len(), 1);
}
