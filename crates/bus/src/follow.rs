//! Following a topic as it grows, without a consumer group.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::mpsc;
use tracing::error;

use crate::topics::blocking;
use crate::{Record, TopicError, TopicLayout, Topics, watermarks};

/// How long a poll waits; after it the thread looks whether anybody still follows.
const POLL: Duration = Duration::from_millis(100);

/// Records that nobody took yet; more stay with the client.
const AHEAD: usize = 100;

/// Where following begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// With the oldest record the topic still has.
    Beginning,
    /// With what is written from now on.
    End,
}

/// The records of a topic as they come. Nothing is read any more once it is dropped.
#[derive(Debug)]
pub struct Following(mpsc::Receiver<Record>);

impl Following {
    /// The next record, in order within each partition. It is waited for without end.
    pub async fn next(&mut self) -> Option<Record> {
        self.0.recv().await
    }
}

impl Topics {
    /// Follows a topic. No group is joined and nothing committed; partitions that are added later are not read.
    ///
    /// # Errors
    /// [`TopicError`] if where to begin cannot be found out within 5 s for each partition.
    pub async fn follow(&self, topic: TopicLayout, begin: Begin) -> Result<Following, TopicError> {
        let config = self.without_group();
        let start = move || assigned(config.create()?, &topic, begin);
        let consumer = blocking(start).await?;
        let (sender, records) = mpsc::channel(AHEAD);
        tokio::task::spawn_blocking(move || pass_on(&consumer, &sender));
        Ok(Following(records))
    }
}

/// The consumer, at its first records.
fn assigned(
    consumer: BaseConsumer,
    topic: &TopicLayout,
    begin: Begin,
) -> Result<BaseConsumer, TopicError> {
    let mut list = TopicPartitionList::new();
    for (name, partition) in topic.each_partition() {
        // A number, so that what is written from here on is not missed.
        let (oldest, next) = watermarks::of(&consumer, name, partition)?;
        let offset = match begin {
            Begin::Beginning => oldest,
            Begin::End => next,
        };
        list.add_partition_offset(name, partition, Offset::Offset(offset))?;
    }
    consumer.assign(&list)?;
    Ok(consumer)
}

fn pass_on(consumer: &BaseConsumer, followers: &mpsc::Sender<Record>) {
    while !followers.is_closed() {
        match consumer.poll(POLL) {
            // It fails when whoever followed has gone, and so does the next look.
            Some(Ok(message)) => drop(followers.blocking_send(Record::detach(&message))),
            Some(Err(error)) => error!(error = %error, "could not read, will be tried again"),
            None => {}
        }
    }
}
