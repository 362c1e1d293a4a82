//! The three ways to reach a passenger.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::EventType;

/// The topic of the notifiers' outcomes.
pub const NOTIFICATION_STATUS: &str = "notification-status";

/// Every topic of the system: events, their dead letters and replays, statuses.
pub fn topics() -> Vec<String> {
    let sources = EventType::ALL.map(|event| event.topic().to_owned());
    let told = Channel::ALL.into_iter().flat_map(|channel| {
        channel
            .events()
            .iter()
            .map(move |event| (channel, event.topic()))
    });
    let own = told.flat_map(|(channel, source)| {
        [
            channel.dead_letter_topic(source),
            channel.replay_topic(source),
        ]
    });
    sources
        .into_iter()
        .chain(own)
        .chain([NOTIFICATION_STATUS.to_owned()])
        .collect()
}

/// A notification channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum Channel {
    /// E-mail over SMTP.
    Email,
    /// Text message.
    Sms,
    /// `WhatsApp` template message.
    Whatsapp,
}

/// The text names no channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of email, sms, whatsapp")]
pub struct UnknownChannel;

impl Channel {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Email, Self::Sms, Self::Whatsapp];

    /// The name in topic names and headers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Sms => "sms",
            Self::Whatsapp => "whatsapp",
        }
    }

    /// The consumer group of the channel's notifier.
    pub const fn group(self) -> &'static str {
        match self {
            Self::Email => "email-notification-group",
            Self::Sms => "sms-notification-group",
            Self::Whatsapp => "whatsapp-notification-group",
        }
    }

    /// The events the channel tells by default.
    pub const fn events(self) -> &'static [EventType] {
        match self {
            Self::Email => &EventType::ALL,
            Self::Sms => &[EventType::BookingConfirmed, EventType::BookingCancelled],
            Self::Whatsapp => &[EventType::BookingConfirmed],
        }
    }

    /// Where records of `source` go that this channel cannot deliver: `booking-confirmed.email.dlq`.
    pub fn dead_letter_topic(self, source: &str) -> String {
        format!("{source}.{self}.dlq")
    }

    /// Where dead letters of `source` are put to be tried again by this channel alone: `booking-confirmed.email.replay`.
    pub fn replay_topic(self, source: &str) -> String {
        format!("{source}.{self}.replay")
    }

    /// The source of this channel's replay topic: `booking-confirmed` of `booking-confirmed.email.replay`.
    pub fn source_of_replay(self, topic: &str) -> Option<&str> {
        topic
            .strip_suffix(".replay")?
            .strip_suffix(self.as_str())?
            .strip_suffix('.')
    }

    /// The channel of a dead-letter topic and its source: e-mail and `booking-confirmed` of `booking-confirmed.email.dlq`.
    pub fn of_dead_letter_topic(topic: &str) -> Option<(Self, &str)> {
        let (source, channel) = topic.strip_suffix(".dlq")?.rsplit_once('.')?;
        Some((channel.parse().ok()?, source))
    }

    /// The name in statuses.
    pub const fn status_name(self) -> &'static str {
        match self {
            Self::Email => "EMAIL",
            Self::Sms => "SMS",
            Self::Whatsapp => "WHATSAPP",
        }
    }

    /// The channel of this name in statuses.
    ///
    /// # Errors
    /// [`UnknownChannel`] if it is none of theirs.
    pub fn of_status_name(name: &str) -> Result<Self, UnknownChannel> {
        Self::ALL
            .into_iter()
            .find(|channel| channel.status_name() == name)
            .ok_or(UnknownChannel)
    }
}

impl FromStr for Channel {
    type Err = UnknownChannel;

    fn from_str(text: &str) -> Result<Self, UnknownChannel> {
        Self::ALL
            .into_iter()
            .find(|channel| channel.as_str() == text)
            .ok_or(UnknownChannel)
    }
}

impl TryFrom<String> for Channel {
    type Error = UnknownChannel;

    fn try_from(text: String) -> Result<Self, UnknownChannel> {
        text.parse()
    }
}

impl From<Channel> for &'static str {
    fn from(channel: Channel) -> Self {
        channel.as_str()
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_letter_topic_leads_back_to_its_channel_and_source() {
        for channel in Channel::ALL {
            let topic = channel.dead_letter_topic("booking-confirmed");
            let read = Channel::of_dead_letter_topic(&topic);
            assert_eq!(read, Some((channel, "booking-confirmed")));
        }
        for other in ["booking-confirmed.email.replay", "email.dlq", "a.fax.dlq"] {
            assert_eq!(Channel::of_dead_letter_topic(other), None, "{other}");
        }
    }

    #[test]
    fn a_replay_topic_leads_back_to_its_source() {
        for channel in Channel::ALL {
            let topic = channel.replay_topic("booking-confirmed");
            assert_eq!(channel.source_of_replay(&topic), Some("booking-confirmed"));
        }
        assert_eq!(
            Channel::Sms.source_of_replay("booking-confirmed.email.replay"),
            None
        );
        assert_eq!(
            Channel::Email.source_of_replay("booking-confirmed.email.dlq"),
            None
        );
    }
}
