//! Reading what topics hold now, without a consumer group.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use crate::{Record, watermarks};

/// How long nothing may arrive while something is still to come.
const STALL: Duration = Duration::from_secs(10);

/// How long a poll waits.
const POLL: Duration = Duration::from_millis(100);

/// Reads the partitions of a topic from their beginnings to the ends they have now.
pub(crate) fn topic(
    consumer: &BaseConsumer,
    name: &str,
    partitions: usize,
    mut take: impl FnMut(Record),
) -> KafkaResult<()> {
    let mut ends = ends(consumer, name, partitions)?;
    let mut list = TopicPartitionList::new();
    for partition in ends.keys() {
        list.add_partition_offset(name, *partition, Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    let mut failure = KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut);
    let mut heard = Instant::now();
    while !ends.is_empty() {
        match consumer.poll(POLL) {
            Some(Ok(message)) => {
                heard = Instant::now();
                pass_on(Record::detach(&message), &mut ends, &mut take);
            }
            // What is left below the end is a transaction's, and no record.
            Some(Err(KafkaError::PartitionEOF(partition))) => drop(ends.remove(&partition)),
            Some(Err(error)) => failure = error,
            None => {}
        }
        if heard.elapsed() > STALL {
            return Err(failure);
        }
    }
    consumer.unassign()
}

/// The next offset of each partition that holds anything.
fn ends(consumer: &BaseConsumer, name: &str, partitions: usize) -> KafkaResult<BTreeMap<i32, i64>> {
    let mut ends = BTreeMap::new();
    for partition in (0..).take(partitions) {
        let (begin, end) = watermarks::of(consumer, name, partition)?;
        if begin < end {
            ends.insert(partition, end);
        }
    }
    Ok(ends)
}

/// Hands on what was there at the start; a partition of which that was all is done.
fn pass_on(record: Record, ends: &mut BTreeMap<i32, i64>, take: &mut impl FnMut(Record)) {
    let (partition, next) = (record.partition, record.offset + 1);
    let end = ends.get(&partition).copied().unwrap_or_default();
    if next <= end {
        take(record);
    }
    if next >= end {
        ends.remove(&partition);
    }
}
