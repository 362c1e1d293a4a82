//! A dead letter as it lies in its topic.

use std::fmt;
use std::str::FromStr;

use bus::Record;
use events::{
    BookingEvent, DeadLetter, DecodeError, EventId, EventType, NoDeadLetter, Pnr, ReadHeaders,
};

use crate::pnr::pnr_of;

/// Where a record lies: `topic/partition/offset`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Coordinates {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

/// The text names no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be TOPIC PARTITION OFFSET, or topic/partition/offset")]
pub(crate) struct NoCoordinates;

/// What a dead letter is about: its event, or the record it came from where no event id can be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Identity {
    /// The event.
    Event(EventId),
    /// The source record.
    Record(Coordinates),
}

/// Where an event stands among those of its PNR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) event_type: Option<EventType>,
    pub(crate) version: Option<i64>,
    pub(crate) time_seconds: Option<i64>,
}

/// A dead letter.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    /// The record, byte for byte.
    pub(crate) record: Record,
    /// The topic it failed to be told from.
    pub(crate) source: String,
    /// What its headers tell.
    pub(crate) story: DeadLetter,
    /// Its value, as it reads today.
    pub(crate) event: Result<BookingEvent, DecodeError>,
    /// What the producer's headers tell.
    pub(crate) headers: ReadHeaders,
}

impl Letter {
    /// Reads a record of a dead-letter or replay topic of `source`.
    pub(crate) fn read(record: &Record, source: &str) -> Result<Self, NoDeadLetter> {
        Ok(Self {
            source: source.to_owned(),
            story: DeadLetter::from_pairs(record.header_pairs())?,
            event: BookingEvent::decode(record.value.as_deref().unwrap_or_default()),
            headers: ReadHeaders::from_pairs(record.header_pairs()),
            record: record.clone(),
        })
    }

    /// Where it lies.
    pub(crate) fn coordinates(&self) -> Coordinates {
        Coordinates::of(&self.record)
    }

    /// The topic where its channel alone reads it again.
    pub(crate) fn replay_topic(&self) -> String {
        self.story.channel.replay_topic(&self.source)
    }

    /// What it is about.
    pub(crate) fn identity(&self) -> Identity {
        match self.event_id() {
            Some(id) => Identity::Event(id.clone()),
            None => Identity::Record(Coordinates {
                topic: self.story.source_topic.clone(),
                partition: self.story.source_partition,
                offset: self.story.source_offset,
            }),
        }
    }

    pub(crate) fn event_id(&self) -> Option<&EventId> {
        let decoded = self.event.as_ref().ok().map(|event| &event.event_id);
        self.story.event_id.as_ref().or(decoded)
    }

    /// What happened, by the event or else by the topic.
    pub(crate) fn event_type(&self) -> Option<EventType> {
        let decoded = self.event.as_ref().ok().map(|event| event.event_type);
        decoded.or_else(|| EventType::of_topic(&self.source))
    }

    /// The PNR, as well as it can be known.
    pub(crate) fn pnr(&self) -> Option<Pnr> {
        match &self.event {
            Ok(event) => Some(event.pnr_number.clone()),
            Err(_) => pnr_of(&self.record),
        }
    }

    pub(crate) fn place(&self) -> Place {
        let event = self.event.as_ref().ok();
        Place {
            event_type: self.event_type(),
            version: self.headers.booking_version,
            time_seconds: event.map(|event| event.event_timestamp.to_utc().timestamp()),
        }
    }
}

impl Place {
    /// Whether this event came later: by the booking's version, or where one is not known by the order of a booking's life and time.
    pub(crate) fn is_after(self, other: Self) -> bool {
        match (self.version, other.version) {
            (Some(own), Some(others)) => own > others,
            (Some(_) | None, Some(_) | None) if self.event_type == other.event_type => {
                let times = self.time_seconds.zip(other.time_seconds);
                times.is_some_and(|(own, others)| own > others)
            }
            (Some(_) | None, Some(_) | None) => self.event_type > other.event_type,
        }
    }

    /// For sorting the events of a PNR: version, else place in a booking's life; then time.
    pub(crate) fn rank(self) -> (i64, Option<EventType>, Option<i64>) {
        let by_life = match self.event_type {
            Some(EventType::BookingConfirmed) | None => 1,
            Some(EventType::PaymentCompleted) => 2,
            Some(EventType::BookingCancelled) => 3,
        };
        let version = self.version.unwrap_or(by_life);
        (version, self.event_type, self.time_seconds)
    }
}

impl Coordinates {
    pub(crate) fn of(record: &Record) -> Self {
        Self {
            topic: record.topic.clone(),
            partition: record.partition,
            offset: record.offset,
        }
    }
}

impl fmt::Display for Coordinates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

impl FromStr for Coordinates {
    type Err = NoCoordinates;

    fn from_str(text: &str) -> Result<Self, NoCoordinates> {
        let mut parts = text.rsplitn(3, '/');
        let mut next = || parts.next().filter(|part| !part.is_empty());
        let offset = next().and_then(|offset| offset.parse().ok());
        let partition = next().and_then(|partition| partition.parse().ok());
        Ok(Self {
            topic: next().ok_or(NoCoordinates)?.to_owned(),
            partition: partition.ok_or(NoCoordinates)?,
            offset: offset.ok_or(NoCoordinates)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(event_type: EventType, version: Option<i64>, time: i64) -> Place {
        Place {
            event_type: Some(event_type),
            version,
            time_seconds: Some(time),
        }
    }

    #[test]
    fn a_place_reads_as_it_is_written() {
        let text = "booking-confirmed.email.dlq/2/41";
        assert_eq!(text.parse::<Coordinates>().unwrap().to_string(), text);
        for bad in ["", "a/b/c", "a/1", "/1/2", "a/1/x"] {
            assert_eq!(bad.parse::<Coordinates>(), Err(NoCoordinates), "{bad}");
        }
    }

    #[test]
    fn versions_decide_what_is_newer_and_life_and_time_where_there_are_none() {
        use EventType::{BookingCancelled, BookingConfirmed};
        let (first, second) = (
            place(BookingCancelled, Some(1), 9),
            place(BookingConfirmed, Some(2), 1),
        );
        assert!(second.is_after(first) && !first.is_after(second));
        let (made, gone) = (
            place(BookingConfirmed, Some(7), 9),
            place(BookingCancelled, None, 1),
        );
        assert!(gone.is_after(made) && !made.is_after(gone));
        let again = place(BookingConfirmed, None, 10);
        assert!(again.is_after(made) && !made.is_after(again));
    }
}
