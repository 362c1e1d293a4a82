//! The thread that polls: it owns the client, so the client also ends there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::thread::{self, Builder};
use std::time::{Duration, Instant};

use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{ClientConfig, TopicPartitionList};
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;
use tracing::{debug, error, warn};

use crate::Record;
use crate::client::lost_after;
use crate::consumer::{Context, Control, Shared};

/// Records in a batch, at which no more are gathered.
const BATCH_LIMIT: usize = 500;

/// Bytes in a batch, at which no more are gathered: a thousand records of the usual size.
const BATCH_LIMIT_BYTES: usize = 1 << 20;

/// The longest nap. Records, commits and room for the next batch end it early.
const NAP: Duration = Duration::from_millis(50);

/// Looks at the main queue that find nothing, after which it counts as empty.
const EMPTY_LOOKS: u32 = 4;

/// How far commits are apart, but for those before a rebalance and at the end: each is a write of its own at the broker.
const COMMIT_PACE: Duration = Duration::from_millis(100);

/// How often a failed commit is tried again.
const COMMIT_RETRY: Duration = Duration::from_secs(1);

/// How long the last commit may take.
const LAST_COMMIT: Duration = Duration::from_secs(2);

type Client = BaseConsumer<Context>;

/// What has arrived of a partition.
struct Queue {
    partition: (String, i32),
    records: PartitionQueue<Context>,
}

pub(crate) struct Poller {
    consumer: Arc<Client>,
    config: ClientConfig,
    topics: Vec<String>,
    shared: Arc<Shared>,
    batches: Sender<Vec<Record>>,
    orders: Receiver<Control>,
    queues: Vec<Queue>,
    next_queue: usize,
    gathered: Vec<Record>,
    gathered_bytes: usize,
    /// More was done than is committed.
    uncommitted: bool,
    last_commit: Instant,
    last_connected: Instant,
    lost_after: Duration,
}

impl Poller {
    pub(crate) fn new(
        (consumer, config): (Client, ClientConfig),
        shared: Arc<Shared>,
        topics: Vec<String>,
        (batches, orders): (Sender<Vec<Record>>, Receiver<Control>),
    ) -> Self {
        Self {
            lost_after: lost_after(&config),
            consumer: woken_here(consumer),
            config,
            topics,
            shared,
            batches,
            orders,
            queues: Vec::new(),
            next_queue: 0,
            gathered: Vec::new(),
            gathered_bytes: 0,
            uncommitted: false,
            last_commit: Instant::now(),
            last_connected: Instant::now(),
        }
    }

    pub(crate) fn run(mut self) {
        if self.subscribe().is_err() {
            return;
        }
        while self.turn().is_ok() {}
        self.commit();
        self.settle_last_commit();
        // The client must end last, and here.
        self.queues.clear();
    }

    fn subscribe(&self) -> Result<(), Ended> {
        let topics: Vec<_> = self.topics.iter().map(String::as_str).collect();
        self.consumer.subscribe(&topics).map_err(|error| {
            error!(error = %error, "could not subscribe");
            Ended
        })
    }

    /// One round; an error ends the thread.
    fn turn(&mut self) -> Result<(), Ended> {
        self.obey()?;
        self.serve_events()?;
        self.keep_in_touch()?;
        let before = self.gathered.len();
        if self.shared.open.load(Ordering::Acquire) {
            self.gather()?;
        }
        let sent = self.pass_on()?;
        if !sent && self.gathered.len() == before {
            thread::park_timeout(NAP);
        }
        Ok(())
    }

    /// Takes what the user of the consumer said.
    fn obey(&mut self) -> Result<(), Ended> {
        loop {
            match self.orders.try_recv() {
                Ok(Control::Commit(offsets)) => {
                    self.shared.done().merge(offsets);
                    self.uncommitted = true;
                }
                Ok(Control::Close) | Err(TryRecvError::Disconnected) => return Err(Ended),
                Err(TryRecvError::Empty) => break,
            }
        }
        let due = self.uncommitted && self.last_commit.elapsed() >= COMMIT_PACE;
        if due || self.is_commit_due_again() {
            self.commit_if_connected();
        }
        Ok(())
    }

