//! What an operator sees of a person.

use std::fmt;

use bus::Record;
use clap::Args;
use delivery::Undeliverable;
use events::{BookingEvent, Channel, Known, NOTIFICATION_STATUS, Pnr, header};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Fields of an event that say nothing about a person by themselves. Any other field is hidden, also one that we do not know.
const HARMLESS: [&str; 28] = [
    "eventId",
    "eventType",
    "bookingId",
    "bookingStatus",
    "paymentStatus",
    "userId",
    "trainId",
    "trainNumber",
    "trainName",
    "sourceStation",
    "destinationStation",
    "journeyDate",
    "departureTime",
    "arrivalTime",
    "coachNumber",
    "seatNumber",
    "coachType",
    "totalFare",
    "baseFare",
    "convenienceFee",
    "gstAmount",
    "bookingDate",
    "eventTimestamp",
    "quotaType",
    "isTatkal",
    "bookingSource",
    "schemaVersion",
    "source",
];

/// Fields of a status beside those above, on its own topic alone: another's `reason` may be what a person wrote.
const HARMLESS_OF_STATUS: [&str; 7] = [
    "channel",
    "status",
    "attempt",
    "provider",
    "providerMessageId",
    "reason",
    "occurredAt",
];

/// Headers of the producer that name nobody.
const HARMLESS_HEADERS: [&str; 10] = [
    header::CONTENT_TYPE,
    header::SPEC_VERSION,
    header::ID,
    header::TYPE,
    header::SOURCE,
    header::TIME,
    header::SUBJECT,
    header::BOOKING_VERSION,
    header::BOOKING_HISTORY,
    header::TRACEPARENT,
];

/// What stands for a hidden value that has no text.
const HIDDEN: &str = "…";

/// Whether personal data are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Privacy {
    /// They are hidden.
    Masked,
    /// They are not.
    Revealed,
}

/// The flag that shows personal data.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Reveal {
    /// Shows names, addresses, numbers and whole PNRs.
    #[arg(long)]
    reveal: bool,
}

impl Reveal {
    pub(crate) fn privacy(self) -> Privacy {
        if self.reveal {
            Privacy::Revealed
        } else {
            Privacy::Masked
        }
    }
}

impl Privacy {
    pub(crate) fn pnr(self, pnr: Option<&Pnr>) -> String {
        match (self, pnr) {
            (Self::Masked, Some(pnr)) => pnr.masked(),
            (Self::Revealed, Some(pnr)) => pnr.to_string(),
            (Self::Masked | Self::Revealed, None) => "-".to_owned(),
        }
    }

    /// A text that may be anything: `J*** D**`.
    fn text(self, text: &str) -> String {
        match (self, text.parse::<Pnr>()) {
            (Self::Revealed, _) => text.to_owned(),
            (Self::Masked, Ok(pnr)) => pnr.masked(),
            (Self::Masked, Err(_)) => masked(text),
        }
    }

    /// The record as lines: topic, partition, key, headers, value.
    pub(crate) fn record(self, record: &Record) -> String {
        let mut lines = vec![
            format!("topic      {}", record.topic),
            format!("partition  {}", record.partition),
            format!("key        {}", self.key(record.key.as_deref())),
            String::new(),
        ];
        let headers = record.headers.iter();
        lines.extend(headers.map(|(name, value)| self.header(name, value.as_deref())));
        lines.push(String::new());
        lines.push(self.value(record));
        lines.iter().map(|line| printable(line) + "\n").collect()
    }

