//! Write coalescing.

use std::collections::BTreeSet;

use futures_util::future::join_all;

use crate::fixture::{BOOKINGS, SAMPLE, TestApi, send, send_held};

#[tokio::test]
async fn commands_that_queue_are_committed_together() {
    let api = TestApi::start().await;
    let held = api.hold_writers().await;
    // All at once: the first is answered 503 when it has waited for 5 s.
    let keys: Vec<_> = (0..64).map(|n| format!("k-{n}")).collect();
    let sends = keys
        .iter()
        .map(|key| send_held(api.post(BOOKINGS, SAMPLE), key));
    let waiting = join_all(sends).await;
    drop(held);
    let mut pnrs = BTreeSet::new();
    for answer in waiting {
        pnrs.insert(answer.await.unwrap().expect(201).pnr());
    }
    assert_eq!(pnrs.len(), 64);
    assert_eq!(api.outbox().await.len(), 64);
    assert_eq!(api.metric("booking_write_commands_total").await, 64);
    // Each writer commits its first command, then the rest at once.
    let batches = api.metric("booking_write_batches_total").await;
    assert!(batches <= 4, "{batches} transactions");
}

#[tokio::test]
async fn an_idle_service_commits_one_command_at_once() {
    let api = TestApi::start().await;
    for _ in 0..3 {
        api.create().await;
    }
    assert_eq!(api.metric("booking_write_batches_total").await, 3);
}

#[tokio::test]
async fn one_bad_command_does_not_hurt_the_others_of_its_batch() {
    let api = TestApi::start().await;
    let (one, other) = (api.create().await.pnr(), api.create().await.pnr());
    let spent = api
        .post(BOOKINGS, SAMPLE)
        .header("idempotency-key", "spent");
    send(spent).await.expect(201);

    let held = api.hold_writers().await;
    let first = send_held(api.post(BOOKINGS, SAMPLE), "first").await;
    let nobody = send_held(api.cancel("9999999999"), "a").await;
    let stale = send_held(api.cancel(&one).header("if-match", "\"7\""), "b").await;
    let refund = send_held(api.put_payment(&one, "REFUNDED"), "c").await;
    let pay = send_held(api.put_payment(&one, "COMPLETED"), "d").await;
    let reused = send_held(api.post(BOOKINGS, SAMPLE.replace("A1", "B2")), "spent").await;
    let cancel = send_held(api.cancel(&other), "e").await;
    let create = send_held(api.post(BOOKINGS, SAMPLE), "f").await;
    drop(held);

    first.await.unwrap().expect(201);
    nobody
        .await
        .unwrap()
        .expect_problem(404, "booking-not-found");
    stale.await.unwrap().expect_problem(412, "version-mismatch");
    refund
        .await
        .unwrap()
        .expect_problem(409, "payment-transition");
    pay.await.unwrap().expect(200);
    reused
        .await
        .unwrap()
        .expect_problem(422, "idempotency-key-reused");
    cancel.await.unwrap().expect(200);
    create.await.unwrap().expect(201);
    assert_eq!(api.outbox().await.len(), 7);
}

#[tokio::test]
async fn commands_for_one_booking_are_obeyed_one_after_another_in_one_batch() {
    let api = TestApi::start().await;
    let pnr = api.create().await.pnr();
    let held = api.hold_writers().await;
    let mut waiting = vec![send_held(api.put_payment(&pnr, "FAILED"), "a").await];
    waiting.push(send_held(api.put_payment(&pnr, "COMPLETED"), "b").await);
    waiting.push(send_held(api.put_payment(&pnr, "COMPLETED"), "c").await);
    waiting.push(send_held(api.cancel(&pnr), "d").await);
    waiting.push(send_held(api.cancel(&pnr), "e").await);
    drop(held);
    let mut seen = Vec::new();
    for answer in waiting {
        let answer = answer.await.unwrap();
        seen.push((answer.status.as_u16(), answer.json()["version"].as_i64()));
    }
    let expected = [
        (200, Some(2)),
        (200, Some(3)),
        (200, Some(3)),
        (200, Some(4)),
        (409, None),
    ];
    assert_eq!(seen, expected);
    let rows = api.outbox().await;
    let versions: Vec<_> = rows.iter().map(|row| row.version).collect();
    assert_eq!(versions, [1, 3, 4]);
    let history = "BOOKING_CONFIRMED=1,PAYMENT_COMPLETED=3";
    assert_eq!(rows[2].header("ce_bookinghistory"), history);
    let found = api.get(&format!("{BOOKINGS}/{pnr}")).await;
    assert_eq!(found.json()["version"], 4);
}

#[tokio::test]
async fn two_processes_never_overwrite_each_other_s_change() {
    let api = TestApi::start().await;
    let twin = api.twin().await;
    let pnr = api.create().await.pnr();
    send(api.put_payment(&pnr, "COMPLETED")).await.expect(200);
    let held = api.hold_writers().await;
    let refund = send_held(api.put_payment(&pnr, "REFUNDED"), "a").await;
    let cancel = send_held(twin.cancel(&pnr), "b").await;
    api.writers_wait(2).await;
    drop(held);
    let refund = refund.await.unwrap().expect(200).json();
    let cancel = cancel.await.unwrap().expect(200).json();
    let versions = BTreeSet::from([refund["version"].as_i64(), cancel["version"].as_i64()]);
    assert_eq!(versions, BTreeSet::from([Some(3), Some(4)]));
    let booking = api.get(&format!("{BOOKINGS}/{pnr}")).await.json();
    assert_eq!(booking["version"], 4);
    assert_eq!(booking["bookingStatus"], "CANCELLED");
    assert_eq!(booking["paymentStatus"], "REFUNDED");
}

#[tokio::test]
async fn many_clients_at_once_each_get_their_own_booking() {
    let api = TestApi::start().await;
    let clients = (0..200).map(|_| tokio::spawn(send(api.post(BOOKINGS, SAMPLE))));
    let clients: Vec<_> = clients.collect();
    let mut pnrs = BTreeSet::new();
    for client in clients {
        pnrs.insert(client.await.unwrap().expect(201).pnr());
    }
    assert_eq!(pnrs.len(), 200);
    let rows = api.outbox().await;
    let told: BTreeSet<_> = rows.into_iter().map(|row| row.key).collect();
    assert_eq!(told, pnrs);
}

#[tokio::test]
async fn a_database_that_fails_fails_the_whole_batch_and_leaves_nothing_half_done() {
    let api = TestApi::start().await;
    api.meddle("alter table outbox rename to hidden").await;
    let refused = send(api.post(BOOKINGS, SAMPLE).header("idempotency-key", "k")).await;
    let refused = refused.expect_problem(503, "unavailable");
    assert_eq!(refused.header("retry-after"), Some("1"));
    let id = refused.header("x-request-id").unwrap();
    assert_eq!(refused.json()["requestId"], id);
    assert_eq!(api.count("select count(*) from booking").await, 0);
    assert_eq!(api.count("select count(*) from idempotency").await, 0);

    api.meddle("alter table hidden rename to outbox").await;
    let again = send(api.post(BOOKINGS, SAMPLE).header("idempotency-key", "k"))
        .await
        .expect(201);
    assert_eq!(again.header("idempotent-replayed"), None);
}
