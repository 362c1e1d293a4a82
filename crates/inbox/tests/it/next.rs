//! What an outcome kept waiting goes to a worker with it.

use database::Dialect;

use super::*;
use crate::at_once::idle;

/// Two events of a PNR, the first in hand.
async fn two(fixture: &Fixture) -> Claimed {
    let pair = [
        versioned("a", EventType::BookingConfirmed, 1, ""),
        versioned("b", EventType::PaymentCompleted, 2, "BOOKING_CONFIRMED=1"),
    ];
    fixture.store_all(&pair).await;
    fixture.claim_one().await
}

async fn next_after(fixture: &Fixture, row: &Claimed, outcome: Outcome) -> Vec<String> {
    let idle = More::Next(idle("smtp", 4));
    let (_, next) = fixture.settle_for(row, outcome, idle).await;
    ids(&next)
}

#[tokio::test]
async fn the_next_of_a_pnr_is_claimed_with_the_outcome_of_the_one_before() {
    let fixture = Fixture::new().await;
    let first = two(&fixture).await;
    let idle = More::Next(idle("smtp", 4));
    let (_, next) = fixture.settle_for(&first, sent(), idle).await;
    assert_eq!(ids(&next), ["b"]);
    assert_eq!((next[0].attempt, &next[0].fate), (1, &Fate::Send));
    assert!(fixture.claim(10).await.is_empty(), "it is in hand");
    assert_eq!(next_after(&fixture, &next[0], sent()).await, [""; 0]);
}

#[tokio::test]
async fn what_became_untrue_by_the_outcome_is_claimed_as_such() {
    let fixture = Fixture::new().await;
    let cancelled = versioned("c", EventType::BookingCancelled, 3, "");
    fixture.store_all(&[cancelled]).await;
    let first = fixture.claim_one().await;
    fixture
        .store_all(&[versioned("a", EventType::BookingConfirmed, 1, "")])
        .await;
    let idle = More::Next(idle("smtp", 4));
    let (_, next) = fixture.settle_for(&first, sent(), idle).await;
    assert_eq!(ids(&next), ["a"]);
    assert!(matches!(next[0].fate, Fate::Suppress { .. }));
}

#[tokio::test]
async fn behind_one_that_is_to_be_tried_again_the_next_goes_on_waiting() {
    let fixture = Fixture::new().await;
    let first = two(&fixture).await;
    let again = retry(Duration::from_secs(5));
    assert_eq!(next_after(&fixture, &first, again).await, [""; 0]);
}

#[tokio::test]
async fn a_next_that_is_not_due_is_left() {
    let fixture = Fixture::new().await;
    let first = versioned("a", EventType::BookingConfirmed, 1, "");
    fixture.store_all(&[first]).await;
    let first = fixture.claim_one().await;
    let gap = "BOOKING_CONFIRMED=1,PAYMENT_COMPLETED=2";
    let third = versioned("c", EventType::BookingCancelled, 3, gap);
    fixture.store_all(&[third]).await;
    assert_eq!(next_after(&fixture, &first, sent()).await, [""; 0]);
}

#[tokio::test]
async fn a_next_that_another_provider_may_have_taken_is_left_to_that_one() {
    let fixture = Fixture::new().await;
    let second = versioned("b", EventType::PaymentCompleted, 2, "");
    fixture.store_all(&[second]).await;
    let claim = fixture.inbox.claim(("twilio", Choice::Any), 1, LEASE).await;
    let row = claim.unwrap().remove(0);
    fixture.settle(&row, defer(Certainty::Unsure)).await;
    fixture
        .store_all(&[versioned("a", EventType::BookingConfirmed, 1, "")])
        .await;
    let first = fixture.claim_one().await;
    assert_eq!(ids(std::slice::from_ref(&first)), ["a"]);
    fixture.pass(Duration::from_mins(10));
    assert_eq!(next_after(&fixture, &first, sent()).await, [""; 0]);
}

