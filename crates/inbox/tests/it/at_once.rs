//! Rows that go to an idle worker as they are stored.

use super::*;

impl Fixture {
    /// Stores with so many workers idle.
    pub(crate) async fn store_with(&self, arrivals: &[Arrival], idle: Idle<'_>) -> Vec<Stored> {
        let mut transaction = self.inbox.begin_claiming().await.unwrap();
        let store = self.inbox.store(&mut transaction, arrivals, Some(idle));
        let stored = store.await.unwrap();
        transaction.commit().await.unwrap();
        stored
    }
}

pub(crate) const fn idle(provider: &str, workers: usize) -> Idle<'_> {
    Idle {
        provider,
        workers,
        lease: LEASE,
    }
}

/// The record of an event without headers.
pub(crate) fn bare_record(id: &str, pnr: &str, event_type: EventType) -> Record {
    let mut event = BookingEvent::decode(testkit::sample_event().as_bytes()).unwrap();
    event.event_id = id.parse().unwrap();
    event.pnr_number = pnr.parse().unwrap();
    event.event_type = event_type;
    Record {
        topic: event_type.topic().to_owned(),
        value: Some(event.encode().unwrap()),
        ..Record::default()
    }
}

fn confirmed(id: &str, pnr: &str) -> Arrival {
    arrival(id, pnr, CONFIRMED, None)
}

async fn claimed_of(fixture: &Fixture, arrivals: &[Arrival], workers: usize) -> Vec<String> {
    let stored = fixture.store_with(arrivals, idle("smtp", workers)).await;
    let claimed = stored.into_iter().filter(|row| row.place == Place::Claimed);
    let mut claimed: Vec<_> = claimed.map(|row| row.event_id).collect();
    claimed.sort();
    claimed
}

#[tokio::test]
async fn the_first_that_is_heard_of_a_pnr_goes_to_an_idle_worker() {
    let fixture = Fixture::new().await;
    let new = [
        confirmed("a", "2400000001"),
        confirmed("b", "2400000002"),
        confirmed("c", "2400000003"),
    ];
    assert_eq!(claimed_of(&fixture, &new, 2).await, ["a", "b"]);
    assert_eq!(claimed_of(&fixture, &new, 2).await, Vec::<String>::new());
    assert_eq!(ids(&fixture.claim(9).await), ["c"]);
}

#[tokio::test]
async fn what_another_event_of_its_pnr_may_change_waits_its_turn() {
    let fixture = Fixture::new().await;
    let twice = [
        confirmed("a", "2400000001"),
        arrival("b", "2400000001", CANCELLED, None),
    ];
    assert_eq!(claimed_of(&fixture, &twice, 9).await, Vec::<String>::new());
    let row = fixture.claim_one().await;
    assert_eq!(ids(std::slice::from_ref(&row)), ["a"]);
    assert!(matches!(row.fate, Fate::Suppress { .. }), "{:?}", row.fate);
    let later = [arrival("c", "2400000001", PAID, None)];
    assert_eq!(claimed_of(&fixture, &later, 9).await, Vec::<String>::new());
    let waits = [versioned("d", PAID, 2, "BOOKING_CONFIRMED=1")];
    assert_eq!(claimed_of(&fixture, &waits, 9).await, Vec::<String>::new());
}

/// Payment and cancellation of a confirmed booking, each naming what came before it.
fn paid_and_cancelled() -> [Arrival; 2] {
    [
        versioned("b", PAID, 2, "BOOKING_CONFIRMED=1"),
        versioned("c", CANCELLED, 3, "BOOKING_CONFIRMED=1,PAYMENT_COMPLETED=2"),
    ]
}

#[tokio::test]
async fn what_comes_after_all_that_was_told_goes_at_once() {
    let fixture = Fixture::new().await;
    fixture.store_all(&[versioned("a", CONFIRMED, 1, "")]).await;
    let first = fixture.claim_one().await;
    let [paid, cancelled] = paid_and_cancelled();
    fixture.settle(&first, sent()).await;
    let stored = fixture.store_with(&[paid], idle("smtp", 9)).await;
    assert_eq!(stored[0].place, Place::Claimed);
    let record = bare_record("b", "2400000001", PAID);
    let second = Claimed::at_once(record, &stored[0]);
    assert_eq!(fixture.settle(&second, sent()).await, 1);
    assert_eq!(claimed_of(&fixture, &[cancelled], 9).await, ["c"]);
}

