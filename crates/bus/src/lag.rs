//! How far a group is behind, asked of the brokers.
//!
//! librdkafka's own number knows the end of a partition from the last fetch alone, and none of a partition of which nothing was committed: a consumer that holds records back, or cannot store them, would seem to keep up.
//! The client that asks is not the one that reads: a request that is answered too late costs its connection, and with it what was being fetched.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::Builder;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{ClientConfig, TopicPartitionList};
use tracing::debug;

use crate::client::lost_after;
use crate::consumer::Shared;
use crate::offsets;

/// How often it is measured.
const INTERVAL: Duration = Duration::from_secs(5);

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

pub(crate) type Partition = (String, i32);

/// Unread records by partition.
pub(crate) type Lags = BTreeMap<Partition, i64>;

/// The group's offsets: none of a partition of which nothing was committed.
pub(crate) type Commits = BTreeMap<Partition, Option<i64>>;

/// A thread that measures until this is dropped.
#[derive(Debug)]
pub(crate) struct LagWatch {
    _stop: Sender<()>,
}

impl LagWatch {
    pub(crate) fn start(mut config: ClientConfig, shared: Arc<Shared>) -> KafkaResult<Self> {
        config.set("statistics.interval.ms", "0");
        let mut asker = Asker {
            client: config.create()?,
            config,
            answered: Instant::now(),
        };
        let (stop, stopped) = channel();
        let watch = move || {
            while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                asker.measure(&shared);
                listen(&asker.client);
            }
        };
        Builder::new()
            .name("kafka-lag".to_owned())
            .spawn(watch)
            .map_err(|error| KafkaError::ClientCreation(error.to_string()))?;
        Ok(Self { _stop: stop })
    }
}

/// What the client has to say of its connections is not to heap up.
fn listen(client: &BaseConsumer) {
    while client.poll(Duration::ZERO).is_some() {}
}

/// Who asks.
struct Asker {
    client: BaseConsumer,
    config: ClientConfig,
    answered: Instant,
}

impl Asker {
    /// What nobody answers for is as it was known. Commits that are on their way count as failed: another one does no harm.
    fn measure(&mut self, shared: &Shared) {
        let (owned, done) = (shared.owned().clone(), shared.done().clone());
        let committed = self.committed(&owned);
        if done.exceed(&committed) {
            shared.commit_failed.store(true, Ordering::Release);
        }
        let lags = self.lags(&owned, &committed, &shared.lags().clone());
        *shared.lags() = lags;
    }

    fn committed(&mut self, owned: &BTreeSet<Partition>) -> Commits {
        let committed = committed(&self.client, owned).inspect_err(|error| {
            debug!(error = %error, "lag not measured");
        });
        if committed.is_ok() && !owned.is_empty() {
            self.answered = Instant::now();
        } else if committed.is_err() && self.answered.elapsed() > lost_after(&self.config) {
            self.begin_anew();
        }
        committed.unwrap_or_default()
    }

    fn lags(&self, owned: &BTreeSet<Partition>, committed: &Commits, known: &Lags) -> Lags {
        let lag = |partition: &Partition| {
            let committed = committed.get(partition);
            let measured = committed.and_then(|offset| unread(&self.client, partition, *offset));
            let lag = measured.or_else(|| known.get(partition).copied())?;
            Some((partition.clone(), lag))
        };
        owned.iter().filter_map(lag).collect()
    }

    /// The brokers that the client knows may never come back.
    fn begin_anew(&mut self) {
        if let Ok(client) = self.config.create() {
            self.client = client;
            self.answered = Instant::now();
        }
    }
}

/// The group's offset of each partition that was told of: none where it has committed none.
fn committed(client: &BaseConsumer, owned: &BTreeSet<Partition>) -> KafkaResult<Commits> {
    if owned.is_empty() {
        return Ok(Commits::new());
    }
    let mut wanted = TopicPartitionList::new();
    for (topic, partition) in owned {
        wanted.add_partition(topic, *partition);
    }
    let told = client.committed_offsets(wanted, PATIENCE)?;
    let told = told.elements().into_iter();
    let known = told.filter(|one| one.error().is_ok()).map(|one| {
        let partition = (one.topic().to_owned(), one.partition());
        (partition, offsets::committed(one.offset()))
    });
    Ok(known.collect())
}

/// What lies between the group's offset, or the partition's begin if that is later or the only one, and its end.
fn unread(
    client: &BaseConsumer,
    (topic, partition): &Partition,
    committed: Option<i64>,
) -> Option<i64> {
    match client.fetch_watermarks(topic, *partition, PATIENCE) {
        Ok((begin, end)) => {
            let from = committed.map_or(begin, |offset| offset.max(begin));
            Some((end - from).max(0))
        }
        Err(error) => {
            debug!(error = %error, topic, partition, "lag not measured");
            None
        }
    }
}