#[tokio::test]
async fn of_what_is_due_the_oldest_is_claimed_with_an_outcome_whosever_it_is() {
    let fixture = Fixture::new().await;
    let first = two(&fixture).await;
    fixture
        .store(&[("x", "2400000002", EventType::BookingConfirmed)])
        .await;
    fixture.pass(Duration::from_secs(1));
    fixture
        .store(&[("y", "2400000003", EventType::BookingConfirmed)])
        .await;
    let more = More::Due(idle("smtp", 2));
    let (_, next) = fixture.settle_for(&first, sent(), more).await;
    assert_eq!(ids(&next), ["b", "x"]);
    assert_eq!(next[0].fate, Fate::Send, "the outcome counts already");
    assert_eq!(ids(&fixture.claim(10).await), ["y"]);
}

#[tokio::test]
async fn a_claim_says_why_the_last_one_ended() {
    let fixture = Fixture::new().await;
    fixture
        .store(&[("a", "2400000001", EventType::BookingConfirmed)])
        .await;
    let first = fixture.claim_one().await;
    assert_eq!(first.reason, None);
    fixture.settle(&first, defer(Certainty::Unchanged)).await;
    assert_eq!(fixture.claim_one().await.reason.as_deref(), Some("429"));
}

/// A process whose commit fails gives the rows back a little later, when another may have claimed them.
#[tokio::test]
async fn an_outcome_of_a_claim_whose_commit_failed_does_not_end_the_next_claim() {
    let fixture = Fixture::new().await;
    fixture
        .store(&[("a", "2400000001", EventType::BookingConfirmed)])
        .await;
    let inbox = &fixture.inbox;
    let mut transaction = inbox.begin_claiming().await.unwrap();
    let claim = inbox.claim_due(&mut transaction, Choice::Any, idle("smtp", 1));
    let failed = claim.await.unwrap().remove(0);
    drop(transaction);
    let next = fixture.claim_one().await;
    assert_eq!(next.seq, failed.seq);
    let back = Outcome::Defer {
        after: Duration::ZERO,
        certainty: Certainty::Unchanged,
        reason: "the database did not answer".to_owned(),
    };
    assert_eq!(fixture.settle(&failed, back).await, 0);
    assert_eq!(fixture.settle(&next, sent()).await, 1);
}

#[tokio::test]
async fn whoever_would_claim_what_is_due_does_not_wait_for_the_turn() {
    let fixture = Fixture::new().await;
    fixture
        .store(&[("a", "2400000001", EventType::BookingConfirmed)])
        .await;
    let first = fixture.claim_one().await;
    let inbox = &fixture.inbox;
    if fixture.database.dialect() == Dialect::Postgres {
        let turn = inbox.begin_claiming().await.unwrap();
        let (mut transaction, free) = inbox.begin_claiming_if_free().await.unwrap();
        assert!(!free);
        let outcome = settled(&first, sent());
        let counted = inbox.settle(&mut transaction, &[outcome]).await.unwrap();
        assert_eq!((counted[0].seq, counted[0].token), (first.seq, first.token));
        transaction.commit().await.unwrap();
        turn.commit().await.unwrap();
    }
    let (_transaction, free) = inbox.begin_claiming_if_free().await.unwrap();
    assert!(free);
}

#[tokio::test]
async fn a_confirmation_that_was_cancelled_during_its_attempt_waits_for_no_other() {
    let fixture = Fixture::new().await;
    fixture
        .store_all(&[versioned("a", EventType::BookingConfirmed, 1, "")])
        .await;
    let row = fixture.claim_one().await;
    let cancelled = versioned("c", EventType::BookingCancelled, 2, "BOOKING_CONFIRMED=1");
    fixture.store_all(&[cancelled]).await;
    fixture.settle(&row, retry(Duration::from_hours(1))).await;
    let row = fixture.claim_one().await;
    assert_eq!(ids(std::slice::from_ref(&row)), ["a"]);
    let reason = suppressed_because(&row).to_owned();
    fixture.settle(&row, Outcome::Suppressed { reason }).await;
    fixture.finish("c", sent()).await;
}
