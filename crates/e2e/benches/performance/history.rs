//! Tables that are full of what is over: the same work, and the rows that PostgreSQL reads for it.

use std::time::{Duration, Instant};

use database::{Database, Dialect};
use inbox::{Choice, Inbox};
use testkit::{System, TestDatabase, full_length, sample_event};

use crate::load::{load, number};
use crate::stages::{LEASE, RULES, arrivals, open, sent, store};

/// Rows in a transaction, and transactions.
const BATCH: usize = 32;
const TIMES: usize = 50;

/// What a notifier keeps of a message that was sent.
const INBOX: &str = "insert into inbox (event_id, pnr, event_type, version, event_at, topic, kafka_partition, kafka_offset, kafka_timestamp,
        payload, origin, state, attempts, not_before, token, provider, provider_message_id, received_at, finished_at)
    select 'old-' || n, '5' || lpad(n::text, 9, '0'), 'BOOKING_CONFIRMED', 1, 1800000000000000 + n, 'booking-confirmed', n % 12, n, 1800000000000 + n,
        $3, '[]', 'SENT', 1, 1800000000000000 + n, 2, 'smtp', 'old-' || n, 1800000000000000 + n, 1800000000000000 + n
    from generate_series($1, $2) as n";

/// What the API keeps, table by table.
const BOOKINGS: [&str; 4] = [
    "insert into booking (pnr, version, user_id, status, payment_status, history, details, created_at, updated_at)
    select '5' || lpad(n::text, 9, '0'), 1, n % 100000, 'CONFIRMED', 'PENDING', 'BOOKING_CONFIRMED=1', $3, n, n from generate_series($1, $2) as n",
    "insert into outbox (event_id, topic, record_key, event_type, version, payload, headers, created_at, owner, not_before, published_at, kafka_partition, kafka_offset)
    select 'old-' || n, 'booking-confirmed', '5' || lpad(n::text, 9, '0'), 'BOOKING_CONFIRMED', 1, $3, '[]', n, 'old', 0, n, n % 12, n from generate_series($1, $2) as n",
    "insert into idempotency (scope_key, fingerprint, answer, created_at)
    select 'old-' || n, n::text, $3, 4000000000000000 from generate_series($1, $2) as n",
    "insert into notification_step (record_id, pnr, event_id, event_type, channel, status, attempt, provider_message_id, occurred_at, kafka_partition, kafka_offset)
    select 'old-' || n, '5' || lpad(n::text, 9, '0'), 'old-' || n, 'BOOKING_CONFIRMED', 'EMAIL', 'SENT', 1, left($3::text, 40), n, n % 12, n from generate_series($1, $2) as n",
];

pub(crate) async fn measure() {
    let database = TestDatabase::new().unwrap();
    if open(&database, inbox::SCHEMA).await.dialect() == Dialect::Sqlite {
        println!("\nHistory: needs TEST_DATABASE_URL");
        return;
    }
    let sizes = [10_000, 100_000, 1_000_000, 10_000_000];
    let sizes = &sizes[..if full_length() { 4 } else { 3 }];
    println!(
        "\n## Rows of history in an inbox, {BATCH} messages in a transaction, median of {TIMES}\n"
    );
    println!(
        "| history | taken in ms | claimed ms | settled ms | rows read by a message | 500 deleted ms | bytes of a row on disk |\n|---|---|---|---|---|---|---|"
    );
    for size in sizes {
        messages(*size).await;
    }
    println!("\n## Rows of history in each table of the API, one client\n");
    println!(
        "| history | a change p50 ms | p99 ms | timeline p50 ms | rows read by a change | bytes of a row on disk |\n|---|---|---|---|---|---|"
    );
    for size in sizes {
        bookings(*size).await;
    }
}

/// In parts that the time for a statement is long enough for.
async fn fill(database: &Database, sql: &'static str, size: i64) {
    const PART: i64 = 50_000;
    let mut filled = 0;
    while filled < size {
        let last = size.min(filled + PART);
        let mut transaction = database.begin().await.unwrap();
        let rows = sqlx::query(sql).bind(filled + 1).bind(last);
        let rows = rows.bind(sample_event());
        rows.execute(&mut transaction).await.unwrap();
        transaction.commit().await.unwrap();
        filled = last;
    }
}

/// Rows that PostgreSQL read from tables so far, by index or one after another.
async fn rows_read(database: &Database) -> i64 {
    // Counts are sent at most once a second.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let sql = "select sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::bigint from pg_stat_user_tables where schemaname = current_schema()";
    let read = sqlx::query_scalar(sql).fetch_one(database);
    read.await.unwrap()
}

