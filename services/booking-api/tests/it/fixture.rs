//! The service under test.

use std::fmt::Debug;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use booking_api::{BookingApi, PnrSource, Settings, Sources};
use bus::KafkaSettings;
use chassis::{Clock, Failure, ProcessSettings, Shutdown};
use chrono::{DateTime, TimeDelta, Utc};
use database::{Database, Dialect, WriteTransaction};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::Value;
use sqlx::Row;
use testkit::{TestBroker, TestDatabase, eventually};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

/// Where the services run. It is never dropped, for that would wait for the client that looks for a broker.
static SERVICES: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

pub(crate) const SAMPLE: &str = include_str!("../../golden/create-request.json");

pub(crate) const BOOKINGS: &str = "/api/v1/bookings";

/// 10:00 on 1 January 2024 in India: the specification's own moment.
pub(crate) fn specification_time() -> DateTime<Utc> {
    "2024-01-01T04:30:00Z".parse().unwrap()
}

/// A clock that is turned by hand.
#[derive(Clone, Debug)]
pub(crate) struct TestClock(Arc<Mutex<DateTime<Utc>>>);

impl TestClock {
    pub(crate) fn turn(&self, by: TimeDelta) {
        *self.0.lock().unwrap() += by;
    }
}

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}

fn new_clock() -> TestClock {
    TestClock(Arc::new(Mutex::new(specification_time())))
}

/// PNRs in this order; the last is repeated.
pub(crate) fn pnrs(pnrs: &'static [&'static str]) -> PnrSource {
    let next = Mutex::new(pnrs.iter().peekable());
    PnrSource::new(move || {
        let mut next = next.lock().unwrap();
        let pnr = next.next().unwrap_or_else(|| pnrs.last().unwrap());
        pnr.parse().unwrap()
    })
}

pub(crate) struct TestApi {
    database: Arc<TestDatabase>,
    settings: Settings,
    pub(crate) clock: TestClock,
    pnrs: PnrSource,
    address: String,
    client: Client,
    shutdown: Shutdown,
    running: JoinHandle<Result<(), Failure>>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect(&self.body)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn pnr(&self) -> String {
        self.json()["pnrNumber"].as_str().unwrap().to_owned()
    }

    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        self
    }

    /// Expects a problem of this kind, in the form RFC 9457 gives it.
    pub(crate) fn expect_problem(self, status: u16, kind: &str) -> Self {
        let answer = self.expect(status);
        let content_type = answer.header("content-type");
        assert_eq!(content_type, Some("application/problem+json"));
        let problem = answer.json();
        assert_eq!(problem["type"], format!("urn:harkara:problem:{kind}"));
        assert_eq!(problem["status"], status);
        for name in ["title", "detail", "instance"] {
            assert!(problem[name].is_string(), "{problem}");
        }
        assert_eq!(problem["errors"].is_array(), status == 422, "{problem}");
        answer
    }
}

/// An outbox row.
#[derive(Debug)]
pub(crate) struct OutboxRow {
    pub(crate) topic: String,
    pub(crate) key: String,
    pub(crate) version: i64,
    pub(crate) payload: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl OutboxRow {
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        &found.unwrap().1
    }
}

impl TestApi {
    pub(crate) async fn start() -> Self {
        Self::start_with(PnrSource::default()).await
    }

    pub(crate) async fn start_with(pnrs: PnrSource) -> Self {
        let database = Arc::new(TestDatabase::new().unwrap());
        let settings = settings(&database);
        Self::on(database, settings, new_clock(), pnrs).await
    }

    /// With a broker, and a consumer group of its own there.
    pub(crate) async fn start_at(broker: &TestBroker) -> Self {
        let database = Arc::new(TestDatabase::new().unwrap());
        let settings = Settings {
            kafka: broker.settings().clone(),
            consumer_group: group(),
            ..settings(&database)
        };
        Self::on(database, settings, new_clock(), PnrSource::default()).await
    }

    /// Another process on the same database.
    pub(crate) async fn twin(&self) -> Self {
        let database = Arc::clone(&self.database);
        let settings = self.settings.clone();
        Self::on(database, settings, self.clock.clone(), self.pnrs.clone()).await
    }

    /// The same after a crash: nothing is drained.
    pub(crate) async fn crash_and_restart(self) -> Self {
        self.running.abort();
        self.twin().await
    }

    /// The same, with a group that has read nothing: it reads everything once more.
    pub(crate) async fn crash_and_read_again(mut self) -> Self {
        self.settings.consumer_group = group();
        self.crash_and_restart().await
    }

    async fn on(
        database: Arc<TestDatabase>,
        settings: Settings,
        clock: TestClock,
        pnrs: PnrSource,
    ) -> Self {
        let sources = Sources {
            clock: Arc::new(clock.clone()),
            pnrs: pnrs.clone(),
        };
        let own = settings.clone();
        let starting = SERVICES.spawn(async move { BookingApi::start(&own, sources).await });
        let service = starting.await.unwrap().unwrap();
        let address = format!("http://{}", service.http_address());
        let shutdown = Shutdown::new();
        let running = SERVICES.spawn(service.run(shutdown.clone()));
        Self {
            database,
            settings,
            clock,
            pnrs,
            address,
            client: Client::builder().build().unwrap(),
            shutdown,
            running,
        }
    }

