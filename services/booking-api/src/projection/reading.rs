//! The step that a record tells of.

use bus::Record;
use chrono::Datelike;
use events::{EventId, NotificationStatus, header};

use crate::notification::NotificationStep;
use crate::store::NewStep;

/// Why a record tells of no step. It never holds what the record held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    Empty,
    NotJson,
    /// A field is missing, or holds what is not known here.
    NotAStatus,
}

impl Unreadable {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "no value",
            Self::NotJson => "not JSON",
            Self::NotAStatus => "not a status this version knows",
        }
    }
}

pub(super) fn read(record: &Record) -> Result<NewStep, Unreadable> {
    let value = record.value.as_deref().unwrap_or_default();
    if value.is_empty() {
        return Err(Unreadable::Empty);
    }
    let status = serde_json::from_slice::<NotificationStatus>(value);
    let status = status.map_err(|error| {
        if error.is_data() {
            Unreadable::NotAStatus
        } else {
            Unreadable::NotJson
        }
    })?;
    // RFC 3339 has four digits for a year, and so must the answers.
    if !(1970..=9999).contains(&status.occurred_at.year()) {
        return Err(Unreadable::NotAStatus);
    }
    Ok(NewStep {
        record_id: record_id(record),
        pnr: status.pnr_number.clone(),
        step: NotificationStep::new(storable(status), record.partition, record.offset),
    })
}

/// The id that the writer gave the record, or, of a writer that gives none, its place.
fn record_id(record: &Record) -> String {
    let given = record.header(header::ID);
    let given = given.and_then(|id| id.parse::<EventId>().ok());
    given.map_or_else(
        || format!("{}/{}/{}", record.topic, record.partition, record.offset),
        String::from,
    )
}

/// PostgreSQL holds every character but one, and a provider's words may hold any.
fn storable(status: NotificationStatus) -> NotificationStatus {
    let storable = |text: Option<String>| text.map(|text| text.replace(char::is_control, " "));
    NotificationStatus {
        provider: storable(status.provider),
        provider_message_id: storable(status.provider_message_id),
        reason: storable(status.reason),
        ..status
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn status() -> Value {
        json!({
            "eventId": "e", "eventType": "BOOKING_CONFIRMED", "bookingId": 1, "pnrNumber": "2412345678",
            "userId": 1, "channel": "SMS", "status": "SENT", "attempt": 1, "provider": "twilio",
            "providerMessageId": "SM1", "reason": null, "occurredAt": "2024-01-01T04:30:00.000Z",
        })
    }

    fn record(value: &Value) -> Record {
        Record {
            topic: "notification-status".to_owned(),
            partition: 2,
            offset: 41,
            value: Some(value.to_string().into_bytes()),
            ..Record::default()
        }
    }

    fn with(field: &str, value: &Value) -> Record {
        let mut changed = status();
        changed[field] = value.clone();
        record(&changed)
    }

    #[test]
    fn a_record_is_known_by_its_id_or_else_by_its_place() {
        let mut one = record(&status());
        assert_eq!(read(&one).unwrap().record_id, "notification-status/2/41");
        one.headers = vec![("ce_id".to_owned(), Some(b"0190-1".to_vec()))];
        assert_eq!(read(&one).unwrap().record_id, "0190-1");
        one.headers = vec![("ce_id".to_owned(), Some(Vec::new()))];
        assert_eq!(read(&one).unwrap().record_id, "notification-status/2/41");
    }

    #[test]
    fn fields_that_are_not_known_here_change_nothing() {
        let known = read(&record(&status())).unwrap();
        assert_eq!(read(&with("segments", &json!(2))).unwrap(), known);
    }

    #[test]
    fn a_field_without_a_value_may_be_left_out() {
        let mut less = status();
        let fields = less.as_object_mut().unwrap();
        for name in ["provider", "providerMessageId", "reason"] {
            fields.remove(name);
        }
        assert_eq!(read(&record(&less)).unwrap().step.provider, None);
    }

    #[test]
    fn words_of_a_newer_notifier_are_no_status_here() {
        for (field, word) in [
            ("status", json!("BOUNCED")),
            ("channel", json!("PUSH")),
            ("eventType", json!("SEAT_CHANGED")),
            ("pnrNumber", json!("0000000000")),
            ("occurredAt", json!("yesterday")),
            ("occurredAt", json!("+12024-01-01T00:00:00Z")),
            ("attempt", json!(-1)),
        ] {
            let refused = read(&with(field, &word));
            assert_eq!(refused, Err(Unreadable::NotAStatus), "{field} {word}");
        }
    }

    #[test]
    fn what_is_no_json_is_told_apart() {
        let value = |value: Option<&[u8]>| Record {
            value: value.map(<[u8]>::to_vec),
            ..Record::default()
        };
        for (bytes, reason) in [
            (None, Unreadable::Empty),
            (Some(b"".as_slice()), Unreadable::Empty),
            (Some(b"{\"eventId\":"), Unreadable::NotJson),
            (Some(b"\xff"), Unreadable::NotJson),
            (Some(b"[]"), Unreadable::NotAStatus),
        ] {
            assert_eq!(read(&value(bytes)), Err(reason), "{bytes:?}");
        }
    }

    #[test]
    fn a_character_no_database_holds_becomes_a_space() {
        let read = read(&with("reason", &json!("a\u{0}b"))).unwrap();
        assert_eq!(read.step.reason.as_deref(), Some("a b"));
    }
}
