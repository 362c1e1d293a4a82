//! Order, supersession, expiry, replay.

use super::*;

#[tokio::test]
async fn an_event_waits_for_the_earlier_one_its_history_names() {
    let fixture = Fixture::new().await;
    let cancelled = versioned("c", CANCELLED, 2, "BOOKING_CONFIRMED=1");
    let stored = fixture.store_all(&[cancelled]).await;
    assert_eq!(stored, [("c".to_owned(), Place::Waiting)]);
    assert!(fixture.claim(10).await.is_empty());
    let confirmed = versioned("a", CONFIRMED, 1, "");
    fixture.store_all(&[confirmed]).await;
    // The wait is over at once; what is told first is no longer true.
    let row = fixture.claim_one().await;
    assert_eq!(ids(std::slice::from_ref(&row)), ["a"]);
    assert!(suppressed_because(&row).starts_with("superseded"));
    let reason = "superseded".to_owned();
    fixture.settle(&row, Outcome::Suppressed { reason }).await;
    let row = fixture.claim_one().await;
    assert_eq!(
        (ids(std::slice::from_ref(&row)), row.fate, row.awaited),
        (vec!["c".to_owned()], Fate::Send, None)
    );
}

#[tokio::test]
async fn the_wait_for_an_earlier_event_ends() {
    let fixture = Fixture::new().await;
    let paid = versioned("b", PAID, 2, "BOOKING_CONFIRMED=1");
    fixture.store_all(&[paid]).await;
    fixture.pass(Duration::from_micros(9_999_999));
    assert!(fixture.claim(10).await.is_empty());
    assert_eq!(
        fixture.inbox.next_due().await.unwrap(),
        Some(Duration::from_micros(1))
    );
    fixture.pass(Duration::from_micros(1));
    let row = fixture.claim_one().await;
    assert_eq!(row.awaited.as_deref(), Some("[1]"));
    assert_eq!(row.fate, Fate::Send);
}

#[tokio::test]
async fn an_event_whose_predecessors_are_there_does_not_wait() {
    let fixture = Fixture::new().await;
    let both = [
        versioned("b", PAID, 2, "BOOKING_CONFIRMED=1"),
        versioned("a", CONFIRMED, 1, ""),
    ];
    let stored = fixture.store_all(&both).await;
    assert!(
        stored.iter().all(|(_, place)| *place == Place::Due),
        "{stored:?}"
    );
    fixture.finish("a", sent()).await;
    let cancelled = versioned("c", CANCELLED, 3, "BOOKING_CONFIRMED=1,PAYMENT_COMPLETED=2");
    assert_eq!(
        fixture.store_all(&[cancelled]).await,
        [("c".to_owned(), Place::Due)]
    );
    fixture.finish("b", sent()).await;
    fixture.finish("c", sent()).await;
}

#[tokio::test]
async fn of_two_missing_events_both_are_waited_for() {
    let fixture = Fixture::new().await;
    let cancelled = versioned("c", CANCELLED, 3, "BOOKING_CONFIRMED=1,PAYMENT_COMPLETED=2");
    fixture.store_all(&[cancelled]).await;
    fixture
        .store_all(&[versioned("b", PAID, 2, "BOOKING_CONFIRMED=1")])
        .await;
    assert!(fixture.claim(10).await.is_empty());
    fixture.store_all(&[versioned("a", CONFIRMED, 1, "")]).await;
    let row = fixture.claim_one().await;
    assert_eq!(ids(std::slice::from_ref(&row)), ["a"]);
}

#[tokio::test]
async fn a_confirmation_that_waits_for_its_next_attempt_gives_way_to_the_cancellation_at_once() {
    let fixture = Fixture::new().await;
    fixture.store_all(&[versioned("a", CONFIRMED, 1, "")]).await;
    fixture.finish("a", retry(Duration::from_hours(1))).await;
    fixture
        .store_all(&[versioned("c", CANCELLED, 2, "BOOKING_CONFIRMED=1")])
        .await;
    let row = fixture.claim_one().await;
    assert_eq!(
        (ids(std::slice::from_ref(&row)), row.attempt),
        (vec!["a".to_owned()], 2)
    );
    assert!(suppressed_because(&row).contains("version 2"));
    let reason = suppressed_because(&row).to_owned();
    fixture.settle(&row, Outcome::Suppressed { reason }).await;
    fixture.finish("c", sent()).await;
}