    /// A client that has been without brokers for a session's time begins anew with `bootstrap.servers`: its place in the group is lost, and those it knows may never come back.
    fn keep_in_touch(&mut self) -> Result<(), Ended> {
        if self.shared.connected.load(Ordering::Acquire) {
            self.last_connected = Instant::now();
        }
        let waited = self.last_connected.elapsed();
        if waited < self.lost_after {
            return Ok(());
        }
        self.last_connected = Instant::now();
        let seconds = waited.as_secs();
        match Context::follow(&self.shared, &self.config) {
            Ok(client) => {
                warn!(seconds, "no broker was connected, beginning anew");
                self.replace(client)
            }
            Err(error) => {
                warn!(seconds, error = %error, "no broker was connected, and no other client can be made");
                Ok(())
            }
        }
    }

    fn replace(&mut self, client: Client) -> Result<(), Ended> {
        let left = std::mem::replace(&mut self.consumer, woken_here(client));
        let queues = std::mem::take(&mut self.queues);
        self.gathered.clear();
        self.gathered_bytes = 0;
        self.split_queues();
        // It closes as slowly as its requests give up.
        let _ends_by_itself = Builder::new().spawn(move || drop((queues, left)));
        self.subscribe()
    }

    fn is_commit_due_again(&self) -> bool {
        let failed = self.shared.commit_failed.load(Ordering::Acquire);
        failed && self.last_commit.elapsed() > COMMIT_RETRY
    }

    /// The main queue: rebalances, errors, statistics, and records that came before their queue was split off.
    ///
    /// It is emptied before any partition queue is read, or those older records would be overtaken. An event that was served looks like an empty queue, so it takes several empty looks.
    fn serve_events(&mut self) -> Result<(), Ended> {
        let mut empty_looks = 0;
        while empty_looks < EMPTY_LOOKS {
            match self.consumer.poll(Duration::ZERO) {
                Some(polled) => {
                    let record = polled.map(|message| Record::detach(&message));
                    self.take(record)?;
                }
                None => empty_looks += 1,
            }
            if self.shared.assignment_changed.swap(false, Ordering::AcqRel) {
                self.split_queues();
                empty_looks = 0;
            }
        }
        Ok(())
    }

    /// A queue for each partition owned: what is not polled stays where it is, and the group does not mind.
    fn split_queues(&mut self) {
        self.queues.clear();
        self.shared.done().clear();
        let owned = match self.consumer.assignment() {
            Ok(owned) => owned,
            Err(error) => {
                warn!(error = %error, "could not read the assignment");
                return;
            }
        };
        let elements = owned.elements();
        let owned = elements.iter();
        *self.shared.owned() = owned
            .map(|it| (it.topic().to_owned(), it.partition()))
            .collect();
        for partition in elements {
            let queue = self
                .consumer
                .split_partition_queue(partition.topic(), partition.partition());
            if let Some(mut queue) = queue {
                let poller = thread::current();
                queue.set_nonempty_callback(move || poller.unpark());
                self.queues.push(Queue {
                    partition: (partition.topic().to_owned(), partition.partition()),
                    records: queue,
                });
            }
        }
        debug!(partitions = self.queues.len(), "reading");
    }

    /// Takes what has arrived, each partition in its turn.
    fn gather(&mut self) -> Result<(), Ended> {
        let paused = self.shared.paused().clone();
        for _ in 0..self.queues.len() {
            self.next_queue = (self.next_queue + 1) % self.queues.len().max(1);
            if self.is_next_in(&paused) {
                continue;
            }
            while let Some(record) = self.poll_queue() {
                self.take(record)?;
            }
        }
        Ok(())
    }