#[tokio::test]
async fn what_comes_while_something_of_its_pnr_is_unfinished_does_not_go_at_once() {
    let none = Vec::<String>::new();
    for in_hand in [false, true] {
        let fixture = Fixture::new().await;
        fixture.store_all(&[versioned("a", CONFIRMED, 1, "")]).await;
        if in_hand {
            fixture.claim_one().await;
        }
        let [paid, _] = paid_and_cancelled();
        assert_eq!(claimed_of(&fixture, &[paid], 9).await, none, "{in_hand}");
    }
}

#[tokio::test]
async fn what_misses_a_predecessor_or_is_old_does_not_go_at_once() {
    let none = Vec::<String>::new();
    let fixture = Fixture::new().await;
    fixture.store_all(&[versioned("a", CONFIRMED, 1, "")]).await;
    let first = fixture.claim_one().await;
    fixture.settle(&first, sent()).await;
    let [paid, cancelled] = paid_and_cancelled();
    let stored = fixture.store_with(&[cancelled], idle("smtp", 9)).await;
    assert_eq!(stored[0].place, Place::Waiting);
    assert_eq!(claimed_of(&fixture, &[paid], 9).await, none);
    assert_eq!(ids(&fixture.claim(9).await), ["b"], "the gate is open");
}

#[tokio::test]
async fn what_comes_after_newer_news_was_told_does_not_go_at_once() {
    let fixture = Fixture::new().await;
    let cancelled = versioned("c", CANCELLED, 3, "");
    assert_eq!(claimed_of(&fixture, &[cancelled], 9).await, ["c"]);
    fixture.lose_lease().await;
    let cancelled = fixture.claim_one().await;
    fixture.settle(&cancelled, sent()).await;
    let confirmed = versioned("a", CONFIRMED, 1, "");
    let none = Vec::<String>::new();
    assert_eq!(claimed_of(&fixture, &[confirmed], 9).await, none);
    let row = fixture.claim_one().await;
    assert!(matches!(row.fate, Fate::Suppress { .. }), "{:?}", row.fate);
}

#[tokio::test]
async fn of_one_id_for_two_records_neither_goes_at_once() {
    let fixture = Fixture::new().await;
    let same = [confirmed("a", "2400000001"), confirmed("a", "2400000002")];
    assert_eq!(claimed_of(&fixture, &same, 9).await, Vec::<String>::new());
    let row = fixture.claim_one().await;
    let event = BookingEvent::decode(row.record.value.as_deref().unwrap()).unwrap();
    assert_eq!(event.pnr_number.to_string(), "2400000001");
}

#[tokio::test]
async fn old_news_goes_to_nobody() {
    let fixture = Fixture::new().await;
    fixture.pass(RULES.max_age + Duration::from_micros(1));
    let old = [confirmed("a", "2400000001")];
    let stored = fixture.store_with(&old, idle("smtp", 9)).await;
    assert_eq!(places(stored), [("a".to_owned(), Place::Expired)]);
}

#[tokio::test]
async fn it_is_a_claim_like_any_other() {
    let fixture = Fixture::new().await;
    let stored = fixture
        .store_with(
            &[confirmed("a", "2400000001"), confirmed("b", "2400000002")],
            idle("smtp", 9),
        )
        .await;
    let row = |id: &str, pnr: &str| {
        let stored = stored.iter().find(|row| row.event_id == id).unwrap();
        Claimed::at_once(bare_record(id, pnr, CONFIRMED), stored)
    };
    let (a, b) = (row("a", "2400000001"), row("b", "2400000002"));
    assert_eq!(fixture.settle(&a, sent()).await, 1);
    fixture.lose_lease().await;
    let again = fixture.claim_one().await;
    assert_eq!((again.seq, again.attempt), (b.seq, 2));
    assert_eq!(again.unsure_of.as_deref(), Some("smtp"));
    assert_eq!(
        fixture.settle(&b, sent()).await,
        0,
        "another claim is newer"
    );
}