#[tokio::test]
async fn what_comes_after_something_newer_was_told_is_stale() {
    let fixture = Fixture::new().await;
    let pnr = "2400000001";
    fixture.store(&[("c", pnr, CANCELLED)]).await;
    fixture.finish("c", sent()).await;
    fixture
        .store(&[("a", pnr, CONFIRMED), ("b", pnr, PAID)])
        .await;
    let row = fixture.claim_one().await;
    assert_eq!(ids(std::slice::from_ref(&row)), ["a"]);
    assert!(suppressed_because(&row).starts_with("superseded"));
    let reason = "superseded".to_owned();
    fixture.settle(&row, Outcome::Suppressed { reason }).await;
    let row = fixture.claim_one().await;
    assert_eq!(
        (ids(std::slice::from_ref(&row)), row.fate),
        (vec!["b".to_owned()], Fate::Send)
    );
}

#[tokio::test]
async fn among_events_without_versions_the_time_decides_where_the_type_does_not() {
    let fixture = Fixture::new().await;
    let pnr = "2400000001";
    let mut later = arrival("later", pnr, CONFIRMED, None);
    let earlier = arrival("earlier", pnr, CONFIRMED, None);
    later = at(later, "2030-01-01T00:00:00");
    fixture.store_all(&[later, earlier]).await;
    fixture
        .finish("earlier", retry(Duration::from_secs(1)))
        .await;
    assert!(fixture.claim(10).await.is_empty());
    fixture.pass(Duration::from_secs(1));
    fixture.finish("earlier", sent()).await;
    fixture.finish("later", sent()).await;
    fixture.store(&[("again", pnr, CONFIRMED)]).await;
    let row = fixture.claim_one().await;
    assert_eq!(
        suppressed_because(&row),
        "stale: BOOKING_CONFIRMED (version 1) was told before"
    );
}

/// The same event at another time.
fn at(arrival: Arrival, time: &str) -> Arrival {
    drop(arrival);
    let mut event = BookingEvent::decode(testkit::sample_event().as_bytes()).unwrap();
    event.event_id = "later".parse().unwrap();
    event.pnr_number = "2400000001".parse().unwrap();
    event.event_timestamp = time.parse().unwrap();
    let record = Record {
        topic: CONFIRMED.topic().to_owned(),
        value: Some(event.encode().unwrap()),
        ..Record::default()
    };
    Arrival::new(record, &event, &ReadHeaders::default(), &EventType::ALL).unwrap()
}

#[tokio::test]
async fn an_old_record_is_expired_when_it_comes_and_when_it_waited() {
    let fixture = Fixture::new().await;
    let row = arrival("a", "2400000001", CONFIRMED, None);
    let stored = fixture.store_all(&[row]).await;
    assert_eq!(stored, [("a".to_owned(), Place::Due)]);
    fixture.pass(RULES.max_age + Duration::from_millis(1));
    let old = arrival("old", "2400000002", CONFIRMED, None);
    assert_eq!(
        fixture.store_all(&[old]).await,
        [("old".to_owned(), Place::Expired)]
    );
    let claimed = fixture.claim(10).await;
    assert_eq!(ids(&claimed), ["a"]);
    assert!(matches!(claimed[0].fate, Fate::Expire { .. }));
    let reason = "too old".to_owned();
    fixture
        .settle(&claimed[0], Outcome::Expired { reason })
        .await;
    assert_eq!(fixture.inbox.unfinished().await.unwrap().0, 0);
}

