//! Bookings at a fixed rate, whatever becomes of them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use events::EventType;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{MissedTickBehavior, interval};

use crate::checker::Booked;
use crate::requests::booking_request;

/// Passengers at once at most: more than the machine can serve would only wait for one another.
const AT_ONCE: usize = 256;

/// How long a request is tried before the run is given up.
const PATIENCE: Duration = Duration::from_mins(4);

/// How long a passenger thinks before the next change: long enough for the one before to be under way.
const PAUSE: Duration = Duration::from_millis(300);

/// What happens to the bookings of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// They are made.
    Confirm,
    /// Of five: one is made, one also paid, one also cancelled, one paid and cancelled, one cancelled at once.
    Lives,
}

impl Plan {
    /// What happens to a booking after it is made, each after so long.
    fn changes(self, number: u64) -> Vec<(EventType, Duration)> {
        let (paid, cancelled) = (EventType::PaymentCompleted, EventType::BookingCancelled);
        match (self, number % 5) {
            (Self::Lives, 1) => vec![(paid, PAUSE)],
            (Self::Lives, 2) => vec![(cancelled, PAUSE)],
            (Self::Lives, 3) => vec![(paid, PAUSE), (cancelled, PAUSE)],
            (Self::Lives, 4) => vec![(cancelled, Duration::ZERO)],
            (Self::Confirm | Self::Lives, _) => Vec::new(),
        }
    }
}

/// Makes bookings in an open loop: a slow answer does not slow the clock.
///
/// Each request has its own idempotency key and is tried until it is answered 2xx, so that a killed server costs no booking and doubles none.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    running: tokio::task::JoinHandle<LoadReport>,
}

/// What came of a load.
#[derive(Clone, Debug, Default)]
pub struct LoadReport {
    /// What was answered 2xx.
    pub booked: Vec<Booked>,
    /// For each booking: when it was due, as time since the start, and how long it took from then to its first answer.
    pub latencies: Vec<(Duration, Duration)>,
    /// Answers other than 2xx, and connections that failed; each was tried again.
    pub refusals: u64,
    /// Of the refusals, those that a client should not see: neither 503 nor a connection that failed.
    pub surprises: Vec<u16>,
}

impl Load {
    /// Starts booking at `url` (`http://host:port/api/v1/bookings`, asked for anew at each try), `per_second` a second.
    pub fn start(
        per_second: u32,
        plan: Plan,
        url: impl Fn() -> String + Send + Sync + 'static,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let running = tokio::spawn(run(per_second, plan, Arc::new(url), stopped));
        Self { stop, running }
    }

    /// Ends it and waits for the last answer.
    ///
    /// # Panics
    /// If a request was never answered 2xx.
    #[expect(clippy::expect_used, reason = "a test fails by panicking")]
    pub async fn finish(self) -> LoadReport {
        self.stop.store(true, Ordering::Release);
        self.running.await.expect("the load panicked")
    }
}

impl LoadReport {
    /// A percentile (0 to 100) of the latencies of bookings due within `span` of the start.
    pub fn percentile(&self, percent: usize, span: std::ops::Range<Duration>) -> Duration {
        let due = self.latencies.iter().filter(|(due, _)| span.contains(due));
        let mut taken: Vec<_> = due.map(|(_, latency)| *latency).collect();
        taken.sort_unstable();
        let index = (taken.len() * percent / 100).min(taken.len().saturating_sub(1));
        taken.get(index).copied().unwrap_or_default()
    }
}

type Url = Arc<dyn Fn() -> String + Send + Sync>;

