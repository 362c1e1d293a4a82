//! An inbox with a clock of its own, and what is put into it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bus::Record;
use chassis::Clock;
use chrono::{DateTime, TimeDelta, Utc};
use database::Database;
use events::{BookingEvent, DeadLetterClass, EventType, ReadHeaders, Stage};
use inbox::{
    Arrival, Certainty, Choice, Claimed, Fate, Idle, Inbox, Outcome, Place, Rules, SCHEMA, Settled,
    Stored, Verdict,
};
use testkit::TestDatabase;

pub(crate) const PROVIDERS: [&str; 3] = ["smtp", "twilio", "msg91"];

pub(crate) const LEASE: Duration = Duration::from_secs(30);

pub(crate) const RULES: Rules = Rules {
    order_wait: Duration::from_secs(10),
    max_age: Duration::from_hours(24),
};

pub(crate) const START: DateTime<Utc> = DateTime::from_timestamp(1_800_000_000, 0).unwrap();

/// The time of the test.
#[derive(Debug, Default)]
pub(crate) struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        START + TimeDelta::microseconds(self.0.load(Ordering::Relaxed))
    }
}

pub(crate) struct Fixture {
    pub(crate) inbox: Inbox,
    pub(crate) second: Inbox,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) database: Database,
    _test_database: TestDatabase,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let test_database = TestDatabase::new().unwrap();
        let open = async || {
            Database::open(&test_database.settings(), 4, &[SCHEMA])
                .await
                .unwrap()
        };
        let clock = Arc::new(TestClock::default());
        let database = open().await;
        let inbox = |database| {
            Inbox::new(database, RULES, &PROVIDERS).with_clock(Arc::<TestClock>::clone(&clock))
        };
        Self {
            inbox: inbox(database.clone()),
            second: inbox(open().await),
            clock,
            database,
            _test_database: test_database,
        }
    }

    pub(crate) fn pass(&self, time: Duration) {
        let micros = i64::try_from(time.as_micros()).unwrap();
        self.clock.0.fetch_add(micros, Ordering::Relaxed);
    }

    pub(crate) async fn store(&self, events: &[(&str, &str, EventType)]) -> usize {
        let arrivals: Vec<_> = events
            .iter()
            .map(|(id, pnr, event)| arrival(id, pnr, *event, None))
            .collect();
        self.store_all(&arrivals).await.len()
    }

    pub(crate) async fn store_all(&self, arrivals: &[Arrival]) -> Vec<(String, Place)> {
        let mut transaction = self.database.begin().await.unwrap();
        let stored = self.inbox.store(&mut transaction, arrivals, None);
        let stored = stored.await.unwrap();
        transaction.commit().await.unwrap();
        places(stored)
    }

    pub(crate) async fn reopen(&self, arrivals: &[Arrival]) -> Vec<(String, Place)> {
        let mut transaction = self.database.begin().await.unwrap();
        let stored = self.inbox.reopen(&mut transaction, arrivals).await.unwrap();
        transaction.commit().await.unwrap();
        places(stored)
    }

    pub(crate) async fn claim(&self, limit: usize) -> Vec<Claimed> {
        self.inbox
            .claim(("smtp", Choice::Any), limit, LEASE)
            .await
            .unwrap()
    }

    pub(crate) async fn claim_one(&self) -> Claimed {
        self.claim(1).await.remove(0)
    }

    pub(crate) async fn settle(&self, row: &Claimed, outcome: Outcome) -> usize {
        let (counted, _) = self.settle_for(row, outcome, More::Nothing).await;
        counted
    }

    /// Settles a row and claims in the same transaction.
    pub(crate) async fn settle_for(
        &self,
        row: &Claimed,
        outcome: Outcome,
        more: More<'_>,
    ) -> (usize, Vec<Claimed>) {
        let settled = settled(row, outcome);
        let mut transaction = self.inbox.begin_claiming().await.unwrap();
        let counted = self.inbox.settle(&mut transaction, &[settled]).await;
        let counted = counted.unwrap();
        let next: Vec<_> = counted.iter().filter_map(|one| one.next).collect();
        let (inbox, of) = (&self.inbox, &mut transaction);
        let claimed = match more {
            More::Nothing => Ok(Vec::new()),
            More::Next(idle) => inbox.claim_next(of, &next, idle).await,
            More::Due(idle) => inbox.claim_due(of, Choice::Any, idle).await,
        };
        let claimed = claimed.unwrap();
        transaction.commit().await.unwrap();
        (counted.len(), claimed)
    }

    pub(crate) async fn lose_lease(&self) {
        self.pass(LEASE + Duration::from_micros(1));
        assert_eq!(self.inbox.recover().await.unwrap(), 1);
        assert!(self.claim(1).await.is_empty(), "its outcome may still come");
        self.pass(Duration::from_secs(2));
    }

    /// Claims one, sees that it is this event, and settles it.
    pub(crate) async fn finish(&self, id: &str, outcome: Outcome) {
        let row = self.claim_one().await;
        assert_eq!(ids(std::slice::from_ref(&row)), [id]);
        self.settle(&row, outcome).await;
    }
}