#[tokio::test]
async fn a_dead_letter_that_comes_back_is_tried_again_once() {
    let fixture = Fixture::new().await;
    fixture.store_all(&[versioned("a", CONFIRMED, 1, "")]).await;
    fixture.finish("a", dead()).await;
    assert_eq!(
        fixture.store_all(&[versioned("a", CONFIRMED, 1, "")]).await,
        []
    );
    let back = || [replayed("a", CONFIRMED, "1")];
    assert_eq!(
        fixture.reopen(&back()).await,
        [("a".to_owned(), Place::Reopened)]
    );
    assert_eq!(fixture.reopen(&back()).await, []);
    let row = fixture.claim_one().await;
    assert_eq!(
        (row.attempt, row.replays(), row.verdict.clone()),
        (1, 1, None)
    );
    fixture.settle(&row, sent()).await;
    assert_eq!(fixture.reopen(&back()).await, []);
    assert!(fixture.claim(10).await.is_empty());
}

#[tokio::test]
async fn a_dead_letter_whose_acknowledgement_was_lost_comes_back_all_the_same() {
    let fixture = Fixture::new().await;
    fixture.store_all(&[versioned("a", CONFIRMED, 1, "")]).await;
    let after = Duration::from_secs(5);
    let verdict = verdict();
    fixture
        .finish("a", Outcome::Condemned { after, verdict })
        .await;
    assert_eq!(
        fixture.reopen(&[replayed("a", CONFIRMED, "1")]).await,
        [("a".to_owned(), Place::Reopened)]
    );
    let row = fixture.claim_one().await;
    assert_eq!(
        (row.attempt, row.replays(), row.verdict.clone()),
        (1, 1, None)
    );
}

#[tokio::test]
async fn a_replay_of_what_was_never_here_is_new() {
    let fixture = Fixture::new().await;
    let stored = fixture.reopen(&[replayed("a", CONFIRMED, "1")]).await;
    assert_eq!(stored, [("a".to_owned(), Place::Due)]);
}

#[tokio::test]
async fn a_confirmation_that_comes_back_after_the_cancellation_is_not_told() {
    let fixture = Fixture::new().await;
    fixture.store_all(&[versioned("a", CONFIRMED, 1, "")]).await;
    fixture.finish("a", dead()).await;
    fixture
        .store_all(&[versioned("c", CANCELLED, 2, "BOOKING_CONFIRMED=1")])
        .await;
    fixture.finish("c", dead()).await;
    fixture.reopen(&[replayed("a", CONFIRMED, "1")]).await;
    let row = fixture.claim_one().await;
    assert!(suppressed_because(&row).starts_with("superseded"));
}

#[tokio::test]
async fn a_message_that_a_provider_may_have_taken_is_left_to_that_provider() {
    let fixture = Fixture::new().await;
    let claim = async |provider| {
        fixture
            .inbox
            .claim((provider, Choice::Any), 10, LEASE)
            .await
            .unwrap()
    };
    fixture.store(&[("a", "2400000001", CONFIRMED)]).await;
    let row = claim("twilio").await.remove(0);
    assert_eq!(row.unsure_of, None);
    fixture.settle(&row, defer(Certainty::Unsure)).await;
    assert!(claim("msg91").await.is_empty());
    let in_doubt = ("twilio", Choice::InDoubt);
    let row = fixture
        .inbox
        .claim(in_doubt, 10, LEASE)
        .await
        .unwrap()
        .remove(0);
    assert_eq!(row.unsure_of.as_deref(), Some("twilio"));
    fixture.settle(&row, defer(Certainty::NotTaken)).await;
    let in_doubt = ("msg91", Choice::InDoubt);
    assert!(
        fixture
            .inbox
            .claim(in_doubt, 10, LEASE)
            .await
            .unwrap()
            .is_empty()
    );
    let row = claim("msg91").await.remove(0);
    assert_eq!(row.unsure_of, None);
}

