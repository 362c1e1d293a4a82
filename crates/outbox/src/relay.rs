//! The end that publishes.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bus::{NewRecord, Producer, PublishError, Published};
use chassis::trace::{Span, SpanKind, TraceParent};
use chassis::{Failure, SharedClock, Shutdown, loggable_record_id};
use database::{Error, from_micros};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tracing::{debug, error, info, warn};

use crate::marker::{Marker, Unmarked};
use crate::measure::measure;
use crate::metrics::OutboxMetrics;
use crate::outbox::Shared;
use crate::store::{Mark, OutboxRow, Store};

/// Records waiting for their acknowledgement at most; below librdkafka's queue of 10,000, which therefore never fills.
const IN_FLIGHT_LIMIT: usize = 4096;

/// Rows taken from the database at once.
const SWEEP_LIMIT: u16 = 1000;

/// How often leases are renewed and abandoned rows looked for; several times within a lease of 5 s.
const TICK: Duration = Duration::from_secs(1);

/// How long a row the broker refused is left alone.
const REFUSED_DELAY: Duration = Duration::from_secs(5);

/// How long the last acknowledgements are waited for at shutdown.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// Rows written longer ago than this are handed over, or never will be.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(5);

/// How long a commit whose answer was lost may still be on its way, and its rows too young to be [`FORGOTTEN_AFTER`].
const UNCERTAIN: Duration = Duration::from_secs(30);

/// With the moment after the row's commit, where this process made it.
type Reported = (
    OutboxRow,
    Option<Instant>,
    Result<Published, PublishError>,
    Span,
);

type Report = Pin<Box<dyn Future<Output = Reported> + Send>>;

/// Publishes rows until shutdown.
#[derive(Debug)]
pub struct Relay {
    store: Store,
    producer: Producer,
    clock: SharedClock,
    metrics: OutboxMetrics,
    shared: Arc<Shared>,
    fresh: Receiver<(OutboxRow, Instant)>,
    in_flight: FuturesUnordered<Report>,
    unmarked: Unmarked,
    /// By how long they are to be left alone.
    refused: BTreeMap<Duration, Vec<String>>,
    /// Until then rows may come to be in our name that nobody here knows of: the database failed in the middle of a change of names, or of a transaction.
    uncertain_until: Option<Instant>,
}

impl Relay {
    pub(crate) fn new(
        store: Store,
        producer: Producer,
        clock: SharedClock,
        metrics: OutboxMetrics,
        (shared, fresh): (Arc<Shared>, Receiver<(OutboxRow, Instant)>),
    ) -> Self {
        let (in_flight, unmarked) = (FuturesUnordered::new(), Unmarked::default());
        Self {
            store,
            producer,
            clock,
            metrics,
            shared,
            fresh,
            in_flight,
            unmarked,
            refused: BTreeMap::new(),
            uncertain_until: None,
        }
    }

    /// Publishes until shutdown, then waits for the last acknowledgements and lets go of the rest.
    ///
    /// # Errors
    /// [`Failure::Broken`] if a part of it panicked.
    pub async fn run(mut self, shutdown: Shutdown) -> Result<(), Failure> {
        let (marks, to_mark) = mpsc::channel(IN_FLIGHT_LIMIT);
        let marker = Marker {
            store: self.store.clone(),
            clock: Arc::clone(&self.clock),
            unmarked: self.unmarked.clone(),
        };
        let marker = tokio::spawn(marker.run(to_mark));
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let measuring = measure(
            self.store.clone(),
            Arc::clone(&self.clock),
            self.metrics.clone(),
        );
        tokio::select! {
            published = self.publish_until(&shutdown, &marks, &mut tick) => published?,
            never = measuring => match never {},
        }
        self.drain(&marks).await?;
        drop(marks);
        marker
            .await
            .map_err(Failure::panicked("the outbox marker panicked"))?;
        self.store.leave().await.unwrap_or_else(|error| {
            warn!(error = %error, "could not let go of unpublished rows: their lease will end");
        });
        Ok(())
    }