    /// Host and port.
    pub(crate) fn authority(&self) -> &str {
        self.address.trim_start_matches("http://")
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.address))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    pub(crate) fn post(&self, path: &str, body: impl Into<String>) -> RequestBuilder {
        let request = self.request(Method::POST, path);
        let request = request.header("content-type", "application/json");
        request.body(body.into())
    }

    pub(crate) fn put_payment(&self, pnr: &str, status: &str) -> RequestBuilder {
        let path = format!("{BOOKINGS}/{pnr}/payment-status");
        let body = format!("{{\"paymentStatus\":\"{status}\"}}");
        let request = self.request(Method::PUT, &path);
        request
            .header("content-type", "application/json")
            .body(body)
    }

    pub(crate) fn cancel(&self, pnr: &str) -> RequestBuilder {
        self.request(Method::POST, &format!("{BOOKINGS}/{pnr}/cancel"))
    }

    pub(crate) async fn create(&self) -> Answer {
        send(self.post(BOOKINGS, SAMPLE)).await.expect(201)
    }

    /// The value of a metric without labels.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let text = self.get("/metrics").await.body;
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.expect(&text).trim().parse().unwrap()
    }

    /// The value of a metric, 0 while it was not counted.
    pub(crate) async fn counted(&self, name: &str) -> u64 {
        let text = self.get("/metrics").await.body;
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.map_or(0, |value| value.trim().parse().unwrap())
    }

    pub(crate) async fn look(&self) -> Database {
        Database::open(&self.database.settings(), 2, &[])
            .await
            .unwrap()
    }

    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        let database = self.look().await;
        sqlx::query_scalar(sql).fetch_one(&database).await.unwrap()
    }

    /// Runs a statement behind the service's back.
    pub(crate) async fn meddle(&self, sql: &'static str) {
        let mut transaction = self.look().await.begin().await.unwrap();
        sqlx::query(sql).execute(&mut transaction).await.unwrap();
        transaction.commit().await.unwrap();
    }

    pub(crate) async fn outbox(&self) -> Vec<OutboxRow> {
        let database = self.look().await;
        let sql = "select topic, record_key, version, payload, headers from outbox order by seq";
        let rows = sqlx::query(sql).fetch_all(&database).await.unwrap();
        let read = |row: &sqlx::any::AnyRow| OutboxRow {
            topic: row.get("topic"),
            key: row.get("record_key"),
            version: row.get("version"),
            payload: row.get("payload"),
            headers: serde_json::from_str(row.get("headers")).unwrap(),
        };
        rows.iter().map(read).collect()
    }

    /// Keeps every writer waiting until it is dropped.
    pub(crate) async fn hold_writers(&self) -> WriteTransaction {
        self.hold("lock table booking in exclusive mode").await
    }

    /// Keeps every writer waiting just before it keeps its answers; on SQLite, before its transaction.
    pub(crate) async fn hold_answers(&self) -> WriteTransaction {
        self.hold("lock table idempotency in share row exclusive mode")
            .await
    }

    async fn hold(&self, lock: &'static str) -> WriteTransaction {
        let database = self.look().await;
        let mut transaction = database.begin().await.unwrap();
        if database.dialect() == Dialect::Postgres {
            sqlx::query(lock).execute(&mut transaction).await.unwrap();
        }
        transaction
    }

    /// Waits until so many writers stand at a held lock. On SQLite they wait before their transaction, unseen.
    pub(crate) async fn writers_wait(&self, writers: i64) {
        if self.database.dialect() == Dialect::Sqlite {
            return;
        }
        let waiting = "select count(*) from pg_locks where not granted and relation in ('booking'::regclass, 'idempotency'::regclass)";
        eventually("writers at the lock", || async {
            (self.count(waiting).await == writers).then_some(())
        })
        .await;
    }

    pub(crate) fn shut_down(&self) {
        self.shutdown.cancel();
    }

    pub(crate) async fn ended(&mut self) -> Result<(), Failure> {
        (&mut self.running).await.unwrap()
    }
}

impl Drop for TestApi {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// A consumer group of one's own.
fn group() -> String {
    format!("booking-api-{}", chassis::chance::token())
}

/// Sends a request and reads the answer.
pub(crate) async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    Answer {
        status: response.status(),
        headers: response.headers().clone(),
        body: response.text().await.unwrap(),
    }
}

/// Sends a request while the writers are held, and returns when it waits in their queue.
///
/// It is sent twice with one key: the copy that is refused proves that the other is in flight.
pub(crate) async fn send_held(request: RequestBuilder, key: &str) -> JoinHandle<Answer> {
    let request = request.header("idempotency-key", key.to_owned());
    let mut one = tokio::spawn(send(request.try_clone().unwrap()));
    let mut other = tokio::spawn(send(request));
    let (refused, waits) = tokio::select! {
        answer = &mut one => (answer, other),
        answer = &mut other => (answer, one),
    };
    refused.unwrap().expect_problem(409, "request-in-progress");
    waits
}

pub(crate) fn settings(database: &TestDatabase) -> Settings {
    Settings {
        process: ProcessSettings::of_command("off", Duration::from_secs(15)),
        kafka: KafkaSettings::local("127.0.0.1:1".to_owned()),
        database: database.settings(),
        consumer_group: "booking-api".to_owned(),
    }
}
