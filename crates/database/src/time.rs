//! Instants as both databases store them: whole microseconds since 1970, UTC.

use chrono::{DateTime, Utc};

/// Microseconds since 1970.
pub fn micros(instant: DateTime<Utc>) -> i64 {
    instant.timestamp_micros()
}

/// The instant of so many microseconds since 1970; what no calendar holds becomes 1970.
pub fn from_micros(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or_default()
}
