//! Databases that are away, slow, locked, or full.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use database::{Database, Dialect, WriteTransaction};
use events::Channel;
use sandbox::{Effect, Rule};
use tempfile::TempDir;
use testkit::{
    Link, Proxy, System, TestDatabase, booking_request, eventually, full_length, sample_event,
    sample_request,
};

use crate::client::{book, metric, request, told, warm_up};
use crate::sessions::session;
use crate::under_load::UnderLoad;

fn span(short_seconds: u64) -> Duration {
    let seconds = if full_length() { 60 } else { short_seconds };
    Duration::from_secs(seconds)
}

/// The system with a link before every database, where databases have servers.
async fn linked() -> Option<(System, Vec<Proxy>)> {
    let mut system = System::builder().start_without_programs().await.unwrap();
    let mut links = Vec::new();
    for name in System::PROGRAMS {
        links.push(system.link_database(name).await.unwrap()?);
        system.start_program(name).await.unwrap();
    }
    Some((system, links))
}

/// The system afterwards; none where it was not run.
async fn through(link: Link, span: Duration) -> Option<System> {
    let Some((system, links)) = linked().await else {
        println!("not run: a SQLite database has no server; give TEST_DATABASE_URL");
        return None;
    };
    let run = UnderLoad::start(system, 30).await;
    run.go_on(Duration::from_secs(2)).await;
    for one in &links {
        one.set(link);
    }
    run.go_on(span).await;
    for one in &links {
        one.set(Link::Good);
    }
    let what = format!("databases {link:?} for {span:?}");
    let ended = run.finish_clean(&what).await;
    let refused = ended.report.refusals;
    assert!(refused > 0 || link != Link::Cut, "the fault was not met");
    Some(ended.system)
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_that_go_away_lose_and_double_nothing() {
    drop(through(Link::Cut, span(8)).await);
}

/// Nobody sends what was claimed by a commit that was not told, and whoever claimed it knows that: it is in nobody's doubt.
#[tokio::test(flavor = "multi_thread")]
async fn databases_that_do_not_tell_what_they_committed_lose_and_double_nothing() {
    let Some(system) = through(Link::Silent(20), span(8)).await else {
        return;
    };
    for name in ["email-notifier", "sms-notifier", "whatsapp-notifier"] {
        let database = session(&system, name).await;
        let sql = "select count(*) from inbox where unsure_of is not null";
        let unsure: i64 = sqlx::query_scalar(sql).fetch_one(&database).await.unwrap();
        assert_eq!(unsure, 0, "{name}");
    }
}

/// Records that it holds are no more read than those at the broker.
#[tokio::test(flavor = "multi_thread")]
async fn a_notifier_without_its_database_tells_how_far_it_is_behind() {
    let Some((system, links)) = linked().await else {
        println!("not run: a SQLite database has no server; give TEST_DATABASE_URL");
        return;
    };
    warm_up(&system).await;
    // In the order of System::PROGRAMS.
    links[2].set(Link::Cut);
    for number in 0..40 {
        book(&system, &booking_request(number)).await;
    }
    let behind = async || {
        let lag = metric(&system, "sms-notifier", "notifier_consumer_lag").await;
        (lag == 40).then_some(())
    };
    eventually("lag of 40 records", behind).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_that_take_two_seconds_lose_and_double_nothing() {
    drop(through(Link::Slow(Duration::from_secs(1)), span(10)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_that_somebody_else_locks_lose_and_double_nothing() {
    let run = UnderLoad::start(System::builder().start().await.unwrap(), 20).await;
    run.go_on(Duration::from_secs(1)).await;
    let mut rivals = Vec::new();
    for (name, table) in [
        ("booking-api", "lock table outbox"),
        ("email-notifier", "lock table inbox"),
        ("sms-notifier", "lock table inbox"),
        ("whatsapp-notifier", "lock table inbox"),
    ] {
        let database = session(&run.system, name).await;
        // On SQLite whoever writes has the lock.
        let mut transaction = database.begin().await.unwrap();
        if database.dialect() == Dialect::Postgres {
            sqlx::query(table).execute(&mut transaction).await.unwrap();
        }
        rivals.push((database, transaction));
    }
    // Longer than the programs wait for a lock (5 s), shorter than a server bears an idle transaction (10 s).
    run.go_on(Duration::from_secs(7)).await;
    drop(rivals);
    run.finish_clean("databases locked for 7 s").await;
}

/// Of PostgreSQL: how many transactions were ended because they waited for each other.
async fn deadlocks(database: &Database) -> i64 {
    let sql = "select deadlocks from pg_stat_database where datname = current_database()";
    let counted = sqlx::query_scalar(sql).fetch_one(database);
    counted.await.unwrap()
}

/// Locks a row of the inbox until the end of the transaction; `false` if it cannot be had.
async fn lock(transaction: &mut WriteTransaction, seq: i64) -> bool {
    let sql = "update inbox set not_before = not_before where seq = $1";
    let locked = sqlx::query(sql).bind(seq).execute(&mut *transaction).await;
    locked.is_ok()
}

/// Of PostgreSQL: lets a transaction wait however long messages take on a slow machine.
async fn stay_idle(transaction: &mut WriteTransaction) {
    let sql = "set local idle_in_transaction_session_timeout = 0";
    sqlx::query(sql).execute(transaction).await.unwrap();
}

/// Which session a transaction is of.
async fn session_of(transaction: &mut WriteTransaction) -> i32 {
    let pid = sqlx::query_scalar("select pg_backend_pid()");
    pid.fetch_one(&mut *transaction).await.unwrap()
}

/// Waits for somebody to wait for a session, a little longer than [`HELD`] takes to be told.
async fn is_waited_for(database: &Database, session: i32) -> bool {
    let sql = "select count(*) from pg_stat_activity where $1 = any(pg_blocking_pids(pid))";
    for _ in 0..250 {
        let waiting = sqlx::query_scalar(sql).bind(session);
        let waiting: i64 = waiting.fetch_one(database).await.unwrap();
        if waiting > 0 {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

/// A passenger whose mail takes two seconds, so that its row can be locked meanwhile.
const HELD: &str = "held@example.com";

async fn book_for(system: &System, email: &str) -> String {
    book(system, &request(email, "+919876543210")).await
}

/// The row of a PNR, once it is in hand or told.
async fn row_of(database: &Database, pnr: &str) -> i64 {
    let sql = "select seq from inbox where pnr = $1 and state <> 'PENDING'";
    eventually("row in hand", async || {
        let row = sqlx::query_scalar(sql).bind(pnr).fetch_optional(database);
        row.await.unwrap()
    })
    .await
}

/// Holds one outcome up until two more wait behind it; when these are written together, in the order they came, takes their rows in the other.
async fn cross(system: &System, database: &Database) {
    let held = book_for(system, HELD).await;
    let held = row_of(database, &held).await;
    let mut plug = database.begin().await.unwrap();
    stay_idle(&mut plug).await;
    lock(&mut plug, held).await;
    let session = session_of(&mut plug).await;
    if !is_waited_for(database, session).await {
        return;
    }
    let mut rows = Vec::new();
    for email in ["early@example.com", "late@example.com"] {
        let pnr = book_for(system, email).await;
        told(system, Channel::Email, &pnr, 1).await;
        rows.push(row_of(database, &pnr).await);
    }
    // From the provider's answer to the queue of outcomes.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut opponent = database.begin().await.unwrap();
    // The program is to find the deadlock, which it does after a second.
    let patience = "set local deadlock_timeout = '20s'";
    let patience = sqlx::query(patience).execute(&mut opponent).await;
    patience.unwrap();
    lock(&mut opponent, rows[1]).await;
    let session = session_of(&mut opponent).await;
    plug.commit().await.unwrap();
    if is_waited_for(database, session).await && lock(&mut opponent, rows[0]).await {
        opponent.commit().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadlock_loses_and_doubles_nothing() {
    // More than there are messages while an outcome is held up.
    let builder = System::builder().with("CONCURRENCY", "128");
    let system = builder.start().await.unwrap();
    let database = session(&system, "email-notifier").await;
    if database.dialect() == Dialect::Sqlite {
        println!("not run: SQLite has one writer and so no deadlock; give TEST_DATABASE_URL");
        return;
    }
    let before = deadlocks(&database).await;
    let slow = Rule::new(Channel::Email, Effect::Delay { ms: 2_000 });
    let slow = slow.recipient(HELD);
    system.faults().replace(vec![slow]).unwrap();
    let run = UnderLoad::start(system, 10).await;
    eventually("deadlock", async || {
        cross(&run.system, &database).await;
        (deadlocks(&database).await > before).then_some(())
    })
    .await;
    run.finish_clean("after a deadlock").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_booking_that_commits_after_later_ones_is_told_too() {
    let system = System::builder().start().await.unwrap();
    let database = session(&system, "booking-api").await;
    if database.dialect() == Dialect::Sqlite {
        println!(
            "not run: SQLite has one writer, so no row commits after a later one; give TEST_DATABASE_URL"
        );
        return;
    }
    // Any PNR that the API does not give out in this test.
    let pnr = "2999999999";
    let mut event: serde_json::Value = serde_json::from_str(sample_event()).unwrap();
    event["eventId"] = format!("late-{}", system.group_of("event")).into();
    event["pnrNumber"] = pnr.into();
    let mut long = database.begin().await.unwrap();
    stay_idle(&mut long).await;
    let sql = "insert into outbox (event_id, topic, record_key, event_type, version, payload, headers, created_at, owner, not_before)
        values ($1, 'booking-confirmed', $2, 'BOOKING_CONFIRMED', 1, $3, '[]', 1800000000000000, '', 0) returning seq";
    let insert = sqlx::query_scalar(sql)
        .bind(event["eventId"].as_str().unwrap())
        .bind(pnr)
        .bind(event.to_string());
    let early: i64 = insert.fetch_one(&mut long).await.unwrap();

    for _ in 0..20 {
        let later = book(&system, &sample_request()).await;
        for channel in Channel::ALL {
            told(&system, channel, &later, 1).await;
        }
    }
    let newest: i64 = sqlx::query_scalar("select max(seq) from outbox")
        .fetch_one(&database)
        .await
        .unwrap();
    assert!(newest > early, "the others took later numbers");
    long.commit().await.unwrap();
    for channel in Channel::ALL {
        told(&system, channel, pnr, 1).await;
    }
}

/// A file system of some megabytes, with room for a journal (4 MB before its first checkpoint), which goes away with this.
struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// None where nothing may be mounted.
    fn mount() -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=24m", "none"]);
        let mounted = mount.arg(folder.path()).status();
        mounted
            .is_ok_and(|status| status.success())
            .then_some(Self { folder })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn filler(&self) -> std::path::PathBuf {
        self.path().join("filler")
    }

    /// Writes until no byte more fits.
    fn fill(&self) {
        let mut filler = std::fs::File::create(self.filler()).unwrap();
        while std::io::Write::write_all(&mut filler, &[0; 4096]).is_ok() {}
    }

    fn make_room(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Programs may still have files open.
        let unmounted = Command::new("umount").arg("-l").arg(self.path()).status();
        drop(unmounted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bookings_are_refused_while_the_disk_is_full_and_nothing_is_dropped() {
    let disks: Option<Vec<_>> = System::PROGRAMS
        .iter()
        .map(|_| SmallDisk::mount())
        .collect();
    let Some(disks) = disks else {
        println!("not run: no file system can be mounted here (it takes root)");
        return;
    };
    let mut system = System::builder().start_without_programs().await.unwrap();
    for (name, disk) in System::PROGRAMS.into_iter().zip(&disks) {
        system.move_database(name, TestDatabase::sqlite_in(disk.path()));
        system.start_program(name).await.unwrap();
    }
    let run = UnderLoad::start(system, 20).await;
    run.go_on(Duration::from_secs(2)).await;
    disks.iter().for_each(SmallDisk::fill);
    // Until then what is booked goes into old pages of the journal.
    let refused = r#"http_requests_total{method="POST",route="/api/v1/bookings",status="503"}"#;
    let met = async || (metric(&run.system, "booking-api", refused).await > 0).then_some(());
    eventually("refused booking", met).await;
    run.go_on(span(6)).await;
    disks.iter().for_each(SmallDisk::make_room);
    let ended = run.finish_clean("disks full").await;
    assert!(ended.report.refusals > 0, "the fault was not met");
}
