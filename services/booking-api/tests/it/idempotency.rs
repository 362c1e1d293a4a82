//! `Idempotency-Key`.

use chrono::TimeDelta;
use testkit::eventually;

use crate::fixture::{BOOKINGS, SAMPLE, TestApi, send, send_held};

#[tokio::test]
async fn the_same_key_and_body_answer_as_the_first_time() {
    let api = TestApi::start().await;
    let create =
        |key: &'static str| send(api.post(BOOKINGS, SAMPLE).header("idempotency-key", key));
    let first = create("k-1").await.expect(201);
    assert_eq!(first.header("idempotent-replayed"), None);
    for key in ["k-1", "\"k-1\""] {
        let again = create(key).await.expect(201);
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        assert_eq!(again.body, first.body);
        for name in ["location", "etag", "content-type"] {
            assert_eq!(again.header(name), first.header(name));
        }
    }
    let other = create("k-2").await.expect(201);
    assert_ne!(other.pnr(), first.pnr());
    assert_eq!(api.outbox().await.len(), 2);
}

#[tokio::test]
async fn the_same_key_with_another_body_is_refused() {
    let api = TestApi::start().await;
    let with_key = |body: String| api.post(BOOKINGS, body).header("idempotency-key", "k");
    send(with_key(SAMPLE.to_owned())).await.expect(201);
    let other = SAMPLE.replace("\"A1\"", "\"A2\"");
    send(with_key(other))
        .await
        .expect_problem(422, "idempotency-key-reused");
    assert_eq!(api.outbox().await.len(), 1);
}

#[tokio::test]
async fn a_key_counts_for_one_path() {
    let api = TestApi::start().await;
    let (one, other) = (api.create().await.pnr(), api.create().await.pnr());
    for pnr in [&one, &other] {
        let cancelled = send(api.cancel(pnr).header("idempotency-key", "k"))
            .await
            .expect(200);
        assert_eq!(cancelled.pnr(), *pnr);
        assert_eq!(cancelled.header("idempotent-replayed"), None);
    }
}

#[tokio::test]
async fn a_replay_shows_the_booking_as_it_was_and_does_not_cancel_twice() {
    let api = TestApi::start().await;
    let pnr = api.create().await.pnr();
    let pay = || {
        api.put_payment(&pnr, "COMPLETED")
            .header("idempotency-key", "pay")
    };
    let first = send(pay()).await.expect(200);
    send(api.cancel(&pnr)).await.expect(200);
    let again = send(pay()).await.expect(200);
    assert_eq!(again.body, first.body);
    assert_eq!(again.json()["bookingStatus"], "CONFIRMED");
}

#[tokio::test]
async fn a_refusal_is_replayed_too() {
    let api = TestApi::start().await;
    let pnr = api.create().await.pnr();
    let refund = || {
        api.put_payment(&pnr, "REFUNDED")
            .header("idempotency-key", "k")
    };
    let first = send(refund())
        .await
        .expect_problem(409, "payment-transition");
    send(api.put_payment(&pnr, "COMPLETED")).await.expect(200);
    let again = send(refund())
        .await
        .expect_problem(409, "payment-transition");
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.body, first.body);
}

#[tokio::test]
async fn a_body_that_was_never_valid_does_not_use_up_its_key() {
    let api = TestApi::start().await;
    let with_key = |body: &str| api.post(BOOKINGS, body).header("idempotency-key", "k");
    send(with_key("{}"))
        .await
        .expect_problem(422, "invalid-body");
    send(with_key(SAMPLE)).await.expect(201);
}

#[tokio::test]
async fn a_key_outlives_a_crash_and_ends_after_a_day() {
    let api = TestApi::start().await;
    let create = |api: &TestApi| send(api.post(BOOKINGS, SAMPLE).header("idempotency-key", "k"));
    let first = create(&api).await.expect(201);
    api.clock.turn(TimeDelta::hours(24));
    let api = api.crash_and_restart().await;
    assert_eq!(create(&api).await.expect(201).pnr(), first.pnr());
    api.clock.turn(TimeDelta::seconds(1));
    let anew = create(&api).await.expect(201);
    assert_ne!(anew.pnr(), first.pnr());
    assert_eq!(anew.header("idempotent-replayed"), None);
    assert_eq!(create(&api).await.expect(201).pnr(), anew.pnr());
}

#[tokio::test]
async fn keys_that_no_longer_count_are_deleted() {
    let api = TestApi::start().await;
    for key in 0..5 {
        let create = api.post(BOOKINGS, SAMPLE).header("idempotency-key", key);
        send(create).await.expect(201);
    }
    api.clock.turn(TimeDelta::hours(25));
    let api = api.crash_and_restart().await;
    eventually("empty table of keys", || async {
        let kept = api.count("select count(*) from idempotency").await;
        (kept == 0).then_some(())
    })
    .await;
}

/// [`send_held`] sees the 409 that is promised here.
#[tokio::test]
async fn the_same_key_while_the_first_is_running_is_refused_and_free_afterwards() {
    let api = TestApi::start().await;
    let held = api.hold_writers().await;
    let first = send_held(api.post(BOOKINGS, SAMPLE), "k").await;
    let elsewhere = send_held(api.cancel("2412345678"), "k").await;
    drop(held);
    let first = first.await.unwrap().expect(201);
    elsewhere.await.unwrap().expect(404);
    let again = send(api.post(BOOKINGS, SAMPLE).header("idempotency-key", "k")).await;
    assert_eq!(again.expect(201).pnr(), first.pnr());
}

#[tokio::test]
async fn a_command_is_obeyed_though_its_client_went_away() {
    let api = TestApi::start().await;
    let held = api.hold_writers().await;
    let gone = send_held(api.post(BOOKINGS, SAMPLE), "k").await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    drop(held);
    let rows = eventually("event", || async {
        let rows = api.outbox().await;
        (!rows.is_empty()).then_some(rows)
    })
    .await;
    let replayed = eventually("free key", || async {
        let again = send(api.post(BOOKINGS, SAMPLE).header("idempotency-key", "k")).await;
        (again.status != 409).then_some(again)
    })
    .await;
    assert_eq!(replayed.header("idempotent-replayed"), Some("true"));
    assert_eq!(replayed.pnr(), rows[0].key);
}

#[tokio::test]
async fn of_two_processes_with_one_key_one_books() {
    let api = TestApi::start().await;
    let twin = api.twin().await;
    let held = api.hold_answers().await;
    let one = send_held(api.post(BOOKINGS, SAMPLE), "k").await;
    let other = send_held(twin.post(BOOKINGS, SAMPLE), "k").await;
    api.writers_wait(2).await;
    drop(held);
    let (one, other) = (
        one.await.unwrap().expect(201),
        other.await.unwrap().expect(201),
    );
    assert_eq!(one.body, other.body);
    let replayed = |answer: &crate::fixture::Answer| answer.header("idempotent-replayed").is_some();
    assert_ne!(replayed(&one), replayed(&other));
    assert_eq!(api.count("select count(*) from booking").await, 1);
    assert_eq!(api.outbox().await.len(), 1);
}