/// Of each table that was filled, with its indexes.
async fn on_disk(database: &Database, rows: i64) -> String {
    let sql = "select string_agg(relname || ' ' || (pg_total_relation_size(oid) / $1), ', ' order by relname) from pg_class
        where relnamespace = current_schema()::text::regnamespace and relkind = 'r' and pg_total_relation_size(oid) > 50 * $1";
    let sizes = sqlx::query_scalar(sql).bind(rows).fetch_one(database);
    sizes.await.unwrap()
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e3
}

async fn messages(size: i64) {
    let test_database = TestDatabase::new().unwrap();
    let database = open(&test_database, inbox::SCHEMA).await;
    let inbox = Inbox::new(database.clone(), RULES, &["smtp"]);
    fill(&database, INBOX, size).await;
    let on_disk = on_disk(&database, size).await;
    let rows = arrivals(0..BATCH * TIMES);
    let before = rows_read(&database).await;
    let (mut taken_in, mut claimed, mut settled) = (Vec::new(), Vec::new(), Vec::new());
    for some in rows.chunks(BATCH) {
        let started = Instant::now();
        store(&database, &inbox, some).await;
        taken_in.push(started.elapsed());
        let started = Instant::now();
        let claim = inbox.claim(("smtp", Choice::Any), BATCH, LEASE).await;
        let outcomes: Vec<_> = claim.unwrap().iter().map(sent).collect();
        claimed.push(started.elapsed());
        assert_eq!(outcomes.len(), BATCH);
        let started = Instant::now();
        let mut transaction = database.begin().await.unwrap();
        let counted = inbox.settle(&mut transaction, &outcomes).await;
        transaction.commit().await.unwrap();
        settled.push(started.elapsed());
        assert_eq!(counted.unwrap().len(), BATCH);
    }
    let read = rows_read(&database).await - before;
    let mut deleted = Vec::new();
    for _ in 0..10 {
        let started = Instant::now();
        inbox.forget(Duration::ZERO, 500).await.unwrap();
        deleted.push(started.elapsed());
    }
    println!(
        "| {size} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {on_disk} |",
        median(taken_in),
        median(claimed),
        median(settled),
        number_of(read) / number_of(i64::try_from(rows.len()).unwrap()),
        median(deleted)
    );
    forget_tables(&database).await;
}

async fn bookings(size: i64) {
    let mut system = System::builder().start_without_programs().await.unwrap();
    system.start_program("booking-api").await.unwrap();
    let settings = system.database("booking-api").unwrap().settings();
    let database = Database::open(&settings, 2, &[]).await.unwrap();
    for sql in BOOKINGS {
        fill(&database, sql, size).await;
    }
    let on_disk = on_disk(&database, size).await;
    let before = rows_read(&database).await;
    let plan = "--clients 1 --warm-up 2s --duration 10s --pay 40 --cancel 10 --settle 0s";
    let report = load(&system, plan).await;
    let requests = report["requests"].as_array().unwrap();
    let made = requests.iter().map(|one| number(&one["millis"]["count"]));
    // The warm-up's changes are not counted, its rows are.
    let made = made.sum::<f64>() * 12.0 / 10.0;
    let read = number_of(rows_read(&database).await - before) / made;
    let millis = &requests[0]["millis"];
    println!(
        "| {size} | {:.2} | {:.2} | {:.2} | {read:.1} | {on_disk} |",
        number(&millis["p50"]),
        number(&millis["p99"]),
        timeline(&system, size).await
    );
    system.take_program("booking-api").unwrap().kill().unwrap();
    forget_tables(&database).await;
}

/// Of bookings all over the history.
async fn timeline(system: &System, size: i64) -> f64 {
    let client = chassis::http::client(Duration::from_secs(30)).unwrap();
    let mut times = Vec::new();
    for number in 1..=50 {
        let path = format!("/api/v1/bookings/5{:09}/timeline", size / 50 * number);
        let url = system.url("booking-api", &path).await.unwrap();
        let started = Instant::now();
        let answer = client.get(url).send().await.unwrap();
        assert!(answer.status().is_success());
        answer.bytes().await.unwrap();
        times.push(started.elapsed());
    }
    median(times)
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
fn number_of(count: i64) -> f64 {
    count as f64
}

/// Gigabytes, which a test's schema would keep.
async fn forget_tables(database: &Database) {
    let sql = "select 'drop table ' || string_agg(quote_ident(tablename), ', ') from pg_tables where schemaname = current_schema()";
    let drop: String = sqlx::query_scalar(sql).fetch_one(database).await.unwrap();
    let mut transaction = database.begin().await.unwrap();
    let drop = sqlx::query(sqlx::AssertSqlSafe(drop));
    drop.execute(&mut transaction).await.unwrap();
    transaction.commit().await.unwrap();
}
