//! Reading records in batches.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;
use tokio::sync::mpsc as async_mpsc;
use tracing::{info, warn};

use crate::lag::{LagWatch, Lags, Partition};
use crate::poller::Poller;
use crate::producer::ClientError;
use crate::{KafkaSettings, Offsets, Record, client};

/// How long leaving the group may take.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// What to read.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// Name of the program, for the broker's logs.
    pub client_id: String,
    /// Consumer group.
    pub group: String,
    /// Topics.
    pub topics: Vec<String>,
}

/// Unread records of a partition, asked for every 5 s; as last known where nobody answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lag {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Records between the group's offset, or the partition's begin if that is later or the only one, and the last stable one; a transaction's marker counts.
    pub records: i64,
}

/// The consumer ended by itself: the client met a fatal error.
#[derive(Debug, thiserror::Error)]
#[error("the consumer ended")]
pub struct ConsumerFailed;

/// What the poll thread is told.
#[derive(Debug)]
pub(crate) enum Control {
    Commit(Offsets),
    Close,
}

/// What the poll thread and the callbacks of librdkafka tell each other.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) assignment_changed: AtomicBool,
    /// The group's offsets may not be all that was done with.
    pub(crate) commit_failed: AtomicBool,
    pub(crate) open: AtomicBool,
    pub(crate) connected: AtomicBool,
    /// The number of the client that reads.
    current: AtomicU64,
    /// What was done with, of the partitions that are ours.
    done: Mutex<Offsets>,
    owned: Mutex<BTreeSet<Partition>>,
    lags: Mutex<Lags>,
    paused: Mutex<BTreeSet<Partition>>,
}

/// A client's end of it.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    shared: Arc<Shared>,
    /// The client's number; what one says that is no longer the current one is not heard.
    number: u64,
}

/// A member of a consumer group, polled on a thread of its own.
#[derive(Debug)]
pub struct Consumer {
    batches: async_mpsc::Receiver<Vec<Record>>,
    control: mpsc::Sender<Control>,
    shared: Arc<Shared>,
    poller: Thread,
    handle: JoinHandle<()>,
    _lag: LagWatch,
}

impl Consumer {
    /// Whether librdkafka takes the properties of the settings. No group is joined.
    ///
    /// # Errors
    /// [`ClientError`] if it does not.
    pub fn check(settings: &KafkaSettings) -> Result<(), ClientError> {
        let nobody = Subscription {
            client_id: String::new(),
            group: "nobody".to_owned(),
            topics: Vec::new(),
        };
        let _goes_at_once: BaseConsumer = config(settings, &nobody)?.create()?;
        Ok(())
    }

    /// Joins the group.
    ///
    /// # Errors
    /// [`ClientError`] for properties librdkafka does not take.
    pub fn start(
        settings: &KafkaSettings,
        subscription: Subscription,
    ) -> Result<Self, ClientError> {
        let shared = Arc::new(Shared {
            open: AtomicBool::new(true),
            ..Shared::default()
        });
        let config = config(settings, &subscription)?;
        let consumer = Context::follow(&shared, &config)?;
        let (batch_sender, batches) = async_mpsc::channel(1);
        let (control, orders) = mpsc::channel();
        let (client, context) = ((consumer, config.clone()), Arc::clone(&shared));
        let run = move || {
            Poller::new(client, context, subscription.topics, (batch_sender, orders)).run();
        };
        let handle = std::thread::Builder::new()
            .name("kafka-consumer".to_owned())
            .spawn(run)
            .map_err(|error| KafkaError::ClientCreation(error.to_string()))?;
        let poller = handle.thread().clone();
        Ok(Self {
            batches,
            control,
            _lag: LagWatch::start(config, Arc::clone(&shared))?,
            shared,
            poller,
            handle,
        })
    }

    /// The next records, in order within each partition: what has arrived, at most about 500.
    ///
    /// # Errors
    /// [`ConsumerFailed`] if there will be no more.
    pub async fn next(&mut self) -> Result<Vec<Record>, ConsumerFailed> {
        let batch = self.batches.recv().await;
        self.poller.unpark();
        batch.ok_or(ConsumerFailed)
    }

    /// Commits in the background: what was done with, of the partitions still owned.
    pub fn commit(&self, offsets: Offsets) {
        // A closed consumer has nobody to tell; its records are read again.
        if self.control.send(Control::Commit(offsets)).is_ok() {
            self.poller.unpark();
        }
    }

    /// Leaves records at the broker while staying in the group.
    pub fn hold(&self) {
        self.shared.open.store(false, Ordering::Release);
    }

    /// Reads on after [`Consumer::hold`].
    pub fn resume(&self) {
        if !self.shared.open.swap(true, Ordering::AcqRel) {
            self.poller.unpark();
        }
    }

    /// Leaves the records of these partitions at the broker, and reads all others.
    pub fn pause(&self, partitions: BTreeSet<(String, i32)>) {
        let mut paused = self.shared.paused();
        if *paused != partitions {
            *paused = partitions;
            drop(paused);
            self.poller.unpark();
        }
    }

