//! From the broker into the inbox.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bus::{Consumer, Offsets, Record};
use chassis::trace::{KeyValue, Span, SpanKind};
use chassis::{Failure, Readiness, SharedClock, Shutdown, loggable_id};
use chrono::{DateTime, Utc};
use database::{Database, Error};
use events::{BookingEvent, Channel, EventType, header};
use inbox::{Arrival, Claimed, Inbox, Place, Stored, Verdict};
use outbox::{Outbox, OutboxRow};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tracing::{info, warn};

use crate::channel;
use crate::dead_letters::{DeadLetters, Failures, warn_unwritten};
use crate::dispatcher::{Dispatcher, Workload};
use crate::gates::Gates;
use crate::metrics::{NotifierMetrics, Partition, Topic};
use crate::reading::{homeward, read};
use crate::statuses::{self, Statuses};
use crate::verdicts;
use crate::worker::happened_at;

/// How often lag, connection and room in the inbox are looked at.
const TICK: Duration = Duration::from_millis(250);

/// How long a database or broker that failed is left alone.
const RETRY: Duration = Duration::from_millis(500);

/// Takes records in until shutdown.
pub(crate) struct Intake<C> {
    pub(crate) channel: Channel,
    pub(crate) told: Vec<EventType>,
    pub(crate) group: String,
    pub(crate) consumer: Consumer,
    pub(crate) database: Database,
    pub(crate) inbox: Inbox,
    pub(crate) outbox: Outbox,
    pub(crate) statuses: Statuses,
    pub(crate) gates: Gates,
    pub(crate) dead_letters: DeadLetters,
    pub(crate) clock: SharedClock,
    pub(crate) metrics: NotifierMetrics,
    pub(crate) readiness: Readiness,
    pub(crate) workload: Arc<Workload>,
    pub(crate) dispatcher: Arc<Dispatcher<C>>,
    pub(crate) limit: u32,
    /// How long what was told is remembered.
    pub(crate) retention: Duration,
}

/// An event, when it happened, and its record.
struct Happened {
    event: BookingEvent,
    at: DateTime<Utc>,
    record: Record,
}

/// A batch, sorted.
#[derive(Default)]
struct Sorted {
    arrivals: Vec<Arrival>,
    /// Dead letters that came back.
    returned: Vec<Arrival>,
    /// By event id: statuses tell of them.
    events: BTreeMap<String, Happened>,
    bad: Vec<(Record, Verdict)>,
    /// The steps of the events' traces that last until the batch is safe.
    spans: Vec<Span>,
    offsets: Offsets,
}

