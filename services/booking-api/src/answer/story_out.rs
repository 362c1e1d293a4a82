//! A booking's story and its notifications as a client reads them.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use events::{BookingStatus, EventId, EventType, PaymentStatus, ist};
use serde::Serialize;

use crate::notification::{Notification, NotificationStep};
use crate::timeline::{Happening, Item, ToldChange};

/// A list that has no pages.
#[derive(Serialize)]
pub(crate) struct Items<T> {
    pub(crate) items: Vec<T>,
}

/// One thing that happened.
#[derive(Serialize)]
pub(crate) struct ItemOut<'a> {
    at: String,
    #[serde(flatten)]
    happening: HappeningOut<'a>,
    text: &'a str,
}

/// A field is there where it says something.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "SCREAMING_SNAKE_CASE")]
enum HappeningOut<'a> {
    Booking(ChangeOut<'a>),
    Publication(PublicationOut<'a>),
    Notification(StepOut<'a>),
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct ChangeOut<'a> {
    booking_version: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    booking_status: Option<BookingStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_status: Option<PaymentStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancel_reason: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PublicationOut<'a> {
    event_id: &'a EventId,
    event_type: EventType,
    booking_version: i64,
    topic: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    partition: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StepOut<'a> {
    event_id: &'a EventId,
    event_type: EventType,
    #[serde(skip_serializing_if = "Option::is_none")]
    booking_version: Option<i64>,
    channel: &'static str,
    status: &'static str,
    attempt: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_message_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

/// Where a notification stands. A field is there where something is known.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NotificationOut<'a> {
    event_id: &'a EventId,
    event_type: EventType,
    #[serde(skip_serializing_if = "Option::is_none")]
    booking_version: Option<i64>,
    channel: &'static str,
    status: &'static str,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_message_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    updated_at: String,
}

/// RFC 3339, as a clock in India shows it.
fn moment(at: DateTime<Utc>) -> String {
    at.with_timezone(&ist())
        .to_rfc3339_opts(SecondsFormat::Millis, false)
}

impl<'a> From<&'a Item> for ItemOut<'a> {
    fn from(item: &'a Item) -> Self {
        let happening = match &item.happening {
            Happening::Told(change, reason) => {
                HappeningOut::Booking(ChangeOut::told(change, reason.as_deref()))
            }
            Happening::Quiet(change) => HappeningOut::Booking(ChangeOut {
                booking_version: change.version,
                payment_status: Some(change.payment_status),
                ..ChangeOut::default()
            }),
            Happening::Publication(change) => HappeningOut::Publication(change.into()),
            Happening::Notification(step, version) => {
                HappeningOut::Notification(StepOut::of(step, *version))
            }
        };
        Self {
            at: moment(item.at),
            happening,
            text: &item.text,
        }
    }
}

impl<'a> ChangeOut<'a> {
    /// What the event says of the booking that it did not say before.
    fn told(change: &ToldChange, cancel_reason: Option<&'a str>) -> Self {
        let (booking_status, payment_status) = match change.event_type {
            EventType::BookingConfirmed => {
                (Some(BookingStatus::Confirmed), Some(PaymentStatus::Pending))
            }
            EventType::PaymentCompleted => (None, Some(PaymentStatus::Completed)),
            EventType::BookingCancelled => (Some(BookingStatus::Cancelled), None),
        };
        Self {
            booking_version: change.version,
            booking_status,
            payment_status,
            cancel_reason,
        }
    }
}

impl<'a> From<&'a ToldChange> for PublicationOut<'a> {
    fn from(change: &'a ToldChange) -> Self {
        Self {
            event_id: &change.event_id,
            event_type: change.event_type,
            booking_version: change.version,
            topic: &change.topic,
            partition: change.published.map(|place| place.partition),
            offset: change.published.map(|place| place.offset),
        }
    }
}

impl<'a> StepOut<'a> {
    fn of(step: &'a NotificationStep, booking_version: Option<i64>) -> Self {
        Self {
            event_id: &step.event_id,
            event_type: step.event_type,
            booking_version,
            channel: step.channel.status_name(),
            status: step.step.as_str(),
            attempt: step.attempt,
            provider: step.provider.as_deref(),
            provider_message_id: step.provider_message_id.as_deref(),
            reason: step.reason.as_deref(),
        }
    }
}

impl<'a> NotificationOut<'a> {
    /// In the order of the booking's events; those of others, which have no version here, come last.
    pub(crate) fn list(notifications: &'a [Notification], told: &[ToldChange]) -> Vec<Self> {
        let versions = told.iter().map(|change| (&change.event_id, change.version));
        let versions: BTreeMap<_, _> = versions.collect();
        let one = |known: &'a Notification| {
            let version = versions.get(&known.event_id).copied();
            Self::of(known, version)
        };
        let mut list: Vec<_> = notifications.iter().map(one).collect();
        list.sort_by_key(|one| one.booking_version.unwrap_or(i64::MAX));
        list
    }

    fn of(known: &'a Notification, booking_version: Option<i64>) -> Self {
        Self {
            event_id: &known.event_id,
            event_type: known.event_type,
            booking_version,
            channel: known.channel.status_name(),
            status: known.status.as_str(),
            attempts: known.attempts,
            provider: known.provider.as_deref(),
            provider_message_id: known.provider_message_id.as_deref(),
            reason: known.reason.as_deref(),
            updated_at: moment(known.updated_at),
        }
    }
}
