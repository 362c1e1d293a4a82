//! The relay against a broker, on whichever database and broker `testkit` gives.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bus::{Patience, Producer, Record};
use chassis::metrics::Metrics;
use chassis::{Clock as _, Shutdown, SystemClock};
use database::Database;
use outbox::{History, Outbox, OutboxRow, Relay, SCHEMA};
use testkit::{TestBroker, TestDatabase, eventually};
use tokio::sync::{Mutex, MutexGuard};

/// The topic is one for all tests where the broker is, and they compare its offsets.
static TURN: Mutex<()> = Mutex::const_new(());

struct Fixture {
    _turn: MutexGuard<'static, ()>,
    database: Database,
    broker: TestBroker,
    _test_database: TestDatabase,
}

impl Fixture {
    async fn new() -> Self {
        let turn = TURN.lock().await;
        let test_database = TestDatabase::new().unwrap();
        let database = Database::open(&test_database.settings(), 4, &[SCHEMA])
            .await
            .unwrap();
        Self {
            _turn: turn,
            database,
            broker: TestBroker::start().await.unwrap(),
            _test_database: test_database,
        }
    }

    fn pair(&self) -> (Outbox, Relay) {
        self.pair_with(History::Kept)
    }

    fn pair_with(&self, history: History) -> (Outbox, Relay) {
        let producer = Producer::new(self.broker.settings(), "test", Patience::Endless).unwrap();
        let clock = Arc::new(SystemClock);
        outbox::pair(
            self.database.clone(),
            producer,
            clock,
            &Metrics::default(),
            ("booking", history),
        )
    }

    async fn unpublished(&self) -> i64 {
        let sql = "select count(*) from outbox where published_at is null";
        sqlx::query_scalar(sql)
            .fetch_one(&self.database)
            .await
            .unwrap()
    }

    async fn write(&self, outbox: &Outbox, rows: Vec<OutboxRow>) -> outbox::Handover {
        let mut transaction = self.database.begin().await.unwrap();
        let handover = outbox.insert(&mut transaction, rows).await.unwrap();
        transaction.commit().await.unwrap();
        handover
    }

    async fn all_published(&self) {
        eventually("publication of every row", async || {
            (self.unpublished().await == 0).then_some(())
        })
        .await;
    }
}

fn row(id: &str, version: i64) -> OutboxRow {
    OutboxRow {
        event_id: format!("{id}-{}", chassis::chance::token()),
        topic: "booking-confirmed".to_owned(),
        key: "2400000001".to_owned(),
        event_type: "BOOKING_CONFIRMED".to_owned(),
        version,
        payload: "{\"text\":\"₹ \\u0000 \\\"quoted\\\"\"}".to_owned(),
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        created_at_micros: 1_800_000_000_000_000,
    }
}

async fn rows(database: &Database) -> i64 {
    let sql = "select count(*) from outbox";
    sqlx::query_scalar(sql).fetch_one(database).await.unwrap()
}

async fn offsets(database: &Database) -> Vec<(i64, i64)> {
    let sql = "select version, kafka_offset from outbox order by version";
    sqlx::query_as(sql).fetch_all(database).await.unwrap()
}

/// When the first of all rows was marked, in microseconds.
async fn first_published(database: &Database) -> i64 {
    let sql = "select min(published_at) from outbox";
    sqlx::query_scalar(sql).fetch_one(database).await.unwrap()
}

