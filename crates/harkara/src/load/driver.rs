//! Sends the passengers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chassis::{Clock as _, Failure, Shutdown, SystemClock};
use chrono::{DateTime, Utc};
use events::EventType;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, sleep_until};

use crate::load::Load;
use crate::load::passenger::{Counter, Ended, Habits};
use crate::load::schedule::Schedule;
use crate::load::second::{Second, second_of};
use crate::load::tally::Tally;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A step is past the knee when it answers fewer of its passengers in its time.
const ENOUGH: f64 = 0.95;

/// How passengers come.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// By the clock.
    Open(Schedule),
    /// So many at a time, each when the one before it was answered.
    Closed { clients: u32 },
}

/// A booking that was made while it was measured.
#[derive(Clone, Debug)]
pub(crate) struct Trip {
    pub(crate) pnr: String,
    /// When each request that succeeded was due.
    pub(crate) due: Vec<(EventType, DateTime<Utc>)>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) began: DateTime<Utc>,
    /// From the end of the warm-up to the last arrival.
    pub(crate) measured: Duration,
    pub(crate) requests: BTreeMap<EventType, Tally>,
    /// By the second since the end of the warm-up.
    pub(crate) seconds: Vec<Second>,
    pub(crate) trips: Vec<Trip>,
    /// The last rate that was answered in its time, if a later one was not.
    pub(crate) knee: Option<u32>,
    /// Every request answered 2xx, the warm-up's too, by what it tells.
    pub(crate) told: BTreeMap<EventType, u64>,
}

/// What the passengers write down.
#[derive(Debug, Default)]
struct Notes {
    requests: BTreeMap<EventType, Tally>,
    seconds: Vec<Second>,
    trips: Vec<Trip>,
    told: BTreeMap<EventType, u64>,
}

/// What all passengers of a run share.
#[derive(Clone, Debug)]
struct Line {
    counter: Counter,
    habits: Habits,
    began: DateTime<Utc>,
    start: Instant,
    warm_up: Duration,
    notes: Arc<Mutex<Notes>>,
}

/// A request and when it was due, as time since the start.
#[derive(Clone, Copy)]
struct Request {
    event: EventType,
    due: Duration,
}

pub(crate) async fn drive(load: &Load, shutdown: &Shutdown) -> Result<Run, Failure> {
    let counter = Counter {
        client: chassis::http::client(PATIENCE)?,
        bookings: load
            .url
            .join("/api/v1/bookings")
            .map_err(|error| Failure::Setting {
                variable: "--url",
                problem: error.to_string(),
            })?,
    };
    let reached = shutdown.run_until_cancelled(reach(&counter)).await;
    reached.unwrap_or(Ok(()))?;
    let line = Line {
        counter,
        habits: load.habits(),
        began: SystemClock.now(),
        start: Instant::now(),
        warm_up: load.warm_up,
        notes: Arc::default(),
    };
    let progress = tokio::spawn(show(line.clone(), load.warm_up + load.duration));
    let (knee, last) = match load.pace() {
        Pace::Open(schedule) => line.open(schedule, load.duration, shutdown).await,
        Pace::Closed { clients } => {
            line.closed(clients, load.duration, shutdown).await;
            (None, line.start.elapsed())
        }
    };
    progress.abort();
    let measured = last.saturating_sub(load.warm_up).min(load.duration);
    let notes = std::mem::take(&mut *line.lock());
    Ok(Run {
        began: line.began,
        measured,
        requests: notes.requests,
        seconds: notes.seconds,
        trips: notes.trips,
        knee,
        told: notes.told,
    })
}

