//! What became of a notification, step by step.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use crate::vocabulary::words;
use crate::{BookingEvent, Channel, EventId, EventType, Pnr};

words! {
    /// A step of a notification.
    Step {
        /// The provider took it.
        Sent = "SENT",
        /// It reached the recipient's device or mailbox.
        Delivered = "DELIVERED",
        /// The recipient opened it.
        Read = "READ",
        /// It waits, and will be tried: the reason says for what.
        Retrying = "RETRYING",
        /// It is given up; the dead-letter topic does not have it yet.
        Failed = "FAILED",
        /// It is no longer true, or not wanted: never sent.
        Suppressed = "SUPPRESSED",
        /// It is too old: never sent.
        Expired = "EXPIRED",
        /// The dead-letter topic has it.
        DeadLettered = "DEAD_LETTERED",
    }
}

/// The value of a record on `notification-status`. It names no person, address or number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NotificationStatus {
    /// The event that is told.
    pub event_id: EventId,
    /// What happened to the booking.
    pub event_type: EventType,
    /// The booking's number.
    pub booking_id: i64,
    /// The PNR, key of the record.
    pub pnr_number: Pnr,
    /// The account that booked.
    pub user_id: i64,
    /// The channel.
    #[serde(with = "channel_name")]
    pub channel: Channel,
    /// The step.
    pub status: Step,
    /// Attempts made so far.
    pub attempt: u32,
    /// The provider, where one was asked.
    pub provider: Option<String>,
    /// Its name for the message.
    pub provider_message_id: Option<String>,
    /// Why, in words.
    pub reason: Option<String>,
    /// When, RFC 3339 in UTC with milliseconds.
    #[serde(with = "instant")]
    pub occurred_at: DateTime<Utc>,
}

impl NotificationStatus {
    /// A step of `event` on `channel`, before any attempt.
    pub fn new(event: &BookingEvent, channel: Channel, status: Step, at: DateTime<Utc>) -> Self {
        Self {
            event_id: event.event_id.clone(),
            event_type: event.event_type,
            booking_id: event.booking_id,
            pnr_number: event.pnr_number.clone(),
            user_id: event.user_id,
            channel,
            status,
            attempt: 0,
            provider: None,
            provider_message_id: None,
            reason: None,
            occurred_at: at,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
mod channel_name {
    //! `EMAIL`, `SMS`, `WHATSAPP`.

    use serde::{Deserialize, Deserializer, Serializer, de};

    use crate::Channel;

    pub(super) fn serialize<S: Serializer>(channel: &Channel, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(channel.status_name())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Channel, D::Error> {
        let text = String::deserialize(from)?;
        Channel::of_status_name(&text).map_err(de::Error::custom)
    }
}

mod instant {
    //! RFC 3339 in UTC with milliseconds; any RFC 3339 is read.

    use super::{DateTime, SecondsFormat, Utc};
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(at: &DateTime<Utc>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&at.to_rfc3339_opts(SecondsFormat::Millis, true))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<DateTime<Utc>, D::Error> {
        DateTime::deserialize(from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_has_the_names_of_the_contract() {
        let sample = include_bytes!("../golden/specification-sample.json");
        let event = BookingEvent::decode(sample).unwrap();
        let at = DateTime::UNIX_EPOCH;
        let status = NotificationStatus::new(&event, Channel::Whatsapp, Step::DeadLettered, at);
        let text = serde_json::to_string(&status).unwrap();
        assert_eq!(
            text,
            "{\"eventId\":\"uuid-string\",\"eventType\":\"BOOKING_CONFIRMED\",\"bookingId\":123,\"pnrNumber\":\"1234567890\",\"userId\":1,\"channel\":\"WHATSAPP\",\"status\":\"DEAD_LETTERED\",\"attempt\":0,\"provider\":null,\"providerMessageId\":null,\"reason\":null,\"occurredAt\":\"1970-01-01T00:00:00.000Z\"}"
        );
        assert_eq!(
            serde_json::from_str::<NotificationStatus>(&text).unwrap(),
            status
        );
        for (known, other) in [
            ("\"WHATSAPP\"", "\"whatsapp\""),
            ("DEAD_LETTERED", "BOUNCED"),
        ] {
            let text = text.replace(known, other);
            assert!(serde_json::from_str::<NotificationStatus>(&text).is_err());
        }
    }
}