#[tokio::test]
async fn a_message_that_a_provider_of_earlier_days_may_have_taken_is_not_forgotten() {
    let fixture = Fixture::new().await;
    fixture.store(&[("a", "2400000001", CONFIRMED)]).await;
    fixture.finish("a", defer(Certainty::Unsure)).await;
    let later = Inbox::new(fixture.database.clone(), RULES, &["msg91"]);
    let later = later.with_clock(Arc::<TestClock>::clone(&fixture.clock));
    let row = later
        .claim(("msg91", Choice::Any), 1, LEASE)
        .await
        .unwrap()
        .remove(0);
    assert_eq!(row.unsure_of.as_deref(), Some("smtp"));
}

#[tokio::test]
async fn a_time_in_other_units_is_none() {
    let fixture = Fixture::new().await;
    let event = BookingEvent::decode(testkit::sample_event().as_bytes()).unwrap();
    let record = Record {
        timestamp_millis: Some(1_800_000_000_000_000_000),
        value: Some(event.encode().unwrap()),
        ..Record::default()
    };
    let headers = ReadHeaders::default();
    let row = Arrival::new(record, &event, &headers, &EventType::ALL).unwrap();
    fixture.store_all(&[row]).await;
    assert_eq!(fixture.claim_one().await.record.timestamp_millis, None);
}

#[tokio::test]
async fn what_may_have_been_told_already_makes_older_events_stale() {
    let fixture = Fixture::new().await;
    fixture
        .store_all(&[versioned("b", PAID, 2, "BOOKING_CONFIRMED=1")])
        .await;
    fixture.pass(RULES.order_wait);
    fixture.claim_one().await;
    fixture.lose_lease().await;
    fixture.store_all(&[versioned("a", CONFIRMED, 1, "")]).await;
    let row = fixture.claim_one().await;
    assert_eq!(
        suppressed_because(&row),
        "stale: PAYMENT_COMPLETED (version 2) was told before"
    );
}

#[tokio::test]
async fn a_lease_that_ran_out_leaves_a_doubt() {
    let fixture = Fixture::new().await;
    fixture.store(&[("a", "2400000001", CONFIRMED)]).await;
    fixture.claim(1).await;
    fixture.lose_lease().await;
    let other = fixture
        .inbox
        .claim(("msg91", Choice::Any), 10, LEASE)
        .await
        .unwrap();
    assert!(other.is_empty());
    let row = fixture.claim_one().await;
    assert_eq!((row.unsure_of.as_deref(), row.attempt), (Some("smtp"), 2));
}

#[tokio::test]
async fn the_doubt_about_a_held_message_outlives_its_dead_letter() {
    let fixture = Fixture::new().await;
    fixture.store(&[("a", "1234567890", CONFIRMED)]).await;
    let verdict = Verdict {
        class: DeadLetterClass::Ambiguous,
        ..verdict()
    };
    fixture.finish("a", Outcome::Dead { verdict }).await;
    fixture.reopen(&[replayed("a", CONFIRMED, "1")]).await;
    assert_eq!(fixture.claim_one().await.unsure_of.as_deref(), Some("smtp"));
}

#[tokio::test]
async fn the_database_s_own_clock_serves_where_nobody_holds_it() {
    let fixture = Fixture::new().await;
    let inbox = Inbox::new(fixture.database.clone(), RULES, &PROVIDERS);
    let mut transaction = fixture.database.begin().await.unwrap();
    let rows = [versioned("a", CONFIRMED, 1, "")];
    let store = inbox.store(&mut transaction, &rows, None);
    store.await.unwrap();
    transaction.commit().await.unwrap();
    let claimed = inbox.claim(("smtp", Choice::Any), 1, LEASE).await.unwrap();
    assert_eq!(ids(&claimed), ["a"]);
    assert_eq!(inbox.next_due().await.unwrap(), None);
    assert_eq!(inbox.recover().await.unwrap(), 0);
    let (count, oldest) = inbox.unfinished().await.unwrap();
    assert_eq!(count, 1);
    assert!(oldest < Duration::from_mins(1), "{oldest:?}");
}
