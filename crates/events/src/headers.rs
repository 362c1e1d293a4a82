//! Record headers: `CloudEvents` 1.0 in Kafka's binary mode, and W3C trace context.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};

use crate::{EventId, EventType, UnknownEventType, ist};

/// Header names (`CloudEvents` Kafka protocol binding §3.2; W3C Trace Context).
pub mod header {
    /// The media type of the value.
    pub const CONTENT_TYPE: &str = "content-type";
    /// `CloudEvents` version.
    pub const SPEC_VERSION: &str = "ce_specversion";
    /// The event id.
    pub const ID: &str = "ce_id";
    /// Event type and schema version.
    pub const TYPE: &str = "ce_type";
    /// The producer.
    pub const SOURCE: &str = "ce_source";
    /// When it happened, RFC 3339 with offset.
    pub const TIME: &str = "ce_time";
    /// The booking id.
    pub const SUBJECT: &str = "ce_subject";
    /// The booking's version that this event made.
    pub const BOOKING_VERSION: &str = "ce_bookingversion";
    /// All earlier events of the PNR.
    pub const BOOKING_HISTORY: &str = "ce_bookinghistory";
    /// W3C trace context.
    pub const TRACEPARENT: &str = "traceparent";
}

/// The schema version we write and read.
const SCHEMA: u32 = 1;

/// All earlier events of a PNR and the booking version each made: `BOOKING_CONFIRMED=1,PAYMENT_COMPLETED=2`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History(Vec<(EventType, i64)>);

impl History {
    /// The earlier events, oldest first.
    pub fn entries(&self) -> &[(EventType, i64)] {
        &self.0
    }

    /// This history with one more event.
    #[must_use]
    pub fn with(mut self, event: EventType, version: i64) -> Self {
        self.0.push((event, version));
        self
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (event, version)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{event}={version}")?;
        }
        Ok(())
    }
}

impl FromStr for History {
    type Err = UnknownEventType;

    fn from_str(text: &str) -> Result<Self, UnknownEventType> {
        let entry = |part: &str| {
            let (event, version) = part.split_once('=').ok_or(UnknownEventType)?;
            let version = version.parse().ok().ok_or(UnknownEventType)?;
            Ok((event.parse()?, version))
        };
        text.split(',')
            .filter(|part| !part.is_empty())
            .map(entry)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// The headers we write with an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventHeaders {
    /// `ce_id`.
    pub id: EventId,
    /// `ce_type`, without the schema version.
    pub event_type: EventType,
    /// `ce_time`.
    pub time: DateTime<Utc>,
    /// `ce_subject`.
    pub booking_id: i64,
    /// `ce_bookingversion`.
    pub booking_version: i64,
    /// `ce_bookinghistory`.
    pub history: History,
    /// `traceparent`, where the request carried or started a trace.
    pub traceparent: Option<String>,
}

impl EventHeaders {
    /// Names and values in the order of the contract.
    pub fn to_pairs(&self) -> Vec<(String, String)> {
        let time = self
            .time
            .with_timezone(&ist())
            .to_rfc3339_opts(SecondsFormat::Millis, false);
        let pair = |name: &str, value: String| (name.to_owned(), value);
        let mut pairs = vec![
            pair(header::CONTENT_TYPE, "application/json".to_owned()),
            pair(header::SPEC_VERSION, "1.0".to_owned()),
            pair(header::ID, self.id.to_string()),
            pair(
                header::TYPE,
                format!("{}.v{SCHEMA}", self.event_type.cloud_event_type()),
            ),
            pair(header::SOURCE, "/booking-api".to_owned()),
            pair(header::TIME, time),
            pair(header::SUBJECT, self.booking_id.to_string()),
            pair(header::BOOKING_VERSION, self.booking_version.to_string()),
            pair(header::BOOKING_HISTORY, self.history.to_string()),
        ];
        pairs.extend(
            self.traceparent
                .clone()
                .map(|trace| pair(header::TRACEPARENT, trace)),
        );
        pairs
    }
}

/// What a consumer learns from a record's headers. Any may be missing, and one that makes no sense counts as missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadHeaders {
    /// `ce_id`.
    pub id: Option<EventId>,
    /// `ce_bookingversion`.
    pub booking_version: Option<i64>,
    /// `ce_bookinghistory`.
    pub history: Option<History>,
    schema: Option<u32>,
}

/// The record was written by a newer producer, in a schema this program does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("schema version {0} is newer than {SCHEMA}, the newest known")]
pub struct NewerSchema(u32);

impl ReadHeaders {
    /// Reads the known headers among `pairs`; of repeated ones the last counts.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut read = Self::default();
        for (name, value) in pairs {
            let Ok(text) = std::str::from_utf8(value) else {
                continue;
            };
            match name {
                header::ID => read.id = text.parse().ok(),
                header::TYPE => read.schema = schema_version(text),
                header::BOOKING_VERSION => read.booking_version = text.parse().ok(),
                header::BOOKING_HISTORY => read.history = text.parse().ok(),
                _ => {}
            }
        }
        read
    }

    /// Refuses a record of a newer schema.
    ///
    /// # Errors
    /// [`NewerSchema`] if `ce_type` ends in a version above ours.
    pub fn check_schema(&self) -> Result<(), NewerSchema> {
        match self.schema {
            Some(schema) if schema > SCHEMA => Err(NewerSchema(schema)),
            Some(_) | None => Ok(()),
        }
    }
}

/// `booking.confirmed.v2` → 2.
fn schema_version(cloud_event_type: &str) -> Option<u32> {
    let (_, version) = cloud_event_type.rsplit_once(".v")?;
    version.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_reads_what_it_writes() {
        let history = History::default()
            .with(EventType::BookingConfirmed, 1)
            .with(EventType::PaymentCompleted, 2);
        assert_eq!(
            history.to_string(),
            "BOOKING_CONFIRMED=1,PAYMENT_COMPLETED=2"
        );
        assert_eq!(history.to_string().parse::<History>(), Ok(history));
        assert_eq!("".parse::<History>(), Ok(History::default()));
        assert!("BOOKED=1".parse::<History>().is_err());
    }

    #[test]
    fn a_header_that_makes_no_sense_counts_as_missing() {
        let headers: [(&str, &[u8]); 4] = [
            (header::BOOKING_VERSION, b"two"),
            (header::BOOKING_HISTORY, b"\xff"),
            (header::ID, b""),
            ("x-other", b"1"),
        ];
        assert_eq!(ReadHeaders::from_pairs(headers), ReadHeaders::default());
    }

    #[test]
    fn a_newer_schema_is_refused() {
        let read = |version: &'static str| {
            ReadHeaders::from_pairs([(header::TYPE, version.as_bytes())]).check_schema()
        };
        assert_eq!(read("booking.confirmed.v1"), Ok(()));
        assert_eq!(read("booking.confirmed.v2"), Err(NewerSchema(2)));
        assert_eq!(read("something"), Ok(()));
    }
}