    /// The lag of the partitions owned.
    pub fn lag(&self) -> Vec<Lag> {
        let owned = self.shared.owned();
        let lags = self.shared.lags();
        let lags = lags
            .iter()
            .filter(|(partition, _)| owned.contains(partition));
        let one = |((topic, partition), records): (&Partition, &i64)| Lag {
            topic: topic.clone(),
            partition: *partition,
            records: *records,
        };
        lags.map(one).collect()
    }

    /// Whether a broker was connected in the last 5 s.
    pub fn is_connected(&self) -> bool {
        self.shared.connected.load(Ordering::Acquire)
    }

    /// Commits what was told, leaves the group, ends the thread.
    pub async fn close(self) {
        let Self {
            batches,
            control,
            poller,
            handle,
            ..
        } = self;
        drop(batches);
        if control.send(Control::Close).is_ok() {
            poller.unpark();
        }
        let joined = tokio::task::spawn_blocking(move || handle.join());
        if tokio::time::timeout(CLOSE_LIMIT, joined).await.is_err() {
            warn!("could not leave the consumer group in time: the broker will notice");
        }
    }
}

fn config(
    settings: &KafkaSettings,
    subscription: &Subscription,
) -> Result<ClientConfig, ClientError> {
    let mut config = client::config(settings, &subscription.client_id)?;
    config
        .set("group.id", &subscription.group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        // Same-numbered partitions of the three topics meet in one process.
        .set("partition.assignment.strategy", "range")
        .set("session.timeout.ms", "30000")
        .set("heartbeat.interval.ms", "3000")
        // The poll thread never works, so it is never late; a broker that falls silent in the middle of a join is noticed after this.
        .set("max.poll.interval.ms", "45000")
        .set("queued.min.messages", "1000")
        .set("queued.max.messages.kbytes", "1024")
        // As it comes, compressed: of a backlog of like records a default fetch (1 MiB of each partition) is ten times that in memory. A larger record is fetched all the same.
        .set("fetch.message.max.bytes", "262144")
        .set("fetch.queue.backoff.ms", "5")
        .set("fetch.wait.max.ms", "100")
        .set("fetch.min.bytes", "1")
        .set("fetch.error.backoff.ms", "50")
        .set("isolation.level", "read_committed")
        .set("check.crcs", "true")
        // A topic or partition that is new is read after this.
        .set("topic.metadata.refresh.interval.ms", "5000");
    let mut config = client::with_properties(config, settings);
    // Whether brokers are there is known by them.
    config.set("statistics.interval.ms", "5000");
    Ok(config)
}

impl Shared {
    /// What was done with, of the partitions that are ours.
    pub(crate) fn done(&self) -> MutexGuard<'_, Offsets> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The partitions that are ours.
    pub(crate) fn owned(&self) -> MutexGuard<'_, BTreeSet<Partition>> {
        self.owned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn lags(&self) -> MutexGuard<'_, Lags> {
        self.lags.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn paused(&self) -> MutexGuard<'_, BTreeSet<Partition>> {
        self.paused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Context {
    /// A client that takes the place of the last one.
    pub(crate) fn follow(
        shared: &Arc<Shared>,
        config: &ClientConfig,
    ) -> KafkaResult<BaseConsumer<Self>> {
        let number = shared.current.load(Ordering::Acquire) + 1;
        let client = config.create_with_context(Self {
            shared: Arc::clone(shared),
            number,
        })?;
        shared.current.store(number, Ordering::Release);
        Ok(client)
    }

    fn current(&self) -> Option<&Shared> {
        let current = self.shared.current.load(Ordering::Acquire);
        (self.number == current).then_some(&self.shared)
    }
}

impl ClientContext for Context {
    fn stats(&self, statistics: Statistics) {
        if let Some(shared) = self.current() {
            let connected = client::is_connected(&statistics);
            shared.connected.store(connected, Ordering::Release);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        warn!(error = %error, reason, "kafka client");
        let away = error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown);
        if let Some(shared) = self.current().filter(|_| away) {
            shared.connected.store(false, Ordering::Release);
        }
    }
}

impl ConsumerContext for Context {
    /// What was done with is committed before the partitions are given back, or the next one reads it again.
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let Some(shared) = self.current() else { return };
        let revoked = matches!(rebalance, Rebalance::Revoke(_)) && !consumer.assignment_lost();
        if !revoked || !shared.connected.load(Ordering::Acquire) {
            return;
        }
        let position = consumer.position().unwrap_or_default();
        let list = shared.done().read_by(&position);
        if list.count() > 0
            && let Err(error) = consumer.commit(&list, CommitMode::Async)
        {
            warn!(error = %error, "offsets not committed before a rebalance: their records are read again");
        }
    }

    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let Some(shared) = self.current() else { return };
        match rebalance {
            Rebalance::Assign(list) => {
                shared.connected.store(true, Ordering::Release);
                info!(partitions = list.count(), "partitions assigned");
            }
            Rebalance::Revoke(list) => info!(partitions = list.count(), "partitions revoked"),
            Rebalance::Error(error) => warn!(error = %error, "rebalance failed"),
        }
        shared.assignment_changed.store(true, Ordering::Release);
    }
}
