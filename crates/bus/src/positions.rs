//! How far a group has come.

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use crate::topics::{TIMEOUT, TopicError, TopicLayout, Topics, blocking};
use crate::{offsets, watermarks};

/// A group on a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// The oldest offset that is kept.
    pub start: i64,
    /// The offset that the next record will have.
    pub end: i64,
    /// The offset the group reads next, if it committed one.
    pub committed: Option<i64>,
}

impl Topics {
    /// Where `group` is on each partition of those of the topics that exist.
    ///
    /// # Errors
    /// [`TopicError::Unreachable`], [`TopicError::Interrupted`].
    pub async fn positions(
        &self,
        group: &str,
        topics: Vec<String>,
    ) -> Result<Vec<Position>, TopicError> {
        let mut config = self.config.clone();
        config.set("group.id", group);
        let known = self.describe().await?;
        let read = move || {
            let consumer: BaseConsumer = config.create()?;
            let wanted = known.iter().filter(|topic| topics.contains(&topic.name));
            let mut list = TopicPartitionList::new();
            for (name, partition) in wanted.flat_map(TopicLayout::each_partition) {
                list.add_partition(name, partition);
            }
            read(&consumer, list)
        };
        blocking(read).await
    }
}

fn read(consumer: &BaseConsumer, list: TopicPartitionList) -> Result<Vec<Position>, TopicError> {
    let committed = consumer.committed_offsets(list, TIMEOUT)?;
    let mut positions = Vec::new();
    for element in committed.elements() {
        let (topic, partition) = (element.topic(), element.partition());
        let (start, end) = watermarks::of(consumer, topic, partition)?;
        positions.push(Position {
            topic: topic.to_owned(),
            partition,
            start,
            end,
            committed: offsets::committed(element.offset()),
        });
    }
    Ok(positions)
}