    /// The record as one line of JSON. A value that is no JSON object is text.
    pub(crate) fn record_json(self, record: &Record) -> String {
        let headers = record.headers.iter();
        let headers = headers.map(|(name, value)| (name, self.header_text(name, value.as_deref())));
        let value = record.value.as_deref().map(|value| {
            let shown = self.value(record);
            match serde_json::from_slice::<Members<'_>>(value) {
                // Between the members, or where the writer put them: no text has one.
                Ok(_) => shown.replace('\n', " "),
                Err(_) => serde_json::Value::from(shown).to_string(),
            }
        });
        let facts = serde_json::json!({
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "timestamp": written_at(record),
            "key": record.key.as_deref().map(|key| self.key(Some(key))),
            "headers": headers.collect::<Vec<_>>(),
        });
        let facts = facts.to_string();
        let facts = facts.trim_end_matches('}');
        // The value goes in as it is written: a number keeps its digits.
        format!(
            "{facts},\"value\":{}}}\n",
            value.as_deref().unwrap_or("null")
        )
    }

    fn key(self, key: Option<&[u8]>) -> String {
        match key.map(std::str::from_utf8) {
            None => "none".to_owned(),
            Some(Ok(text)) => self.text(text),
            Some(Err(_)) => HIDDEN.to_owned(),
        }
    }

    fn header(self, name: &str, value: Option<&[u8]>) -> String {
        let text = self.header_text(name, value);
        format!("{name:<22} {}", text.as_deref().unwrap_or("no value"))
    }

    fn header_text(self, name: &str, value: Option<&[u8]>) -> Option<String> {
        let text = String::from_utf8_lossy(value?);
        let harmless = HARMLESS_HEADERS.contains(&name) || name.starts_with("dlq-");
        Some(if harmless {
            text.into_owned()
        } else {
            self.text(&text)
        })
    }

    fn value(self, record: &Record) -> String {
        let Some(value) = record.value.as_deref() else {
            return "no value".to_owned();
        };
        match (serde_json::from_slice::<Members<'_>>(value), self) {
            (Ok(Members(members)), _) => self.object(&members, &record.topic),
            (Err(_), Self::Revealed) => String::from_utf8_lossy(value).into_owned(),
            (Err(_), Self::Masked) => format!("{} bytes that are no JSON object", value.len()),
        }
    }

    fn object(self, members: &[(String, &RawValue)], topic: &str) -> String {
        let member = |(name, value): &(String, &RawValue)| {
            let shown = if is_harmless(name, topic) {
                self.harmless(value)
            } else {
                self.personal(value)
            };
            format!("  {}: {shown}", serde_json::Value::from(name.as_str()))
        };
        let lines: Vec<_> = members.iter().map(member).collect();
        format!("{{\n{}\n}}", lines.join(",\n"))
    }

    /// What a harmless field holds is hidden only where it holds more than it should.
    fn harmless(self, value: &RawValue) -> String {
        if value.get().starts_with(['{', '[']) {
            self.personal(value)
        } else {
            value.get().to_owned()
        }
    }

    fn personal(self, value: &RawValue) -> String {
        let raw = value.get();
        if self == Self::Revealed || raw == "null" {
            return raw.to_owned();
        }
        let text = serde_json::from_str::<String>(raw);
        let hidden = text.map_or_else(|_| HIDDEN.to_owned(), |text| self.text(&text));
        serde_json::Value::from(hidden).to_string()
    }

    /// The message of an event as the passenger reads it.
    pub(crate) fn message(
        self,
        channel: Channel,
        event: &BookingEvent,
    ) -> Result<String, Undeliverable> {
        match self {
            Self::Revealed => preview(channel, event),
            Self::Masked => {
                let text = preview(channel, &without_person(event))?;
                let contacts = [&event.user_email, &event.user_phone];
                let contacts = contacts.into_iter().flatten().map(String::as_str);
                let hidden = contacts.chain([event.pnr_number.as_str()]);
                Ok(hidden
                    .filter(|contact| !contact.is_empty())
                    .fold(text, |text, contact| {
                        text.replace(contact, &self.text(contact))
                    }))
            }
        }
    }
}

/// Whether a field of a record on this topic says nothing about a person.
fn is_harmless(name: &str, topic: &str) -> bool {
    let of_status = topic == NOTIFICATION_STATUS && HARMLESS_OF_STATUS.contains(&name);
    of_status || HARMLESS.contains(&name)
}

/// The message of an event on a channel as the passenger reads it.
fn preview(channel: Channel, event: &BookingEvent) -> Result<String, Undeliverable> {
    match channel {
        Channel::Email => email_notifier::preview(event),
        Channel::Sms => sms_notifier::preview(event),
        Channel::Whatsapp => whatsapp_notifier::preview(event),
    }
}

/// The event as a message may show it; an age of 0 stands for a hidden one.
fn without_person(event: &BookingEvent) -> BookingEvent {
    BookingEvent {
        user_name: masked(&event.user_name),
        passenger_name: masked(&event.passenger_name),
        passenger_age: 0,
        passenger_gender: Known::Other(HIDDEN.to_owned()),
        ..event.clone()
    }
}

/// The first character of each word, a star for each other.
fn masked(text: &str) -> String {
    let mut inside = false;
    let star = |c: char| {
        let hidden = inside && c.is_alphanumeric();
        inside = c.is_alphanumeric() || (inside && !c.is_whitespace() && !c.is_ascii());
        if hidden { '*' } else { c }
    };
    text.chars().map(star).collect()
}

/// When the record was written, in RFC 3339.
pub(crate) fn written_at(record: &Record) -> Option<String> {
    let millis = record.timestamp_millis?;
    let time = chrono::DateTime::from_timestamp_millis(millis)?;
    Some(time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
}

/// Whatever a record holds, the terminal obeys none of it.
pub(crate) fn printable(text: &str) -> String {
    let harmless = |c: char| {
        if c.is_control() && c != '\n' {
            '\u{fffd}'
        } else {
            c
        }
    };
    text.chars().map(harmless).collect()
}

/// A JSON object's members in their order, the values as they are written.
struct Members<'a>(Vec<(String, &'a RawValue)>);

struct InOrder;

impl<'de> Visitor<'de> for InOrder {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests;
