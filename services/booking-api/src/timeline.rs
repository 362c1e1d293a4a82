//! A booking's story: changes, publications, notifications, oldest first. No I/O, no clock.

mod sentence;
mod span;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use events::{EventId, EventType, PaymentStatus};

use crate::notification::NotificationStep;
use crate::timeline::sentence::Sentence;

/// A change that an event tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ToldChange {
    pub(crate) event_id: EventId,
    pub(crate) event_type: EventType,
    /// The booking's version after it.
    pub(crate) version: i64,
    pub(crate) topic: String,
    pub(crate) at: DateTime<Utc>,
    /// Where the event is in Kafka; nowhere yet while it waits.
    pub(crate) published: Option<Place>,
}

/// A record's place, and when the broker was known to have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) at: DateTime<Utc>,
}

/// A change of the payment that no event tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QuietChange {
    pub(crate) version: i64,
    pub(crate) payment_status: PaymentStatus,
    pub(crate) at: DateTime<Utc>,
}

/// All that is known of a booking's past.
#[derive(Clone, Debug, Default)]
pub(crate) struct Story {
    pub(crate) told: Vec<ToldChange>,
    pub(crate) quiet: Vec<QuietChange>,
    pub(crate) steps: Vec<NotificationStep>,
    pub(crate) cancel_reason: Option<String>,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) at: DateTime<Utc>,
    pub(crate) happening: Happening,
    /// The same in words.
    pub(crate) text: String,
}

/// What happened. Of things in one millisecond, the order is this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Happening {
    Told(ToldChange, Option<String>),
    Quiet(QuietChange),
    Publication(ToldChange),
    Notification(NotificationStep, Option<i64>),
}

impl Happening {
    /// Statuses tell milliseconds, so finer parts of a time decide nothing.
    fn order(&self, at: DateTime<Utc>) -> (i64, u8, i64) {
        let (kind, number) = match self {
            Self::Told(change, _) => (0, change.version),
            Self::Quiet(change) => (0, change.version),
            Self::Publication(change) => (1, change.version),
            Self::Notification(step, _) => (2, step.offset),
        };
        (at.timestamp_millis(), kind, number)
    }
}

impl Story {
    /// Everything, oldest first.
    pub(crate) fn items(self) -> Vec<Item> {
        let events: BTreeMap<_, _> = self
            .told
            .iter()
            .map(|change| (&change.event_id, change))
            .collect();
        let changes = self.told.iter().map(|change| self.changed(change));
        let quiet = self.quiet.iter().map(quietly_changed);
        let publications = self.told.iter().map(published);
        let steps = self
            .steps
            .iter()
            .map(|step| notified(step, events.get(&step.event_id).copied()));
        let all = changes.chain(quiet).chain(publications).chain(steps);
        let mut items: Vec<_> = all.collect();
        items.sort_by_key(|item| item.happening.order(item.at));
        items
    }

    fn changed(&self, change: &ToldChange) -> Item {
        let reason = match change.event_type {
            EventType::BookingCancelled => self.cancel_reason.clone(),
            EventType::BookingConfirmed | EventType::PaymentCompleted => None,
        };
        Item {
            at: change.at,
            text: sentence::change(change.event_type, reason.as_deref()),
            happening: Happening::Told(change.clone(), reason),
        }
    }
}

fn quietly_changed(change: &QuietChange) -> Item {
    Item {
        at: change.at,
        text: sentence::payment(change.payment_status),
        happening: Happening::Quiet(change.clone()),
    }
}

/// An event that waits stands where its wait began.
fn published(change: &ToldChange) -> Item {
    Item {
        at: change.published.map_or(change.at, |place| place.at),
        text: sentence::publication(change),
        happening: Happening::Publication(change.clone()),
    }
}

fn notified(step: &NotificationStep, event: Option<&ToldChange>) -> Item {
    let since = event.map(|event| step.occurred_at - event.at);
    Item {
        at: step.occurred_at,
        text: Sentence { step, since }.to_string(),
        happening: Happening::Notification(step.clone(), event.map(|event| event.version)),
    }
}

#[cfg(test)]
mod tests;
