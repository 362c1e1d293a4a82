//! Cancelling and paying.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::fixture::{BOOKINGS, TestApi, send};

#[tokio::test]
async fn a_booking_is_paid_then_cancelled_and_each_event_names_those_before() {
    let api = TestApi::start().await;
    let pnr = api.create().await.pnr();
    api.clock.turn(TimeDelta::minutes(1));
    let paid = send(api.put_payment(&pnr, "COMPLETED")).await.expect(200);
    assert_eq!(paid.header("etag"), Some("\"2\""));
    assert_eq!(paid.json()["paymentStatus"], "COMPLETED");
    let request = api.cancel(&pnr).body("{\"reason\":\" ill \"}");
    let cancelled = send(request).await.expect(200);
    assert_eq!(cancelled.header("etag"), Some("\"3\""));
    assert_eq!(cancelled.json()["bookingStatus"], "CANCELLED");
    assert_eq!(cancelled.json()["cancelReason"], "ill");

    let rows = api.outbox().await;
    let told: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                row.topic.as_str(),
                row.version,
                row.header("ce_bookinghistory"),
            )
        })
        .collect();
    let both = "BOOKING_CONFIRMED=1,PAYMENT_COMPLETED=2";
    let expected = [
        ("booking-confirmed", 1, ""),
        ("payment-completed", 2, "BOOKING_CONFIRMED=1"),
        ("booking-cancelled", 3, both),
    ];
    assert_eq!(told, expected);
    assert_eq!(rows[1].header("ce_type"), "payment.completed.v1");
    assert_eq!(rows[2].header("ce_type"), "booking.cancelled.v1");
    assert_eq!(rows[2].header("ce_bookingversion"), "3");
    let event: Value = serde_json::from_str(&rows[2].payload).unwrap();
    assert_eq!(event["eventType"], "BOOKING_CANCELLED");
    assert_eq!(event["bookingStatus"], "CANCELLED");
    assert_eq!(event["paymentStatus"], "COMPLETED");
    assert_eq!(event["bookingDate"], "2024-01-01T10:00:00");
    assert_eq!(event["eventTimestamp"], "2024-01-01T10:01:00");
}

#[tokio::test]
async fn a_booking_is_cancelled_without_a_body_and_only_once() {
    let api = TestApi::start().await;
    let pnr = api.create().await.pnr();
    let cancelled = send(api.cancel(&pnr)).await.expect(200);
    assert_eq!(cancelled.json().get("cancelReason"), None);
    let other = api.create().await.pnr();
    send(api.cancel(&other).body("null")).await.expect(200);
    send(api.cancel(&pnr))
        .await
        .expect_problem(409, "already-cancelled");
    assert_eq!(api.outbox().await.len(), 4);
}

#[tokio::test]
async fn the_same_payment_status_again_changes_and_tells_nothing() {
    let api = TestApi::start().await;
    let pnr = api.create().await.pnr();
    send(api.put_payment(&pnr, "COMPLETED")).await.expect(200);
    let again = send(api.put_payment(&pnr, "COMPLETED")).await.expect(200);
    assert_eq!(again.header("etag"), Some("\"2\""));
    assert_eq!(api.outbox().await.len(), 2);
}

#[tokio::test]
async fn a_payment_that_failed_is_told_of_only_when_it_completes() {
    let api = TestApi::start().await;
    let pnr = api.create().await.pnr();
    let failed = send(api.put_payment(&pnr, "FAILED")).await.expect(200);
    assert_eq!(failed.json()["version"], 2);
    assert_eq!(api.outbox().await.len(), 1);
    send(api.put_payment(&pnr, "COMPLETED")).await.expect(200);
    let rows = api.outbox().await;
    assert_eq!((rows.len(), rows[1].version), (2, 3));
    send(api.put_payment(&pnr, "PENDING"))
        .await
        .expect_problem(409, "payment-transition");
}

#[tokio::test]
async fn a_cancelled_booking_can_be_refunded_but_not_paid() {
    let api = TestApi::start().await;
    let unpaid = api.create().await.pnr();
    send(api.cancel(&unpaid)).await.expect(200);
    let refused = send(api.put_payment(&unpaid, "COMPLETED")).await;
    refused.expect_problem(409, "payment-transition");

    let paid = api.create().await.pnr();
    send(api.put_payment(&paid, "COMPLETED")).await.expect(200);
    send(api.cancel(&paid)).await.expect(200);
    let refunded = send(api.put_payment(&paid, "REFUNDED")).await.expect(200);
    assert_eq!(refunded.json()["paymentStatus"], "REFUNDED");
    assert_eq!(refunded.json()["bookingStatus"], "CANCELLED");
}

#[tokio::test]
async fn a_change_of_an_old_version_is_refused() {
    let api = TestApi::start().await;
    let pnr = api.create().await.pnr();
    send(api.put_payment(&pnr, "FAILED")).await.expect(200);
    for stale in ["\"1\"", "W/\"1\"", "W/\"2\"", "\"3\", \"4\""] {
        let cancel = api.cancel(&pnr).header("if-match", stale);
        send(cancel).await.expect_problem(412, "version-mismatch");
        let pay = api.put_payment(&pnr, "COMPLETED").header("if-match", stale);
        send(pay).await.expect_problem(412, "version-mismatch");
    }
    for bad in ["2", "nonsense", ""] {
        let cancel = api.cancel(&pnr).header("if-match", bad);
        send(cancel).await.expect_problem(400, "invalid-header");
    }
    let pay = api
        .put_payment(&pnr, "COMPLETED")
        .header("if-match", "\"2\"");
    send(pay).await.expect(200);
    let cancel = api.cancel(&pnr).header("if-match", "\"9\", \"3\"");
    send(cancel).await.expect(200);
    let refund = api.put_payment(&pnr, "REFUNDED").header("if-match", "*");
    send(refund).await.expect(200);
}

#[tokio::test]
async fn a_booking_nobody_made_cannot_be_changed_or_seen() {
    let api = TestApi::start().await;
    for pnr in ["2412345678", "0412345678", "241234567", "x", "%ff"] {
        let path = format!("{BOOKINGS}/{pnr}");
        api.get(&path)
            .await
            .expect_problem(404, "booking-not-found");
        send(api.cancel(pnr))
            .await
            .expect_problem(404, "booking-not-found");
        let pay = send(api.put_payment(pnr, "COMPLETED")).await;
        pay.expect_problem(404, "booking-not-found");
    }
}

#[tokio::test]
async fn a_bad_body_changes_nothing() {
    let api = TestApi::start().await;
    let pnr = api.create().await.pnr();
    let answer = send(api.put_payment(&pnr, "PAID")).await;
    let problem = answer.expect_problem(422, "invalid-body").json();
    let rule = "must be one of PENDING, COMPLETED, FAILED, REFUNDED, PARTIALLY_REFUNDED";
    let expected = json!([{"pointer": "/paymentStatus", "detail": rule}]);
    assert_eq!(problem["errors"], expected);
    let answer = send(api.cancel(&pnr).body("{\"why\":1}")).await;
    answer.expect_problem(422, "invalid-body");
    let found = api.get(&format!("{BOOKINGS}/{pnr}")).await;
    assert_eq!(found.json()["version"], 1);
}
