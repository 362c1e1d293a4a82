//! How far a consumer has come.

use std::collections::BTreeMap;

use rdkafka::{Offset, TopicPartitionList};

use crate::Record;
use crate::lag::{Commits, Partition};

/// For each topic and partition the offset to read next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offsets(BTreeMap<Partition, i64>);

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

    /// Whether a group has not committed all of it, as far as its offsets were told.
    pub(crate) fn exceed(&self, told: &Commits) -> bool {
        let is_missing = |(partition, next): (&Partition, &i64)| {
            let committed = told.get(partition);
            committed.is_some_and(|committed| committed.is_none_or(|offset| offset < *next))
        };
        self.0.iter().any(is_missing)
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The part of what a client has read itself, as librdkafka wants it: what another one read may be of another cluster.
    pub(crate) fn read_by(&self, position: &TopicPartitionList) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for ((topic, partition), next) in &self.0 {
            let read = position.find_partition(topic, *partition);
            let read = read.and_then(|read| read.offset().to_raw());
            if read.is_some_and(|read| *next <= read) {
                let added = list.add_partition_offset(topic, *partition, Offset::Offset(*next));
                debug_assert!(added.is_ok(), "offsets are not negative");
            }
        }
        list
    }
}

/// The offset that a group committed; none where it committed none.
pub(crate) const fn committed(told: Offset) -> Option<i64> {
    match told {
        Offset::Offset(offset) => Some(offset),
        Offset::Beginning
        | Offset::End
        | Offset::Stored
        | Offset::Invalid
        | Offset::OffsetTail(_) => None,
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
    fn only_what_was_read_of_owned_partitions_is_committed() {
        let mut offsets = Offsets::default();
        for (partition, offset) in [(0, 7), (1, 9), (2, 9), (3, 9)] {
            offsets.past(&record(partition, offset));
        }
        let mut position = TopicPartitionList::new();
        for (partition, offset) in [(1, 10), (2, 9), (4, 10)] {
            let offset = Offset::Offset(offset);
            position
                .add_partition_offset("t", partition, offset)
                .unwrap();
        }
        position
            .add_partition_offset("t", 3, Offset::Invalid)
            .unwrap();
        let list = offsets.read_by(&position);
        assert_eq!(list.count(), 1);
        let one = list.find_partition("t", 1).unwrap();
        assert_eq!(one.offset(), Offset::Offset(10));
    }

    #[test]
    fn a_group_is_behind_where_it_was_told_of_less_than_was_done() {
        let mut offsets = Offsets::default();
        offsets.past(&record(0, 7));
        let told = |offset| Commits::from([(("t".to_owned(), 0), offset)]);
        assert!(offsets.exceed(&told(Some(7))));
        assert!(offsets.exceed(&told(None)));
        assert!(!offsets.exceed(&told(Some(8))));
        assert!(!offsets.exceed(&Commits::new()));
    }
}