    fn is_next_in(&self, paused: &BTreeSet<(String, i32)>) -> bool {
        let next = self.queues.get(self.next_queue);
        next.is_some_and(|queue| paused.contains(&queue.partition))
    }

    fn poll_queue(&self) -> Option<KafkaResult<Record>> {
        let queue = self
            .queues
            .get(self.next_queue)
            .filter(|_| self.has_room())?;
        let polled = queue.records.poll(Duration::ZERO)?;
        Some(polled.map(|message| Record::detach(&message)))
    }

    fn has_room(&self) -> bool {
        self.gathered.len() < BATCH_LIMIT && self.gathered_bytes < BATCH_LIMIT_BYTES
    }

    fn take(&mut self, record: KafkaResult<Record>) -> Result<(), Ended> {
        match record {
            Ok(record) => {
                self.gathered_bytes += record.value.as_ref().map_or(0, Vec::len);
                self.gathered.push(record);
                Ok(())
            }
            Err(error) if is_fatal(&error) => {
                error!(error = %error, "the consumer failed for good");
                Err(Ended)
            }
            Err(error) => {
                warn!(error = %error, "could not read, will be tried again");
                Ok(())
            }
        }
    }

    /// Hands over the batch if its taker is ready; while it is not, more is gathered.
    fn pass_on(&mut self) -> Result<bool, Ended> {
        if self.gathered.is_empty() {
            return if self.batches.is_closed() {
                Err(Ended)
            } else {
                Ok(false)
            };
        }
        match self.batches.try_send(std::mem::take(&mut self.gathered)) {
            Ok(()) => {
                self.gathered_bytes = 0;
                Ok(true)
            }
            Err(TrySendError::Full(batch)) => {
                self.gathered = batch;
                Ok(false)
            }
            Err(TrySendError::Closed(_)) => Err(Ended),
        }
    }

    /// A commit that nobody takes keeps the partitions from being given back, and so the next join, for a session's time.
    fn commit_if_connected(&mut self) {
        if self.shared.connected.load(Ordering::Acquire) {
            self.commit();
        } else {
            self.last_commit = Instant::now();
            self.shared.commit_failed.store(true, Ordering::Release);
        }
    }

    /// The broker does not check who owns a partition, so we do. What becomes of it is not told to us: the brokers are asked for the group's offsets when lag is measured.
    fn commit(&mut self) {
        let list = self.read_and_done();
        self.uncommitted = false;
        self.last_commit = Instant::now();
        self.shared.commit_failed.store(false, Ordering::Release);
        if list.count() == 0 {
            return;
        }
        if let Err(error) = self.consumer.commit(&list, CommitMode::Async) {
            warn!(error = %error, "offsets not committed, will be tried again");
            self.shared.commit_failed.store(true, Ordering::Release);
        }
    }

    fn read_and_done(&self) -> TopicPartitionList {
        let position = self.consumer.position();
        self.shared.done().read_by(&position.unwrap_or_default())
    }

    /// The answer to the last commit arrives by polling.
    fn settle_last_commit(&self) {
        let deadline = Instant::now() + LAST_COMMIT;
        let wanted = self.read_and_done();
        while wanted.count() > 0 && Instant::now() < deadline {
            let _event_or_record_read_again_later = self.consumer.poll(Duration::from_millis(20));
            let committed = self
                .consumer
                .committed_offsets(wanted.clone(), Duration::from_millis(200));
            if committed.is_ok_and(|committed| committed == wanted) {
                return;
            }
        }
    }
}

/// A client whose news wake this thread.
fn woken_here(mut consumer: Client) -> Arc<Client> {
    let poller = thread::current();
    consumer.set_nonempty_callback(move || poller.unpark());
    Arc::new(consumer)
}

/// The thread is to end.
#[derive(Debug)]
struct Ended;

fn is_fatal(error: &KafkaError) -> bool {
    matches!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::Fatal))
}
