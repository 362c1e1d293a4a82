//! Rows on their way in and out.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bus::Record;
use chrono::{DateTime, Utc};
use database::{Error, from_micros, micros};
use events::{BookingEvent, EventType, ReadHeaders, dead_letter_header};
use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::fate::Fate;
use crate::outcome::Verdict;
use crate::store::Stored;

/// Milliseconds since 1970 that are a time: until the year 9999. A producer that writes other units has none.
const YEARS: std::ops::Range<i64> = 0..253_402_300_800_000;

/// A consumed record that is an event of this channel.
#[derive(Clone, Debug, Serialize)]
pub struct Arrival {
    event_id: String,
    pnr: String,
    event_type: &'static str,
    version: i64,
    event_at: i64,
    awaits: Option<String>,
    topic: String,
    partition: i32,
    offset: i64,
    timestamp: Option<i64>,
    payload: String,
    origin: String,
}

impl Arrival {
    /// A row of a record and the event that was read from it. `told`: the events this channel tells, of which earlier ones are waited for.
    ///
    /// # Errors
    /// [`Error::Encode`] if the value is no text, which no event's is.
    pub fn new(
        record: Record,
        event: &BookingEvent,
        headers: &ReadHeaders,
        told: &[EventType],
    ) -> Result<Self, Error> {
        let encode = |error: Box<dyn std::error::Error + Send + Sync>| Error::Encode(error);
        let origin = serde_json::to_string(&Origin::of(&record));
        let payload = String::from_utf8(record.value.unwrap_or_default());
        let version = headers
            .booking_version
            .unwrap_or_else(|| place_in_life(event.event_type));
        Ok(Self {
            event_id: event.event_id.to_string(),
            pnr: event.pnr_number.to_string(),
            event_type: event.event_type.as_str(),
            version,
            event_at: micros(event.event_timestamp.to_utc()),
            awaits: awaited(headers, version, told),
            topic: record.topic,
            partition: record.partition,
            offset: record.offset,
            timestamp: record.timestamp_millis.filter(|at| YEARS.contains(at)),
            payload: payload.map_err(|error| encode(error.into()))?,
            origin: origin.map_err(|error| encode(error.into()))?,
        })
    }

    /// Whether it makes a confirmation untrue.
    pub(crate) fn is_cancellation(&self) -> bool {
        self.event_type == EventType::BookingCancelled.as_str()
    }

    pub(crate) fn event_id(&self) -> &str {
        &self.event_id
    }

    pub(crate) fn pnr(&self) -> &str {
        &self.pnr
    }
}

/// Without a version the order of a booking's life stands in: confirmed 1, paid 2, cancelled 3.
const fn place_in_life(event: EventType) -> i64 {
    match event {
        EventType::BookingConfirmed => 1,
        EventType::PaymentCompleted => 2,
        EventType::BookingCancelled => 3,
    }
}

/// The versions of the earlier events that this channel tells, as a JSON array.
fn awaited(headers: &ReadHeaders, version: i64, told: &[EventType]) -> Option<String> {
    let entries = headers.history.as_ref()?.entries().iter();
    let earlier: Vec<_> = entries
        .filter(|(event, earlier)| told.contains(event) && *earlier < version)
        .map(|(_, earlier)| earlier.to_string())
        .collect();
    (!earlier.is_empty()).then(|| format!("[{}]", earlier.join(",")))
}

/// What of a record has no column: key and headers, byte for byte.
#[derive(Debug, Serialize, Deserialize)]
struct Origin {
    key: Option<String>,
    headers: Vec<(String, String)>,
    /// Which of them have no value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    valueless: Vec<usize>,
}

impl Origin {
    fn of(record: &Record) -> Self {
        let headers = record.headers.iter();
        let encoded = headers.clone().map(|(name, value)| {
            let value = value.as_deref().unwrap_or_default();
            (name.clone(), BASE64_STANDARD.encode(value))
        });
        let valueless = headers.enumerate();
        let valueless = valueless.filter(|(_, (_, value))| value.is_none());
        Self {
            key: record.key.as_deref().map(|key| BASE64_STANDARD.encode(key)),
            headers: encoded.collect(),
            valueless: valueless.map(|(index, _)| index).collect(),
        }
    }
}