    async fn publish_until(
        &mut self,
        shutdown: &Shutdown,
        marks: &Sender<Mark>,
        tick: &mut Interval,
    ) -> Result<(), Failure> {
        let mut batch = Vec::new();
        let wake = Arc::clone(&self.shared);
        loop {
            let room = IN_FLIGHT_LIMIT.saturating_sub(self.in_flight.len());
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                Some(reported) = self.in_flight.next() => {
                    self.settle(reported, marks).await?;
                }
                count = self.fresh.recv_many(&mut batch, room.min(256)), if room > 0 && wake.memory_is_next() => {
                    if count == 0 {
                        return Ok(());
                    }
                    for (row, committed) in batch.drain(..) {
                        self.publish(row, Some(committed));
                    }
                }
                _ = tick.tick() => self.keep_up().await,
                () = wake.wake.notified() => self.catch_up().await,
            }
        }
    }

    fn publish(&mut self, row: OutboxRow, committed: Option<Instant>) {
        if !self.unmarked.lock().insert(row.event_id.clone()) {
            return;
        }
        let headers: Vec<_> = row
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), Some(value.clone().into_bytes())))
            .collect();
        let record = NewRecord {
            topic: &row.topic,
            partition: None,
            key: Some(row.key.as_bytes()),
            value: Some(row.payload.as_bytes()),
            headers: &headers,
        };
        let span = sending(&row);
        self.in_flight.push(match self.producer.enqueue(&record) {
            Ok(acknowledgement) => {
                Box::pin(async move { (row, committed, acknowledgement.await, span) })
            }
            Err(error) => Box::pin(std::future::ready((row, committed, Err(error), span))),
        });
    }

    async fn settle(
        &mut self,
        (row, committed, report, mut span): Reported,
        marks: &Sender<Mark>,
    ) -> Result<(), Failure> {
        match report {
            Ok(at) => {
                span.describe_place(at.partition, at.offset);
                drop(span);
                self.published(&row, committed, at);
                marks
                    .send(Mark::new(row.event_id, at))
                    .await
                    .map_err(Failure::broken("the outbox marker ended"))
            }
            Err(error) => {
                span.fail("not acknowledged");
                self.refused(row, &error);
                Ok(())
            }
        }
    }

    fn published(&self, row: &OutboxRow, committed: Option<Instant>, at: Published) {
        let since_change = || self.clock.now() - from_micros(row.created_at_micros);
        let waited = committed.map_or_else(
            || since_change().as_seconds_f64().max(0.0),
            |committed| committed.elapsed().as_secs_f64(),
        );
        self.metrics.publish_seconds.observe(waited);
        self.metrics.count(&row.topic, "published");
        info!(
            event.id = %loggable_record_id(&row.event_id),
            event.type = row.event_type,
            topic = row.topic,
            partition = at.partition,
            offset = at.offset,
            "event published"
        );
    }

    /// The row stays in the database and is taken again: after a while if a broker refused it, else at once, for consumers wait no longer than `ORDER_WAIT` for it.
    fn refused(&mut self, row: OutboxRow, error: &PublishError) {
        self.metrics.count(&row.topic, "failed");
        let source = std::error::Error::source(error).map(ToString::to_string);
        error!(
            event.id = %loggable_record_id(&row.event_id),
            event.type = row.event_type,
            topic = row.topic,
            error = %error,
            reason = source,
            "event not published, will be tried again"
        );
        let delay = if matches!(error, PublishError::Unplaced) {
            Duration::ZERO
        } else {
            REFUSED_DELAY
        };
        self.refused.entry(delay).or_default().push(row.event_id);
    }

    /// All at once: a broker that refuses one refuses many.
    async fn let_go_of_refused(&mut self) {
        while let Some((delay, event_ids)) = self.refused.pop_first() {
            if let Err(error) = self.store.release(&event_ids, delay).await {
                warn!(error = %error, "could not let go of refused rows, trying again");
                self.refused.insert(delay, event_ids);
                return;
            }
            let mut unmarked = self.unmarked.lock();
            for event_id in &event_ids {
                unmarked.remove(event_id);
            }
        }
    }

    /// Rows in our name that were neither handed over nor claimed, as far as we know: the commit was made, but its confirmation lost.
    async fn let_go_of_forgotten(&mut self) {
        // What waits in memory is not among the unmarked yet.
        let Some(until) = self.uncertain_until.filter(|_| self.fresh.is_empty()) else {
            return;
        };
        let is_last_look = until <= Instant::now();
        let handed_over_by_now = self.clock.now() - FORGOTTEN_AFTER;
        let outcome = async {
            let mut forgotten = self.store.held(handed_over_by_now).await?;
            forgotten.retain(|event_id| !self.unmarked.lock().contains(event_id));
            self.store.release(&forgotten, Duration::ZERO).await?;
            Ok::<_, Error>(forgotten.len())
        };
        match outcome.await {
            Ok(count) => {
                if is_last_look {
                    self.uncertain_until = None;
                }
                if count > 0 {
                    info!(
                        rows = count,
                        "rows whose writing was not confirmed are published from the database"
                    );
                }
            }
            Err(error) => warn!(error = %error, "could not look for forgotten rows"),
        }
    }

    /// Once a second: keeps what is ours, looks for what was abandoned.
    async fn keep_up(&mut self) {
        self.producer.look_after();
        self.let_go_of_refused().await;
        self.let_go_of_forgotten().await;
        if self.shared.is_active() || !self.unmarked.lock().is_empty() {
            self.hold().await;
        }
        self.sweep().await;
    }

    async fn hold(&mut self) {
        let began = Instant::now();
        match self.store.hold().await {
            Ok(()) => self.shared.held_since(began),
            Err(error) => warn!(error = %error, "could not renew the lease of the outbox"),
        }
    }

    /// Woken by a writer whose rows nobody holds.
    async fn catch_up(&mut self) {
        // With no room for more, the next tick looks again.
        if self.shared.has_unclaimed() && self.in_flight.len() < IN_FLIGHT_LIMIT {
            self.sweep().await;
        }
    }

    /// Takes rows nobody holds, unless older ones wait in memory.
    async fn sweep(&mut self) {
        let left_over = self.shared.take_left_over();
        if !left_over.is_empty() {
            self.be_uncertain();
        }
        let wanted = (self.fresh.is_empty() || self.shared.database_is_older())
            && self.in_flight.len() < IN_FLIGHT_LIMIT;
        if wanted {
            self.shared.sweeping();
        }
        let outcome = async {
            if !left_over.is_empty() {
                self.store.release(&left_over, Duration::ZERO).await?;
            }
            if wanted {
                self.store.claim(SWEEP_LIMIT).await.map(Some)
            } else {
                Ok(None)
            }
        };
        match outcome.await {
            Ok(Some(rows)) => self.swept(rows).await,
            Ok(None) => {}
            Err(error) => {
                self.shared.not_swept();
                self.be_uncertain();
                warn!(error = %error, "could not look for unpublished rows");
            }
        }
    }

    fn be_uncertain(&mut self) {
        self.uncertain_until = Some(Instant::now() + UNCERTAIN);
    }

    async fn swept(&mut self, rows: Vec<OutboxRow>) {
        if rows.len() < usize::from(SWEEP_LIMIT) {
            self.shared.caught_up();
        } else {
            self.shared.wake_again();
        }
        if rows.is_empty() {
            return;
        }
        debug!(rows = rows.len(), "publishing rows from the database");
        // The claim may have taken a good part of the lease.
        self.hold().await;
        for row in rows {
            self.publish(row, None);
        }
    }

    async fn drain(&mut self, marks: &Sender<Mark>) -> Result<(), Failure> {
        self.fresh.close();
        while let Ok((row, committed)) = self.fresh.try_recv() {
            self.publish(row, Some(committed));
        }
        let deadline = tokio::time::Instant::now() + FLUSH_LIMIT;
        while let Ok(Some(reported)) =
            tokio::time::timeout_at(deadline, self.in_flight.next()).await
        {
            self.settle(reported, marks).await?;
        }
        Ok(())
    }
}

/// The step of the event's trace that lasts until the broker has it.
fn sending(row: &OutboxRow) -> Span {
    let header = row
        .headers
        .iter()
        .find(|(name, _)| name == TraceParent::HEADER);
    let header = header.map(|(_, value)| value.as_str());
    let mut span = Span::following(SpanKind::Client, ("send", &row.topic), header);
    span.describe_message("send", &row.topic, &loggable_record_id(&row.event_id));
    span
}