/// Whether anybody answers at all.
async fn reach(counter: &Counter) -> Result<(), Failure> {
    let mut url = counter.bookings.clone();
    url.set_query(Some("limit=1"));
    let answer = counter.client.get(url);
    answer
        .send()
        .await
        .map(drop)
        .map_err(|error| Failure::Unavailable {
            what: "--url",
            problem: format!(
                "{} does not answer: {}",
                counter.bookings,
                error.without_url()
            ),
        })
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Each when it is due, whatever became of those before. Says which rate was the last that was answered in its time, and when arrivals ended.
    async fn open(
        &self,
        schedule: Schedule,
        duration: Duration,
        shutdown: &Shutdown,
    ) -> (Option<u32>, Duration) {
        let mut passengers = JoinSet::new();
        let (mut at, mut number) = (Duration::ZERO, 0);
        let mut knee = None;
        while at < self.warm_up + duration && !shutdown.is_cancelled() {
            sleep_until((self.start + at).into()).await;
            number += 1;
            passengers.spawn(self.clone().travel(number, at));
            let measured = at.saturating_sub(self.warm_up);
            let next = schedule.gap(measured);
            knee = knee.or_else(|| self.knee(schedule, measured, next));
            if knee.is_some() {
                break;
            }
            at += next;
            while passengers.try_join_next().is_some() {}
        }
        passengers.join_all().await;
        (knee, at)
    }

    /// At the end of each step: its rate, or 0 of the first, if the next was too much.
    fn knee(&self, schedule: Schedule, at: Duration, next: Duration) -> Option<u32> {
        let Schedule::Steps { from, by, every } = schedule else {
            return None;
        };
        let step = |at: Duration| at.as_millis() / every.as_millis().max(1);
        let (this, following) = (step(at), step(at + next));
        if this == following {
            return None;
        }
        let seconds = usize::try_from(every.as_secs())
            .unwrap_or(usize::MAX)
            .max(1);
        let first = usize::try_from(this)
            .unwrap_or(usize::MAX)
            .saturating_mul(seconds);
        let notes = self.lock();
        let own = notes.seconds.iter().skip(first).take(seconds);
        let (due, answered) = own.fold((0, 0), |(due, answered), second| {
            (due + second.due, answered + second.answered)
        });
        let step = u32::try_from(this).unwrap_or(u32::MAX);
        let before = from
            .saturating_add(by.saturating_mul(step))
            .saturating_sub(by);
        (share(answered, due) < ENOUGH).then_some(if step == 0 { 0 } else { before })
    }

    async fn closed(&self, clients: u32, duration: Duration, shutdown: &Shutdown) {
        let mut desks = JoinSet::new();
        for client in 0..u64::from(clients) {
            let (line, shutdown) = (self.clone(), shutdown.clone());
            desks.spawn(async move {
                let numbers = (client..).step_by(usize::try_from(clients).unwrap_or(1));
                line.one_by_one(numbers, duration, &shutdown).await;
            });
        }
        desks.join_all().await;
    }

    /// A client: each passenger when the one before has travelled.
    async fn one_by_one(
        &self,
        numbers: impl Iterator<Item = u64>,
        duration: Duration,
        shutdown: &Shutdown,
    ) {
        for number in numbers {
            let at = self.start.elapsed();
            if at > self.warm_up + duration || shutdown.is_cancelled() {
                return;
            }
            self.clone().travel(number, at).await;
        }
    }

    /// Books, then perhaps pays and cancels.
    async fn travel(self, number: u64, due: Duration) {
        let booking = Request {
            event: EventType::BookingConfirmed,
            due,
        };
        self.note_due(due);
        let ended = self.counter.book(number).await;
        let Some(pnr) = self.note(booking, ended) else {
            return;
        };
        let mut trip = Trip {
            pnr,
            due: vec![self.moment(booking)],
        };
        for event in self.habits.changes_of(number) {
            sleep(self.habits.think).await;
            let due = self.start.elapsed();
            let request = Request { event, due };
            let ended = self.counter.change(&trip.pnr, event).await;
            if self.note(request, ended).is_some() {
                trip.due.push(self.moment(request));
            }
        }
        if due >= self.warm_up {
            self.lock().trips.push(trip);
        }
    }

    fn moment(&self, request: Request) -> (EventType, DateTime<Utc>) {
        (request.event, self.began + request.due)
    }

    fn note_due(&self, due: Duration) {
        if let Some(second) = self.second(due) {
            second_of(&mut self.lock().seconds, second).due += 1;
        }
    }

    /// The PNR, if the request succeeded.
    fn note(&self, request: Request, ended: Ended) -> Option<String> {
        let now = self.start.elapsed();
        let mut notes = self.lock();
        let done = match ended {
            Ended::Done { pnr } => {
                *notes.told.entry(request.event).or_default() += 1;
                Ok(pnr)
            }
            Ended::Refused(status) => Err(status),
            Ended::Unanswered => Err(0),
        };
        if let Some(second) = self.second(request.due) {
            let tally = notes.requests.entry(request.event).or_default();
            let took = now.saturating_sub(request.due);
            match &done {
                Ok(_) => tally.times.record(took),
                Err(status) => *tally.failed.entry(*status).or_default() += 1,
            }
            let booking = request.event == EventType::BookingConfirmed;
            let own = second_of(&mut notes.seconds, second);
            match &done {
                Ok(_) if booking => own.booked.record(took),
                Ok(_) => {}
                Err(_) => own.failed += 1,
            }
            if let Some(answered) = self.second(now).filter(|_| booking && done.is_ok()) {
                second_of(&mut notes.seconds, answered).answered += 1;
            }
        }
        done.ok()
    }

    /// The measured second of a time since the start; none in the warm-up.
    fn second(&self, at: Duration) -> Option<usize> {
        let measured = at.checked_sub(self.warm_up)?;
        usize::try_from(measured.as_secs()).ok()
    }
}

/// `part` of `whole`; all of nothing.
pub(crate) fn share(part: u64, whole: u64) -> f64 {
    let float = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    if whole == 0 {
        1.0
    } else {
        float(part) / float(whole)
    }
}

/// A line that is drawn anew each second, where somebody looks.
async fn show(line: Line, whole: Duration) {
    let bar = ProgressBar::new(whole.as_secs());
    if let Ok(style) = ProgressStyle::with_template("{elapsed:>4} of {len} s  {bar:30}  {msg}") {
        bar.set_style(style);
    }
    let mut tick = interval(Duration::from_secs(1));
    loop {
        tick.tick().await;
        let at = line.start.elapsed();
        bar.set_position(at.as_secs());
        let text = match at.checked_sub(line.warm_up) {
            None => "warming up".to_owned(),
            Some(_) => line.now(),
        };
        bar.set_message(text);
    }
}

impl Line {
    /// The last whole second in a few words.
    fn now(&self) -> String {
        let notes = self.lock();
        let Some(last) = notes.seconds.iter().rev().nth(1) else {
            return String::new();
        };
        let times = last.booked.summary();
        let failed: u64 = notes.requests.values().map(Tally::failures).sum();
        format!(
            "{} bookings/s  p50 {} ms  p99 {} ms  {failed} failed",
            last.answered, times.p50, times.p99
        )
    }
}
