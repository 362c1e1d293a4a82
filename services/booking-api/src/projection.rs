//! From `notification-status` into the database.

mod reading;

use std::time::Duration;

use bus::{Consumer, KafkaSettings, Offsets, Record, Subscription, Topics};
use chassis::{Failure, Readiness, Shutdown};
use events::NOTIFICATION_STATUS;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::warn;

use crate::metrics::{Partition, StatusMetrics};
use crate::store::{NewStep, Store};
use crate::upkeep::make_topics;
use reading::{Unreadable, read};

/// How often lag and connection are looked at.
const TICK: Duration = Duration::from_millis(250);

/// Statuses of one transaction below which a moment is worth it: the next ones gather meanwhile.
const MANY: usize = 200;

/// That moment: a timeline may be so late.
const GATHERING: Duration = Duration::from_millis(50);

/// How long a database or client that failed is left alone.
const RETRY: Duration = Duration::from_millis(500);

/// Keeps every step of every notification. Bookings never wait for it.
#[derive(Debug)]
pub(crate) struct Projection {
    pub(crate) store: Store,
    pub(crate) kafka: KafkaSettings,
    pub(crate) group: String,
    pub(crate) metrics: StatusMetrics,
    pub(crate) readiness: Readiness,
    pub(crate) shutdown: Shutdown,
}

/// The process is to stop. What was read and not stored is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stopping;

/// Why one client reads no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Stopping,
    /// The client met a fatal error; another one may go on.
    ClientFailed,
}

/// A batch, read.
#[derive(Default)]
struct Sorted {
    steps: Vec<NewStep>,
    offsets: Offsets,
    skipped: u64,
    first_skipped: Option<(Record, Unreadable)>,
}

impl Projection {
    /// Reads until shutdown, once the topic is there.
    pub(crate) async fn run(self, topics: Topics) -> Result<(), Failure> {
        self.note("the topic is not there yet");
        if !make_topics(topics, &self.shutdown).await {
            return Ok(());
        }
        loop {
            match self.follow().await? {
                End::Stopping => return Ok(()),
                // A rest that is cut short ends the next client at once.
                End::ClientFailed => drop(self.rest(RETRY).await),
            }
        }
    }

    /// Reads with one client, until it ends by itself or the process is to stop.
    async fn follow(&self) -> Result<End, Failure> {
        let subscription = Subscription {
            client_id: "booking-api".to_owned(),
            group: self.group.clone(),
            topics: vec![NOTIFICATION_STATUS.to_owned()],
        };
        let mut consumer = Consumer::start(&self.kafka, subscription)?;
        let end = self.take_all(&mut consumer).await;
        consumer.close().await;
        Ok(end)
    }

    async fn take_all(&self, consumer: &mut Consumer) -> End {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.shutdown.cancelled() => return End::Stopping,
                batch = consumer.next() => match batch {
                    Ok(batch) => if let Err(Stopping) = self.take(consumer, batch).await {
                        return End::Stopping;
                    }
                    Err(error) => {
                        warn!(error = %error, "the consumer of statuses begins anew");
                        return End::ClientFailed;
                    }
                },
                _ = tick.tick() => self.look_around(consumer),
            }
        }
    }

    /// Offsets are committed when the steps are safe.
    async fn take(&self, consumer: &Consumer, batch: Vec<Record>) -> Result<(), Stopping> {
        let sorted = Sorted::of(batch);
        while let Err(error) = self.keep(&sorted).await {
            warn!(error = %error, "statuses not stored, trying again");
            self.note("the database takes no statuses: they wait in Kafka");
            self.measure_lag(consumer);
            self.rest(RETRY).await?;
        }
        self.tell_skipped(&sorted);
        consumer.commit(sorted.offsets);
        if sorted.steps.len() < MANY {
            self.rest(GATHERING).await?;
        }
        Ok(())
    }

    async fn keep(&self, sorted: &Sorted) -> Result<(), database::Error> {
        let kept = self.store.keep_steps(&sorted.steps).await?;
        let all = u64::try_from(sorted.steps.len()).unwrap_or(u64::MAX);
        self.metrics.count("stored", kept);
        self.metrics.count("duplicate", all.saturating_sub(kept));
        Ok(())
    }

    /// One line a batch: a newer notifier may write thousands of words that are not known here.
    fn tell_skipped(&self, sorted: &Sorted) {
        self.metrics.count("skipped", sorted.skipped);
        if let Some((record, reason)) = &sorted.first_skipped {
            warn!(
                topic = record.topic,
                partition = record.partition,
                offset = record.offset,
                reason = reason.as_str(),
                records = sorted.skipped,
                "skipped records that are no status, the first one here"
            );
        }
    }

    fn look_around(&self, consumer: &Consumer) {
        self.measure_lag(consumer);
        if consumer.is_connected() {
            self.readiness.set_optional("notification-status", Ok(()));
        } else {
            self.note("no broker is connected: what became of notifications is not known here yet");
        }
    }

    fn measure_lag(&self, consumer: &Consumer) {
        // Partitions that are another process's now are no more ours to tell of.
        self.metrics.lag.clear();
        for lag in consumer.lag() {
            let label = Partition {
                topic: lag.topic,
                partition: lag.partition,
            };
            self.metrics.lag.get_or_create(&label).set(lag.records);
        }
    }

    fn note(&self, problem: &str) {
        let state = Err(problem.to_owned());
        self.readiness.set_optional("notification-status", state);
    }

    async fn rest(&self, span: Duration) -> Result<(), Stopping> {
        tokio::select! {
            () = sleep(span) => Ok(()),
            () = self.shutdown.cancelled() => Err(Stopping),
        }
    }
}

impl Sorted {
    fn of(batch: Vec<Record>) -> Self {
        let mut sorted = Self::default();
        for record in batch {
            sorted.offsets.past(&record);
            match read(&record) {
                Ok(step) => sorted.steps.push(step),
                Err(reason) => {
                    sorted.skipped += 1;
                    sorted.first_skipped.get_or_insert((record, reason));
                }
            }
        }
        sorted
    }
}
