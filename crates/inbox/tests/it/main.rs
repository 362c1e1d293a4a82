//! The store, on whichever database `testkit` gives.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod at_once;
mod fixture;
mod next;
mod order;
mod simulation;

use std::sync::Arc;
use std::time::Duration;

use bus::Record;
use chassis::Clock;
use chrono::{DateTime, TimeDelta, Utc};
use events::{BookingEvent, DeadLetterClass, EventType, ReadHeaders};
use inbox::{
    Arrival, Certainty, Choice, Claimed, Fate, Idle, Inbox, Outcome, Place, Stored, Verdict,
};

use self::fixture::*;

#[tokio::test]
async fn an_event_is_one_row() {
    let fixture = Fixture::new().await;
    assert_eq!(
        fixture
            .store(&[
                ("a", "2400000001", CONFIRMED),
                ("a", "2400000001", CONFIRMED)
            ])
            .await,
        1
    );
    assert_eq!(fixture.store(&[("a", "2400000001", CONFIRMED)]).await, 0);
    let row = fixture.claim(10).await.remove(0);
    fixture.settle(&row, sent()).await;
    assert_eq!(fixture.store(&[("a", "2400000001", CONFIRMED)]).await, 0);
    assert!(fixture.claim(10).await.is_empty());
}

#[tokio::test]
async fn what_was_finished_long_ago_is_forgotten_and_what_waits_is_not() {
    let fixture = Fixture::new().await;
    let week = Duration::from_hours(7 * 24);
    let events = ["old", "older", "waits"];
    let pnrs = ["2400000001", "2400000002", "2400000003"];
    for (id, pnr) in events.into_iter().zip(pnrs) {
        fixture.store(&[(id, pnr, CONFIRMED)]).await;
    }
    fixture.finish("old", sent()).await;
    fixture.finish("older", sent()).await;
    fixture.pass(week);
    assert_eq!(fixture.inbox.forget(week, 10).await.unwrap(), 0);
    fixture.pass(Duration::from_micros(1));
    assert_eq!(fixture.inbox.forget(week, 1).await.unwrap(), 1);
    assert_eq!(fixture.inbox.forget(week, 10).await.unwrap(), 1);
    assert_eq!(fixture.inbox.forget(week, 10).await.unwrap(), 0);
    assert_eq!(fixture.inbox.unfinished().await.unwrap().0, 1);
}

#[tokio::test]
async fn what_was_replayed_since_does_not_keep_what_came_after_it() {
    let fixture = Fixture::new().await;
    let week = Duration::from_hours(7 * 24);
    fixture
        .store(&[("replayed", "2400000001", CONFIRMED)])
        .await;
    let replayed = fixture.claim_one().await;
    fixture.store(&[("old", "2400000002", CONFIRMED)]).await;
    fixture.finish("old", sent()).await;
    fixture.pass(week + Duration::from_micros(1));
    fixture.settle(&replayed, sent()).await;
    assert_eq!(fixture.inbox.forget(week, 1).await.unwrap(), 1);
    assert_eq!(fixture.inbox.forget(week, 1).await.unwrap(), 0);
}

#[tokio::test]
async fn a_record_comes_out_as_it_went_in() {
    let fixture = Fixture::new().await;
    fixture.store(&[("a", "2400000001", CONFIRMED)]).await;
    let row = fixture.claim_one().await;
    assert_eq!(row.record.topic, "booking-confirmed");
    assert_eq!((row.record.partition, row.record.offset), (2, 7));
    assert_eq!(row.record.timestamp_millis, Some(START.timestamp_millis()));
    assert_eq!(row.record.key.as_deref(), Some(b"\xffkey".as_slice()));
    assert_eq!(
        row.record.headers[0],
        ("h".to_owned(), Some(b"\x00\xff".to_vec()))
    );
    assert_eq!(row.record.headers[1], ("h".to_owned(), None));
    assert_eq!(row.attempt, 1);
    assert_eq!(row.verdict, None);
}

#[tokio::test]
async fn of_one_pnr_only_the_oldest_is_claimed_and_one_at_a_time() {
    let fixture = Fixture::new().await;
    fixture
        .store(&[
            ("c", "2400000001", CANCELLED),
            ("a", "2400000001", CONFIRMED),
            ("b", "2400000001", PAID),
            ("x", "2400000002", CONFIRMED),
        ])
        .await;
    let first = fixture.claim(10).await;
    assert_eq!(ids(&first), ["a", "x"]);
    assert!(fixture.claim(10).await.is_empty());
    fixture.settle(&first[0], sent()).await;
    let second = fixture.claim(10).await;
    assert_eq!(ids(&second), ["b"]);
    // An older event that arrives now waits for the one in flight.
    let late = arrival("late", "2400000001", CONFIRMED, Some(0));
    fixture.store_all(&[late]).await;
    assert!(fixture.claim(10).await.is_empty());
    fixture.settle(&second[0], sent()).await;
    assert_eq!(ids(&fixture.claim(10).await), ["late"]);
}

#[tokio::test]
async fn the_booking_version_decides_the_order_where_it_is_known() {
    let fixture = Fixture::new().await;
    let rows = [
        arrival("second", "2400000001", CONFIRMED, Some(9)),
        arrival("first", "2400000001", CANCELLED, Some(8)),
    ];
    fixture.store_all(&rows).await;
    assert_eq!(ids(&fixture.claim(10).await), ["first"]);
}