/// Commits rows in the name of a running relay, which crashes before it is told of them. When its lease ends at the earliest, in microseconds.
async fn crash_with(fixture: &Fixture, rows: impl Fn() -> Vec<OutboxRow> + Send + Sync) -> i64 {
    let (outbox, relay) = fixture.pair();
    let running = tokio::spawn(relay.run(Shutdown::new()));
    let (owner, lost) = eventually("lease of the relay", async || {
        let mut transaction = fixture.database.begin().await.unwrap();
        let handover = outbox.insert(&mut transaction, rows()).await.unwrap();
        // Later the relay gives its name to rows that nobody holds.
        let sql = "select owner from outbox order by seq desc limit 1";
        let owner = sqlx::query_scalar(sql).fetch_one(&mut transaction);
        let owner: String = owner.await.unwrap();
        transaction.commit().await.unwrap();
        if !owner.is_empty() {
            return Some((owner, handover));
        }
        outbox.hand_over(handover);
        fixture.all_published().await;
        None
    })
    .await;
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    drop(lost);
    let earlier = "delete from outbox where published_at is not null";
    let earlier = sqlx::query(earlier).execute(&fixture.database).await;
    earlier.unwrap();
    let sql = "select lease_until from outbox_relay where owner = $1";
    let lease = sqlx::query_scalar(sql).bind(owner);
    lease.fetch_one(&fixture.database).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn committed_rows_are_published_in_their_order_and_marked() {
    let fixture = Fixture::new().await;
    let (outbox, relay) = fixture.pair();
    let shutdown = Shutdown::new();
    let running = tokio::spawn(relay.run(shutdown.clone()));
    for version in 1..=20 {
        let handover = fixture.write(&outbox, vec![row("e", version)]).await;
        outbox.hand_over(handover);
    }
    fixture.all_published().await;
    let offsets = offsets(&fixture.database).await;
    assert!(
        offsets.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1),
        "{offsets:?}"
    );
    shutdown.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_was_never_handed_over_is_published_after_its_lease() {
    let fixture = Fixture::new().await;
    let lease_ends = crash_with(&fixture, || vec![row("e", 1)]).await;
    assert_eq!(fixture.unpublished().await, 1);
    let (_outbox, relay) = fixture.pair();
    let shutdown = Shutdown::new();
    let running = tokio::spawn(relay.run(shutdown.clone()));
    fixture.all_published().await;
    let first = first_published(&fixture.database).await;
    assert!(first >= lease_ends, "{} µs early", lease_ends - first);
    shutdown.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_row_goes_where_the_topic_is_its_history() {
    let fixture = Fixture::new().await;
    let (outbox, relay) = fixture.pair_with(History::Dropped);
    let shutdown = Shutdown::new();
    let running = tokio::spawn(relay.run(shutdown.clone()));
    let written = OutboxRow {
        key: chassis::chance::token(),
        ..row("e", 1)
    };
    let handover = fixture.write(&outbox, vec![written.clone()]).await;
    outbox.hand_over(handover);
    let mut reader = fixture.broker.reader([&written.topic]).unwrap();
    let published = reader.find(&written.topic, &written.key).await.unwrap();
    assert_eq!(published.value, Some(written.payload.into_bytes()));
    eventually("the end of the row", async || {
        (rows(&fixture.database).await == 0).then_some(())
    })
    .await;
    shutdown.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolled_back_row_is_never_published() {
    let fixture = Fixture::new().await;
    let (outbox, relay) = fixture.pair();
    let shutdown = Shutdown::new();
    let running = tokio::spawn(relay.run(shutdown.clone()));
    let key = chassis::chance::token();
    let row = |id| OutboxRow {
        key: key.clone(),
        payload: format!("\"{id}\""),
        ..row(id, 1)
    };
    let mut transaction = fixture.database.begin().await.unwrap();
    let rolled_back = outbox.insert(&mut transaction, vec![row("rolled back")]);
    let rolled_back = rolled_back.await.unwrap();
    drop(transaction);
    drop(rolled_back);
    let marker = row("marker");
    let handover = fixture.write(&outbox, vec![marker.clone()]).await;
    outbox.hand_over(handover);
    fixture.all_published().await;
    assert_eq!(rows(&fixture.database).await, 1);
    let group = format!("test-{}", chassis::chance::token());
    let records = fixture.broker.read_all(&group, vec![marker.topic]).await;
    let of_key = |record: &Record| record.key.as_deref() == Some(key.as_bytes());
    let records = records.unwrap().into_iter().filter(of_key);
    let values: Vec<_> = records.map(|record| record.value).collect();
    assert_eq!(values, [Some(b"\"marker\"".to_vec())]);
    shutdown.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_relays_share_what_a_crash_left_and_publish_each_row_once() {
    let fixture = Fixture::new().await;
    let rows = || (1..=100).map(|version| row("e", version)).collect();
    let lease_ends = crash_with(&fixture, rows).await;
    assert_eq!(fixture.unpublished().await, 100);
    let shutdown = Shutdown::new();
    let relays = [fixture.pair(), fixture.pair()]
        .map(|(outbox, relay)| (outbox, tokio::spawn(relay.run(shutdown.clone()))));
    fixture.all_published().await;
    let first = first_published(&fixture.database).await;
    assert!(first >= lease_ends, "{} µs early", lease_ends - first);
    let offsets = offsets(&fixture.database).await;
    let taken: BTreeSet<_> = offsets.iter().map(|(_, offset)| *offset).collect();
    let (first, last) = (*taken.first().unwrap(), *taken.last().unwrap());
    assert_eq!(
        (taken.len(), last - first),
        (100, 99),
        "a hundred rows on one partition take a hundred offsets: {offsets:?}"
    );
    shutdown.cancel();
    for (_outbox, relay) in relays {
        relay.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_rows_than_memory_holds_are_all_published_in_order() {
    let fixture = Fixture::new().await;
    let (outbox, relay) = fixture.pair();
    for chunk in 0..12_i64 {
        let rows = (1..=500).map(|n| row("e", chunk * 500 + n)).collect();
        let handover = fixture.write(&outbox, rows).await;
        outbox.hand_over(handover);
    }
    let shutdown = Shutdown::new();
    let running = tokio::spawn(relay.run(shutdown.clone()));
    fixture.all_published().await;
    let offsets = offsets(&fixture.database).await;
    assert_eq!(offsets.len(), 6000);
    assert!(offsets.is_sorted_by(|a, b| a.1 < b.1));
    shutdown.cancel();
    running.await.unwrap().unwrap();
}

/// Writes rows until one is the running relay's own, then one more, which nobody is told of.
async fn write_unconfirmed(fixture: &Fixture, outbox: &Outbox) -> (String, outbox::Handover) {
    eventually("lease of the relay", async || {
        let handover = fixture.write(outbox, vec![row("held", 1)]).await;
        outbox.hand_over(handover);
        let sql = "select owner from outbox order by seq desc limit 1";
        let owner: String = sqlx::query_scalar(sql)
            .fetch_one(&fixture.database)
            .await
            .unwrap();
        (!owner.is_empty()).then_some(())
    })
    .await;
    let unconfirmed = OutboxRow {
        // Just now, by the relay's clock: too young to be looked for when the database is back.
        created_at_micros: SystemClock.now().timestamp_micros(),
        ..row("unconfirmed", 1)
    };
    let event_id = unconfirmed.event_id.clone();
    (event_id, fixture.write(outbox, vec![unconfirmed]).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_whose_commit_was_not_confirmed_is_published_also_while_the_process_is_busy() {
    let fixture = Fixture::new().await;
    let (outbox, relay) = fixture.pair();
    let shutdown = Shutdown::new();
    let running = tokio::spawn(relay.run(shutdown.clone()));
    let (event_id, unconfirmed) = write_unconfirmed(&fixture, &outbox).await;
    // The database fails just when the relay would let go of the row.
    let database = &fixture.database;
    let away = sqlx::query("alter table outbox rename to outbox_away");
    away.execute(database).await.unwrap();
    drop(unconfirmed);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let back = sqlx::query("alter table outbox_away rename to outbox");
    back.execute(database).await.unwrap();
    eventually("publication of the unconfirmed row", async || {
        // Which keeps the lease of the relay, and so the row in its name.
        let handover = fixture.write(&outbox, vec![row("busy", 1)]).await;
        outbox.hand_over(handover);
        let sql = "select published_at from outbox where event_id = $1";
        let published: Option<i64> = sqlx::query_scalar(sql)
            .bind(&event_id)
            .fetch_one(&fixture.database)
            .await
            .unwrap();
        published
    })
    .await;
    shutdown.cancel();
    running.await.unwrap().unwrap();
}
