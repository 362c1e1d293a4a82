//! What a record is: an event or why it is none, and where it came from.

use bus::Record;
use events::{BookingEvent, Channel, EventType, ReadHeaders, Stage, dead_letter_header};
use inbox::Verdict;

use crate::verdicts;

/// A dead letter that came back, as the record it was: so that it is counted, ordered and, if need be, given up again as that.
pub(crate) fn homeward(channel: Channel, record: Record) -> (Record, bool) {
    let Some(source) = channel.source_of_replay(&record.topic) else {
        return (record, false);
    };
    let number = |name| {
        let text = record.header(name);
        text.and_then(|text| text.parse::<i64>().ok())
    };
    let topic = source.to_owned();
    let partition = number(dead_letter_header::SOURCE_PARTITION)
        .and_then(|partition| partition.try_into().ok())
        .unwrap_or(record.partition);
    let offset = number(dead_letter_header::SOURCE_OFFSET).unwrap_or(record.offset);
    let timestamp = number(dead_letter_header::SOURCE_TIMESTAMP).or(record.timestamp_millis);
    let home = Record {
        topic,
        partition,
        offset,
        timestamp_millis: timestamp,
        ..record
    };
    (home, true)
}

/// The event of a record, or why it is none.
pub(crate) fn read(record: &Record) -> Result<(BookingEvent, ReadHeaders), Verdict> {
    if record.damaged {
        return Err(verdicts::undecodable(&"the name of a header is not UTF-8"));
    }
    let headers = ReadHeaders::from_pairs(record.header_pairs());
    headers
        .check_schema()
        .map_err(|error| verdicts::invalid(Stage::Validate, &error))?;
    let value = record.value.as_deref().unwrap_or_default();
    let event = BookingEvent::decode(value).map_err(|error| verdicts::unread(&error))?;
    match EventType::of_topic(&record.topic) {
        Some(expected) if expected != event.event_type => {
            let stray = format!(
                "field eventType: a {} on topic {}",
                event.event_type, record.topic
            );
            Err(verdicts::invalid(Stage::Validate, &stray))
        }
        Some(_) | None => Ok((event, headers)),
    }
}

#[cfg(test)]
mod tests {
    use events::DeadLetterClass;

    use super::*;

    const SAMPLE: &[u8] = include_bytes!("../../events/golden/specification-sample.json");

    fn record(topic: &str, value: &[u8], headers: &[(&str, &str)]) -> Record {
        Record {
            topic: topic.to_owned(),
            value: Some(value.to_vec()),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), Some(value.as_bytes().to_vec())))
                .collect(),
            ..Record::default()
        }
    }

    #[test]
    fn a_value_alone_is_an_event() {
        assert!(read(&record("booking-confirmed", SAMPLE, &[])).is_ok());
    }

    #[test]
    fn an_event_on_another_event_s_topic_is_invalid() {
        let verdict = read(&record("booking-cancelled", SAMPLE, &[])).unwrap_err();
        assert_eq!(
            (verdict.class, verdict.stage),
            (DeadLetterClass::Invalid, Stage::Validate)
        );
    }

    #[test]
    fn a_newer_schema_is_invalid() {
        let headers = [("ce_type", "booking.confirmed.v2")];
        let verdict = read(&record("booking-confirmed", SAMPLE, &headers)).unwrap_err();
        assert_eq!(verdict.class, DeadLetterClass::Invalid);
        assert_eq!(
            verdict.error,
            "schema version 2 is newer than 1, the newest known"
        );
    }

    #[test]
    fn a_dead_letter_comes_back_as_the_record_it_was() {
        let headers = [
            ("dlq-source-partition", "2"),
            ("dlq-source-offset", "77"),
            ("dlq-source-timestamp", "1700000000123"),
        ];
        let topic = "booking-confirmed.email.replay";
        let (home, returned) = homeward(Channel::Email, record(topic, SAMPLE, &headers));
        assert!(returned);
        assert_eq!(home.topic, "booking-confirmed");
        assert_eq!((home.partition, home.offset), (2, 77));
        assert_eq!(home.timestamp_millis, Some(1_700_000_000_123));
        let first = record("booking-confirmed", SAMPLE, &headers);
        assert_eq!(homeward(Channel::Email, first.clone()), (first, false));
    }

    #[test]
    fn a_tombstone_is_undecodable() {
        let tombstone = Record {
            value: None,
            ..record("booking-confirmed", b"", &[])
        };
        assert_eq!(
            read(&tombstone).unwrap_err().class,
            DeadLetterClass::Undecodable
        );
    }
}