/// A row in a worker's hands.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// The row.
    pub seq: i64,
    /// The claim.
    pub token: i64,
    /// This attempt, from 1.
    pub attempt: u32,
    /// The record it came from, byte for byte.
    pub record: Record,
    /// What is to be done with it.
    pub fate: Fate,
    /// Set if it is to go to the dead-letter topic without another send.
    pub verdict: Option<Verdict>,
    /// The provider that may have taken it at an earlier attempt.
    pub unsure_of: Option<String>,
    /// When an attempt first failed.
    pub first_failure_at: Option<DateTime<Utc>>,
    /// When the record was taken in.
    pub received_at: DateTime<Utc>,
    /// Now, by the clock of `received_at`.
    pub taken_at: DateTime<Utc>,
    /// Earlier versions that it waited for in vain, as a JSON array.
    pub awaited: Option<String>,
    /// What its last outcome said, of a row that was claimed before.
    pub reason: Option<String>,
}

fn decode(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Decode(error.into())
}

impl Claimed {
    /// How often it came back from the dead letters.
    pub fn replays(&self) -> u32 {
        let count = self.record.header(dead_letter_header::REPLAY_COUNT);
        count.and_then(|count| count.parse().ok()).unwrap_or(0)
    }

    /// What [`Place::Claimed`](crate::Place::Claimed) says of a record.
    pub fn at_once(record: Record, stored: &Stored) -> Self {
        Self {
            seq: stored.seq,
            token: stored.token,
            attempt: 1,
            record,
            fate: Fate::Send,
            verdict: None,
            unsure_of: None,
            first_failure_at: None,
            received_at: stored.received_at,
            taken_at: stored.received_at,
            awaited: None,
            reason: None,
        }
    }

    /// Columns of a claim; the fate is judged later.
    pub(crate) fn read(row: &AnyRow) -> Result<Self, Error> {
        let instant = |micros: Option<i64>| micros.map(from_micros);
        let verdict: Option<String> = row.try_get("verdict")?;
        let verdict = verdict.map(|text| serde_json::from_str(&text).map_err(decode));
        Ok(Self {
            seq: row.try_get("seq")?,
            token: row.try_get("token")?,
            attempt: u32::try_from(row.try_get::<i64, _>("attempts")?).unwrap_or(u32::MAX),
            record: read_record(row)?,
            fate: Fate::Send,
            verdict: verdict.transpose()?,
            unsure_of: row.try_get("unsure_of")?,
            first_failure_at: instant(row.try_get("first_failure_at")?),
            received_at: from_micros(row.try_get("received_at")?),
            taken_at: from_micros(row.try_get("taken_at")?),
            awaited: row.try_get("awaits")?,
            reason: row.try_get("reason")?,
        })
    }
}

fn read_record(row: &AnyRow) -> Result<Record, Error> {
    let origin: Origin = serde_json::from_str(row.try_get("origin")?).map_err(decode)?;
    let bytes = |text: String| BASE64_STANDARD.decode(text).map_err(decode);
    let valueless = origin.valueless;
    let header = |(index, (name, value)): (usize, (String, String))| {
        let value = (!valueless.contains(&index)).then(|| bytes(value));
        Ok((name, value.transpose()?))
    };
    let headers = origin.headers.into_iter().enumerate().map(header);
    let payload: String = row.try_get("payload")?;
    Ok(Record {
        topic: row.try_get("topic")?,
        partition: row.try_get("kafka_partition")?,
        offset: row.try_get("kafka_offset")?,
        timestamp_millis: row.try_get("kafka_timestamp")?,
        key: origin.key.map(bytes).transpose()?,
        value: Some(payload.into_bytes()),
        headers: headers.collect::<Result<_, Error>>()?,
        damaged: false,
    })
}
