//! How far a group is behind, asked of the brokers.
//!
//! librdkafka's own number knows the end of a partition from the last fetch alone, and none of a partition of which nothing was committed: a consumer that holds records back, or cannot store them, would seem to keep up.

use std::collections::BTreeMap;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{Offset, TopicPartitionList};
use tracing::debug;

use crate::consumer::{Context, Shared};

/// How often it is measured.
const INTERVAL: Duration = Duration::from_secs(5);

/// How long an answer is waited for. It is the longest that the client's end is held up.
const PATIENCE: Duration = Duration::from_secs(1);

type Client = BaseConsumer<Context>;

/// Unread records of each partition owned.
pub(crate) type Lags = BTreeMap<(String, i32), i64>;

/// A thread that measures.
pub(crate) struct LagWatch {
    stop: Sender<()>,
    handle: JoinHandle<()>,
}

impl LagWatch {
    pub(crate) fn start(client: Arc<Client>, shared: Arc<Shared>) -> KafkaResult<Self> {
        let (stop, stopped) = channel();
        let watch = move || {
            while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                match measure(&client) {
                    Ok(lags) => *shared.lag.lock().unwrap_or_else(PoisonError::into_inner) = lags,
                    Err(error) => debug!(error = %error, "lag not measured"),
                }
            }
        };
        let handle = Builder::new()
            .name("kafka-lag".to_owned())
            .spawn(watch)
            .map_err(|error| KafkaError::ClientCreation(error.to_string()))?;
        Ok(Self { stop, handle })
    }

    /// Ends the thread, and with it its hold on the client.
    pub(crate) fn end(self) {
        drop(self.stop);
        drop(self.handle.join());
    }
}

/// What lies between the group's offset of a partition, or its begin where there is none, and its end.
fn measure(client: &Client) -> KafkaResult<Lags> {
    let owned = client.assignment()?;
    if owned.count() == 0 {
        return Ok(Lags::new());
    }
    let ends = place(client, &owned, Offset::End)?;
    let committed = offsets(&client.committed_offsets(owned.clone(), PATIENCE)?);
    let mut unread = TopicPartitionList::new();
    for one in owned.elements() {
        let partition = (one.topic().to_owned(), one.partition());
        if !committed.contains_key(&partition) {
            unread.add_partition(one.topic(), one.partition());
        }
    }
    let begins = place(client, &unread, Offset::Beginning)?;
    let lag = |(partition, end): (&(String, i32), &i64)| {
        let from = committed.get(partition).or(begins.get(partition))?;
        Some((partition.clone(), (end - from).max(0)))
    };
    Ok(ends.iter().filter_map(lag).collect())
}

/// The offset at which these partitions begin or end.
fn place(client: &Client, partitions: &TopicPartitionList, at: Offset) -> KafkaResult<Lags> {
    if partitions.count() == 0 {
        return Ok(Lags::new());
    }
    let mut wanted = partitions.clone();
    wanted.set_all_offsets(at)?;
    Ok(offsets(&client.offsets_for_times(wanted, PATIENCE)?))
}

/// The offsets that are known.
fn offsets(list: &TopicPartitionList) -> Lags {
    let elements = list.elements();
    let known = elements.iter().filter_map(|one| {
        let Offset::Offset(offset) = one.offset() else {
            return None;
        };
        Some(((one.topic().to_owned(), one.partition()), offset))
    });
    known.collect()
}
