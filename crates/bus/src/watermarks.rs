//! Where a partition begins and ends.

use std::thread;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};

use crate::topics::TIMEOUT;

/// How long a partition without a leader is left alone.
const RETRY: Duration = Duration::from_millis(50);

/// The oldest offset of a partition and the one its next record gets. A topic that was just made has no leader yet: it is asked again for up to 5 s.
#[expect(clippy::disallowed_methods, reason = "its callers block anyway")]
pub(crate) fn of(consumer: &BaseConsumer, topic: &str, partition: i32) -> KafkaResult<(i64, i64)> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match consumer.fetch_watermarks(topic, partition, TIMEOUT) {
            Err(error) if is_leaderless(&error) && Instant::now() < deadline => {
                thread::sleep(RETRY);
            }
            told => return told,
        }
    }
}

fn is_leaderless(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::NotLeaderForPartition | RDKafkaErrorCode::LeaderNotAvailable)
    )
}