#[tokio::test]
async fn a_retry_waits_for_its_time_and_counts_an_attempt() {
    let fixture = Fixture::new().await;
    fixture.store(&[("a", "2400000001", CONFIRMED)]).await;
    let row = fixture.claim_one().await;
    let after = Duration::from_secs(5);
    fixture.settle(&row, retry(after)).await;
    assert!(fixture.claim(1).await.is_empty());
    assert_eq!(fixture.inbox.next_due().await.unwrap(), Some(after));
    fixture.pass(after);
    let row = fixture.claim_one().await;
    assert_eq!(row.attempt, 2);
    assert!(row.first_failure_at.is_some());
}

#[tokio::test]
async fn a_deferred_row_has_spent_no_attempt() {
    let fixture = Fixture::new().await;
    fixture.store(&[("a", "2400000001", CONFIRMED)]).await;
    let row = fixture.claim_one().await;
    fixture.settle(&row, defer(Certainty::Unchanged)).await;
    assert_eq!(fixture.claim_one().await.attempt, 1);
}

#[tokio::test]
async fn a_condemned_row_keeps_its_verdict_until_the_dead_letter_is_written() {
    let fixture = Fixture::new().await;
    fixture.store(&[("a", "2400000001", CONFIRMED)]).await;
    let row = fixture.claim_one().await;
    fixture
        .settle(
            &row,
            Outcome::Condemned {
                after: Duration::ZERO,
                verdict: verdict(),
            },
        )
        .await;
    let row = fixture.claim_one().await;
    assert_eq!((row.verdict.clone(), row.attempt), (Some(verdict()), 1));
    fixture
        .settle(&row, Outcome::Dead { verdict: verdict() })
        .await;
    assert!(fixture.claim(1).await.is_empty());
    assert_eq!(fixture.inbox.unfinished().await.unwrap().0, 0);
}

#[tokio::test]
async fn a_worker_that_slept_past_its_lease_cannot_overwrite() {
    let fixture = Fixture::new().await;
    fixture.store(&[("a", "2400000001", CONFIRMED)]).await;
    let asleep = fixture.claim_one().await;
    fixture.lose_lease().await;
    let awake = fixture.claim_one().await;
    assert_eq!(awake.attempt, 2);
    assert_eq!(fixture.settle(&asleep, sent()).await, 0);
    assert_eq!(fixture.settle(&awake, sent()).await, 1);
}

#[tokio::test]
async fn an_outcome_that_waited_for_the_database_still_counts_if_nobody_claimed_since() {
    let fixture = Fixture::new().await;
    fixture.store(&[("a", "2400000001", CONFIRMED)]).await;
    let row = fixture.claim_one().await;
    fixture.lose_lease().await;
    let nasty = Outcome::Sent {
        provider_message_id: "a\u{0}b".to_owned(),
        remark: None,
    };
    assert_eq!(fixture.settle(&row, nasty.clone()).await, 1);
    assert_eq!(fixture.settle(&row, nasty).await, 0);
    assert!(fixture.claim(1).await.is_empty());
}

#[tokio::test]
async fn a_claim_that_still_has_its_lease_is_left_alone() {
    let fixture = Fixture::new().await;
    fixture.store(&[("a", "2400000001", CONFIRMED)]).await;
    fixture.claim(1).await;
    fixture.pass(LEASE);
    assert_eq!(fixture.inbox.recover().await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_never_claim_one_row_nor_two_rows_of_a_pnr() {
    let fixture = Fixture::new().await;
    let events: Vec<_> = (0..200)
        .map(|n| {
            arrival(
                &format!("e{n}"),
                &format!("24000000{:02}", n % 50),
                CONFIRMED,
                Some(n),
            )
        })
        .collect();
    fixture.store_all(&events).await;
    let work = |inbox: Inbox| async move {
        let mut claimed = Vec::new();
        for _ in 0..20 {
            claimed.extend(inbox.claim(("smtp", Choice::Any), 5, LEASE).await.unwrap());
        }
        claimed
    };
    let (one, two) = tokio::join!(
        tokio::spawn(work(fixture.inbox.clone())),
        tokio::spawn(work(fixture.second.clone())),
    );
    let mut pnrs: Vec<_> = one
        .unwrap()
        .into_iter()
        .chain(two.unwrap())
        .map(|row| {
            BookingEvent::decode(row.record.value.as_deref().unwrap())
                .unwrap()
                .pnr_number
        })
        .collect();
    pnrs.sort();
    assert_eq!(pnrs.len(), 50);
    pnrs.dedup();
    assert_eq!(pnrs.len(), 50);
}

#[tokio::test]
async fn every_outcome_is_written_as_its_state() {
    let reason = || "why".to_owned();
    for (outcome, expected) in [
        (sent(), "SENT"),
        (retry(Duration::ZERO), "PENDING"),
        (defer(Certainty::Unchanged), "PENDING"),
        (dead(), "DEAD"),
        (Outcome::Suppressed { reason: reason() }, "SUPPRESSED"),
        (Outcome::Expired { reason: reason() }, "EXPIRED"),
        (
            Outcome::Condemned {
                after: Duration::ZERO,
                verdict: verdict(),
            },
            "PENDING",
        ),
    ] {
        let fixture = Fixture::new().await;
        fixture.store(&[("a", "2400000001", CONFIRMED)]).await;
        fixture.finish("a", outcome.clone()).await;
        let state: String = sqlx::query_scalar("select state from inbox")
            .fetch_one(&fixture.database)
            .await
            .unwrap();
        assert_eq!(state, expected, "{outcome:?}");
    }
}