impl<C: channel::Channel> Intake<C> {
    pub(crate) async fn run(mut self, shutdown: Shutdown) -> Result<(), Failure> {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                batch = self.consumer.next() => {
                    let batch = batch.map_err(Failure::broken("could not read from Kafka"))?;
                    if !self.looking_around(&mut tick, self.take_in(batch, &shutdown)).await {
                        break;
                    }
                }
                _ = tick.tick() => self.look_around(),
            }
        }
        self.consumer.close().await;
        Ok(())
    }

    /// What takes long when database or broker are away must not hide that they are.
    async fn looking_around(
        &self,
        tick: &mut Interval,
        taking: impl Future<Output = bool>,
    ) -> bool {
        let mut taking = pin!(taking);
        loop {
            tokio::select! {
                safe = &mut taking => return safe,
                _ = tick.tick() => self.look_around(),
            }
        }
    }

    fn taking_in(&self, record: &Record, event: &BookingEvent) -> Span {
        let header = record.header(header::TRACEPARENT);
        let mut span = Span::following(SpanKind::Consumer, ("process", &record.topic), header);
        span.describe_message(
            "process",
            &record.topic,
            &loggable_id(event.event_id.as_str()),
        );
        span.describe_place(record.partition, record.offset);
        span.describe(|| {
            let group = self.group.clone();
            [KeyValue::new("messaging.consumer.group.name", group)]
        });
        span
    }

    /// `false` if the process is to stop before the batch was safe; it is then read again.
    async fn take_in(&self, batch: Vec<Record>, shutdown: &Shutdown) -> bool {
        let sorted = self.sort(batch);
        if !self.store(&sorted, shutdown).await {
            return false;
        }
        for (record, verdict) in &sorted.bad {
            if !self.bury(record, verdict, shutdown).await {
                return false;
            }
        }
        self.consumer.commit(sorted.offsets);
        true
    }

    fn sort(&self, batch: Vec<Record>) -> Sorted {
        let mut sorted = Sorted::default();
        for record in batch {
            self.metrics
                .consumed
                .get_or_create(&Topic {
                    topic: record.topic.clone(),
                })
                .inc();
            sorted.offsets.past(&record);
            self.sort_one(record, &mut sorted);
        }
        sorted
    }

    fn sort_one(&self, record: Record, sorted: &mut Sorted) {
        let (record, returned) = homeward(self.channel, record);
        let (event, headers) = match read(&record) {
            Ok(read) => read,
            Err(verdict) => return sorted.bad.push((record, verdict)),
        };
        sorted.spans.push(self.taking_in(&record, &event));
        let awaited = self.may_be_awaited(&event);
        match Arrival::new(record.clone(), &event, &headers, &awaited) {
            Ok(arrival) if returned => sorted.returned.push(arrival),
            Ok(arrival) => sorted.arrivals.push(arrival),
            Err(error) => return sorted.bad.push((record, verdicts::undecodable(&error))),
        }
        let at = happened_at(&record, &event);
        let id = event.event_id.to_string();
        sorted.events.insert(id, Happened { event, at, record });
    }

    /// Of a booking whose confirmation may be forgotten by now, all but that.
    fn may_be_awaited(&self, event: &BookingEvent) -> Cow<'_, [EventType]> {
        let age = event.event_timestamp.to_utc() - event.booking_date.to_utc();
        if age.to_std().is_ok_and(|age| age >= self.retention) {
            let told = self.told.iter().copied();
            let later = told.filter(|event| *event != EventType::BookingConfirmed);
            Cow::Owned(later.collect())
        } else {
            Cow::Borrowed(&self.told)
        }
    }

    async fn store(&self, sorted: &Sorted, shutdown: &Shutdown) -> bool {
        loop {
            match self.try_store(sorted).await {
                Ok(stored) => {
                    self.count(sorted, &stored);
                    return true;
                }
                Err(error) => warn!(error = %error, "records not stored, trying again"),
            }
            if !rest(shutdown).await {
                return false;
            }
        }
    }

    /// Rows and the statuses that tell of them are one transaction.
    async fn try_store(&self, sorted: &Sorted) -> Result<Vec<Stored>, Error> {
        if sorted.events.is_empty() {
            return Ok(Vec::new());
        }
        // A dead letter that came back may be one of them, with headers of its own.
        let wanted = match sorted.returned.len() {
            0 => sorted.arrivals.len(),
            _ => 0,
        };
        let workers = self.dispatcher.idle(wanted);
        let idle = workers.as_ref().map(|(grant, _)| grant.idle());
        let mut transaction = match idle {
            Some(_) => self.inbox.begin_claiming().await?,
            None => self.database.begin().await?,
        };
        let store = self.inbox.store(&mut transaction, &sorted.arrivals, idle);
        let mut stored = store.await?;
        stored.extend(
            self.inbox
                .reopen(&mut transaction, &sorted.returned)
                .await?,
        );
        let rows = stored
            .iter()
            .filter_map(|row| self.status(sorted, row))
            .collect::<Result<Vec<_>, _>>()?;
        let handover = self.outbox.insert(&mut transaction, rows).await?;
        let rows = claimed(sorted, &stored);
        if let Err(error) = transaction.commit().await {
            if let Some((_, mut slots)) = workers {
                self.dispatcher.give_back(rows, &mut slots);
            }
            return Err(error);
        }
        self.outbox.hand_over(handover);
        if let Some((grant, slots)) = workers {
            self.dispatcher.start(rows, grant, slots);
        }
        Ok(stored)
    }

    fn status(&self, sorted: &Sorted, row: &Stored) -> Option<Result<OutboxRow, Error>> {
        let Happened { event, .. } = sorted.events.get(&row.event_id)?;
        let away = self.gates.away();
        let status = self.statuses.of_arrival(event, row, away)?;
        // A row comes in once, and comes back as often as it is replayed.
        let step = match row.place {
            Place::Reopened => format!("reopened-{}", status.occurred_at.timestamp_micros()),
            Place::Due | Place::Claimed | Place::Waiting | Place::Expired => "arrived".to_owned(),
        };
        Some(statuses::row(&status, &step))
    }

    fn count(&self, sorted: &Sorted, stored: &[Stored]) {
        let total = sorted.arrivals.len() + sorted.returned.len();
        let known = total.saturating_sub(stored.len());
        self.metrics
            .duplicates
            .inc_by(u64::try_from(known).unwrap_or(u64::MAX));
        let now = self.clock.now();
        for row in stored.iter().filter(|row| row.place != Place::Reopened) {
            if let Some(Happened { event, at, .. }) = sorted.events.get(&row.event_id) {
                let took = (now - *at).to_std().unwrap_or_default();
                self.metrics.time_arrival(event.event_type, took);
            }
        }
        let expired = stored.iter().filter(|row| row.place == Place::Expired);
        for row in expired.clone() {
            if let Some(Happened { event, .. }) = sorted.events.get(&row.event_id) {
                self.metrics.count_notification(event.event_type, "expired");
            }
        }
        let in_hand = stored.iter().filter(|row| row.place == Place::Claimed);
        self.workload
            .arrived(stored.len() - expired.count(), in_hand.count());
    }

    async fn bury(&self, record: &Record, verdict: &Verdict, shutdown: &Shutdown) -> bool {
        loop {
            let failures = Failures::before_any_send(self.clock.now());
            match self.dead_letters.write(record, verdict, failures).await {
                Ok(()) => return true,
                Err(error) => warn_unwritten(&error),
            }
            if !rest(shutdown).await {
                return false;
            }
        }
    }

    fn look_around(&self) {
        if self.workload.unfinished() > i64::from(self.limit) {
            self.consumer.hold();
        } else {
            self.consumer.resume();
        }
        // Partitions that are another process's now are no more ours to tell of.
        self.metrics.lag.clear();
        for lag in self.consumer.lag() {
            let label = Partition {
                topic: lag.topic,
                partition: lag.partition,
            };
            self.metrics.lag.get_or_create(&label).set(lag.records);
        }
        let paused = self.dead_letters.paused(Instant::now());
        let state = match (self.dead_letters.problem(), paused.len()) {
            (Some(problem), _) => Err(format!("one waits to be written: {problem}")),
            (None, 0) => Ok(()),
            (None, count) => Err(format!(
                "{count} partitions are not read for a while: too many of their records became dead letters at once"
            )),
        };
        self.readiness.set_optional("dead letters", state);
        self.metrics
            .paused
            .set(i64::try_from(paused.len()).unwrap_or(i64::MAX));
        self.consumer.pause(self.with_siblings(&paused));
        let connected = self.consumer.is_connected();
        let state = if connected {
            Ok(())
        } else {
            Err("no broker is connected".to_owned())
        };
        self.readiness.set("kafka", state);
    }
}

impl<C: channel::Channel> Intake<C> {
    /// A PNR's events are in partitions of one number: what waits must not be overtaken by what came later.
    fn with_siblings(&self, paused: &BTreeSet<(String, i32)>) -> BTreeSet<(String, i32)> {
        let topics = || self.told.iter().map(|event| event.topic().to_owned());
        let numbers = paused.iter().map(|(_, partition)| *partition);
        numbers
            .flat_map(|partition| topics().map(move |topic| (topic, partition)))
            .collect()
    }
}

/// The rows that go to a worker at once.
fn claimed(sorted: &Sorted, stored: &[Stored]) -> Vec<Claimed> {
    let claimed = stored.iter().filter(|row| row.place == Place::Claimed);
    let with_record = |row: &Stored| {
        let happened = sorted.events.get(&row.event_id)?;
        Some(Claimed::at_once(happened.record.clone(), row))
    };
    claimed.filter_map(with_record).collect()
}

/// Waits a little; `false` if the process is to stop.
async fn rest(shutdown: &Shutdown) -> bool {
    tokio::select! {
        () = tokio::time::sleep(RETRY) => true,
        () = shutdown.cancelled() => {
            info!("stopping before a batch was safe: it will be read again");
            false
        }
    }
}
