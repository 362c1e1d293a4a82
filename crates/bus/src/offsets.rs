//! How far a consumer has come.

use std::collections::BTreeMap;

use rdkafka::{Offset, TopicPartitionList};

use crate::Record;

/// For each topic and partition the offset to read next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offsets(BTreeMap<(String, i32), i64>);

impl Offsets {
    /// Everything up to and including this record is done with.
    pub fn past(&mut self, record: &Record) {
        self.0
            .insert((record.topic.clone(), record.partition), record.offset + 1);
    }

    /// The next offset to read of a partition.
    pub fn next(&self, topic: &str, partition: i32) -> Option<i64> {
        self.0.get(&(topic.to_owned(), partition)).copied()
    }

    /// Whether nothing was done.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The part that `owned` holds, as librdkafka wants it.
    pub(crate) fn owned_by(&self, owned: &TopicPartitionList) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for ((topic, partition), next) in &self.0 {
            if owned.find_partition(topic, *partition).is_some() {
                let added = list.add_partition_offset(topic, *partition, Offset::Offset(*next));
                debug_assert!(added.is_ok(), "offsets are not negative");
            }
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(partition: i32, offset: i64) -> Record {
        Record {
            topic: "t".to_owned(),
            partition,
            offset,
            ..Record::default()
        }
    }

    #[test]
    fn what_was_read_last_counts_also_where_a_topic_was_made_anew() {
        let mut offsets = Offsets::default();
        offsets.past(&record(0, 7));
        offsets.past(&record(0, 8));
        assert_eq!(offsets.next("t", 0), Some(9));
        offsets.past(&record(0, 0));
        assert_eq!(offsets.next("t", 0), Some(1));
    }

    #[test]
    fn only_owned_partitions_are_committed() {
        let mut offsets = Offsets::default();
        offsets.past(&record(0, 7));
        offsets.past(&record(1, 9));
        let mut owned = TopicPartitionList::new();
        owned.add_partition("t", 1);
        let list = offsets.owned_by(&owned);
        assert_eq!(list.count(), 1);
        assert_eq!(
            list.find_partition("t", 1).unwrap().offset(),
            Offset::Offset(10)
        );
    }
}