async fn run(per_second: u32, plan: Plan, url: Url, stop: Arc<AtomicBool>) -> LoadReport {
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(10))
        .build();
    let client = client.unwrap_or_default();
    let report = Arc::new(Mutex::new(LoadReport::default()));
    let mut tick = interval(Duration::from_secs(1) / per_second);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let started = Instant::now();
    let run = chassis::chance::token();
    let mut bookings = JoinSet::new();
    let mut number = 0_u64;
    while !stop.load(Ordering::Acquire) {
        let due = tick.tick().await;
        while bookings.len() >= AT_ONCE {
            join(bookings.join_next().await);
        }
        number += 1;
        let booking = Booking {
            client: client.clone(),
            url: Arc::clone(&url),
            key: format!("{run}-{number}"),
            number,
            // Also for one that had to wait for others, which counts.
            due: due.duration_since(started.into()),
            started,
            report: Arc::clone(&report),
        };
        bookings.spawn(booking.live(plan));
    }
    while !bookings.is_empty() {
        join(bookings.join_next().await);
    }
    let report = report.lock().unwrap_or_else(PoisonError::into_inner);
    report.clone()
}

fn join(ended: Option<Result<(), JoinError>>) {
    assert!(
        ended.is_none_or(|ended| ended.is_ok()),
        "a request was not answered within {PATIENCE:?}"
    );
}

struct Booking {
    client: reqwest::Client,
    url: Url,
    key: String,
    number: u64,
    due: Duration,
    started: Instant,
    report: Arc<Mutex<LoadReport>>,
}

/// A request that is tried until it is answered 2xx.
struct Call {
    event: EventType,
    method: Method,
    path: String,
    body: Option<Value>,
}

impl Booking {
    async fn live(self, plan: Plan) {
        let created = self.insist(&self.creation()).await;
        let pnr = created.get("pnrNumber").and_then(Value::as_str);
        let mut booked = Booked::confirmed(pnr.unwrap_or_default());
        self.note(|report| {
            let waited = self.started.elapsed().saturating_sub(self.due);
            report.latencies.push((self.due, waited));
        });
        for (event, pause) in plan.changes(self.number) {
            tokio::time::sleep(pause).await;
            self.insist(&change(event, &booked.pnr)).await;
            booked.events.push(event);
        }
        self.note(|report| report.booked.push(booked));
    }

    fn creation(&self) -> Call {
        Call {
            event: EventType::BookingConfirmed,
            method: Method::POST,
            path: String::new(),
            body: Some(booking_request(self.number)),
        }
    }

    fn note(&self, change: impl FnOnce(&mut LoadReport)) {
        change(&mut self.report.lock().unwrap_or_else(PoisonError::into_inner));
    }

    async fn insist(&self, call: &Call) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.try_once(call).await {
                Ok(answer) => return answer,
                Err(status) => self.refused(status),
            }
            assert!(
                Instant::now() < deadline,
                "not answered 2xx within {PATIENCE:?}"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn refused(&self, status: Option<StatusCode>) {
        // 409: the same request is still running, or ran when the answer was lost.
        let expected = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::CONFLICT];
        let surprise = status.filter(|status| !expected.contains(status));
        self.note(|report| {
            report.refusals += 1;
            report
                .surprises
                .extend(surprise.map(|status| status.as_u16()));
        });
    }

    /// The answer, if it is 2xx; else its status, if there was an answer.
    async fn try_once(&self, call: &Call) -> Result<Value, Option<StatusCode>> {
        let url = format!("{}{}", (self.url)(), call.path);
        let request = self.client.request(call.method.clone(), url);
        let key = format!("{}-{}", self.key, call.event);
        let request = request.header("Idempotency-Key", key);
        let request = match &call.body {
            Some(body) => request
                .header("content-type", "application/json")
                .body(body.to_string()),
            None => request,
        };
        let response = request.send().await.map_err(|_no_answer| None)?;
        if !response.status().is_success() {
            return Err(Some(response.status()));
        }
        response.json().await.map_err(|_cut_short| None)
    }
}

fn change(event: EventType, pnr: &str) -> Call {
    match event {
        EventType::PaymentCompleted => Call {
            event,
            method: Method::PUT,
            path: format!("/{pnr}/payment-status"),
            body: Some(json!({"paymentStatus": "COMPLETED"})),
        },
        EventType::BookingConfirmed | EventType::BookingCancelled => Call {
            event,
            method: Method::POST,
            path: format!("/{pnr}/cancel"),
            body: None,
        },
    }
}