pub(crate) const fn settled(row: &Claimed, outcome: Outcome) -> Settled {
    Settled {
        seq: row.seq,
        token: row.token,
        outcome,
    }
}

/// What is claimed with an outcome.
#[derive(Clone, Copy)]
pub(crate) enum More<'a> {
    Nothing,
    /// What it kept waiting.
    Next(Idle<'a>),
    /// The oldest that is due.
    Due(Idle<'a>),
}

pub(crate) fn places(stored: Vec<Stored>) -> Vec<(String, Place)> {
    let mut places: Vec<_> = stored
        .into_iter()
        .map(|stored| (stored.event_id, stored.place))
        .collect();
    places.sort();
    places
}

pub(crate) fn arrival(id: &str, pnr: &str, event_type: EventType, version: Option<i64>) -> Arrival {
    let mut event = BookingEvent::decode(testkit::sample_event().as_bytes()).unwrap();
    event.event_id = id.parse().unwrap();
    event.pnr_number = pnr.parse().unwrap();
    event.event_type = event_type;
    let record = Record {
        topic: event_type.topic().to_owned(),
        partition: 2,
        offset: 7,
        timestamp_millis: Some(START.timestamp_millis()),
        key: Some(b"\xffkey".to_vec()),
        value: Some(event.encode().unwrap()),
        headers: vec![
            ("h".to_owned(), Some(b"\x00\xff".to_vec())),
            ("h".to_owned(), None),
        ],
        damaged: false,
    };
    let mut headers = ReadHeaders::default();
    headers.booking_version = version;
    Arrival::new(record, &event, &headers, &EventType::ALL).unwrap()
}

/// An event with the headers of the contract.
pub(crate) fn versioned(id: &str, event_type: EventType, version: i64, history: &str) -> Arrival {
    let mut event = BookingEvent::decode(testkit::sample_event().as_bytes()).unwrap();
    event.event_id = id.parse().unwrap();
    event.event_type = event_type;
    let record = Record {
        topic: event_type.topic().to_owned(),
        value: Some(event.encode().unwrap()),
        ..Record::default()
    };
    let mut headers = ReadHeaders::default();
    headers.booking_version = Some(version);
    headers.history = Some(history.parse().unwrap());
    Arrival::new(record, &event, &headers, &EventType::ALL).unwrap()
}

/// A dead letter that comes back for the `count`th time.
pub(crate) fn replayed(id: &str, event_type: EventType, count: &str) -> Arrival {
    let mut event = BookingEvent::decode(testkit::sample_event().as_bytes()).unwrap();
    event.event_id = id.parse().unwrap();
    event.event_type = event_type;
    let record = Record {
        topic: event_type.topic().to_owned(),
        value: Some(event.encode().unwrap()),
        headers: vec![(
            "dlq-replay-count".to_owned(),
            Some(count.as_bytes().to_vec()),
        )],
        ..Record::default()
    };
    Arrival::new(record, &event, &ReadHeaders::default(), &EventType::ALL).unwrap()
}

pub(crate) fn ids(rows: &[Claimed]) -> Vec<String> {
    let id = |row: &Claimed| {
        let event = BookingEvent::decode(row.record.value.as_deref().unwrap()).unwrap();
        event.event_id.to_string()
    };
    rows.iter().map(id).collect()
}

pub(crate) fn sent() -> Outcome {
    Outcome::Sent {
        provider_message_id: "1".to_owned(),
        remark: None,
    }
}

pub(crate) fn retry(after: Duration) -> Outcome {
    Outcome::Retry {
        after,
        certainty: Certainty::Unchanged,
        reason: "451".to_owned(),
    }
}

pub(crate) fn defer(certainty: Certainty) -> Outcome {
    Outcome::Defer {
        after: Duration::ZERO,
        certainty,
        reason: "429".to_owned(),
    }
}

pub(crate) fn dead() -> Outcome {
    Outcome::Dead { verdict: verdict() }
}

pub(crate) fn suppressed_because(row: &Claimed) -> &str {
    match &row.fate {
        Fate::Suppress { reason } => reason,
        Fate::Send => "not suppressed",
        Fate::Expire { .. } => "expired",
    }
}

pub(crate) fn verdict() -> Verdict {
    Verdict {
        class: DeadLetterClass::Permanent,
        stage: Stage::Send,
        error: "no such mailbox".to_owned(),
        provider_status: Some("550 5.1.1".to_owned()),
    }
}

pub(crate) const CONFIRMED: EventType = EventType::BookingConfirmed;
pub(crate) const PAID: EventType = EventType::PaymentCompleted;
pub(crate) const CANCELLED: EventType = EventType::BookingCancelled;
