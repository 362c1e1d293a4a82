//! Random numbers, from the operating system's seeded generator (`ChaCha12`, cryptographically secure).

use std::ops::Range;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rand::RngExt;
use uuid::{NoContext, Timestamp, Uuid};

/// A number of the range.
///
/// # Panics
/// If the range is empty.
pub fn number_in(range: Range<u64>) -> u64 {
    rand::rng().random_range(range)
}

/// A duration from zero to `limit`, microsecond-grained: "full jitter".
pub fn up_to(limit: Duration) -> Duration {
    let limit_micros = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX - 1);
    Duration::from_micros(number_in(0..limit_micros + 1))
}

/// `N` random bytes.
pub fn bytes<const N: usize>() -> [u8; N] {
    rand::rng().random()
}

/// A version 7 UUID of this instant: ids sort by time.
pub fn uuid_v7(now: DateTime<Utc>) -> Uuid {
    let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
    Uuid::new_v7(Timestamp::from_unix(
        NoContext,
        seconds,
        now.timestamp_subsec_nanos(),
    ))
}

/// A random text of 32 hexadecimal digits, for secrets that live as long as the process.
pub fn token() -> String {
    Uuid::from_bytes(bytes()).simple().to_string()
}
