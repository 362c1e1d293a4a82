//! The three events.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What happened to a booking. The order is that of a booking's life: confirmed, paid, cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum EventType {
    /// A booking was made.
    BookingConfirmed,
    /// Its payment became complete.
    PaymentCompleted,
    /// It was cancelled.
    BookingCancelled,
}

/// The text names none of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of BOOKING_CONFIRMED, PAYMENT_COMPLETED, BOOKING_CANCELLED")]
pub struct UnknownEventType;

impl EventType {
    /// All three, in the order of a booking's life.
    pub const ALL: [Self; 3] = [
        Self::BookingConfirmed,
        Self::PaymentCompleted,
        Self::BookingCancelled,
    ];

    /// The name in `eventType`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BookingConfirmed => "BOOKING_CONFIRMED",
            Self::PaymentCompleted => "PAYMENT_COMPLETED",
            Self::BookingCancelled => "BOOKING_CANCELLED",
        }
    }

    /// The topic it is published to.
    pub const fn topic(self) -> &'static str {
        match self {
            Self::BookingConfirmed => "booking-confirmed",
            Self::PaymentCompleted => "payment-completed",
            Self::BookingCancelled => "booking-cancelled",
        }
    }

    /// The `CloudEvents` type, without its version: `booking.confirmed`.
    pub const fn cloud_event_type(self) -> &'static str {
        match self {
            Self::BookingConfirmed => "booking.confirmed",
            Self::PaymentCompleted => "payment.completed",
            Self::BookingCancelled => "booking.cancelled",
        }
    }

    /// The event published to this topic.
    pub fn of_topic(topic: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.topic() == topic)
    }
}

impl FromStr for EventType {
    type Err = UnknownEventType;

    fn from_str(text: &str) -> Result<Self, UnknownEventType> {
        Self::ALL
            .into_iter()
            .find(|event| event.as_str() == text)
            .ok_or(UnknownEventType)
    }
}

impl TryFrom<String> for EventType {
    type Error = UnknownEventType;

    fn try_from(text: String) -> Result<Self, UnknownEventType> {
        text.parse()
    }
}

impl From<EventType> for &'static str {
    fn from(event: EventType) -> Self {
        event.as_str()
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
