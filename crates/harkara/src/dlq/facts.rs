//! What was told meanwhile, and what happened to the bookings.

use std::collections::{BTreeMap, BTreeSet};

use bus::{Record, Topics};
use chassis::Failure;
use chrono::{DateTime, Utc};
use events::{
    BookingEvent, Channel, EventId, EventType, NOTIFICATION_STATUS, NotificationStatus, Pnr,
    ReadHeaders, Step,
};

use crate::dlq::letter::Place;
use crate::dlq::unreachable;

/// What is known of the bookings that dead letters are about.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pnrs: BTreeSet<Pnr>,
    told: BTreeMap<(Channel, EventId), Step>,
    sent: BTreeMap<(Channel, Pnr), Vec<Sent>>,
    cancelled: BTreeSet<Pnr>,
    events: BTreeMap<EventId, Published>,
}

/// A message that a provider took.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) event_id: EventId,
    event_type: EventType,
    at: DateTime<Utc>,
}

/// An event as its source topic has it.
#[derive(Debug)]
struct Published {
    event: BookingEvent,
    version: Option<i64>,
}

impl Facts {
    /// Nothing known yet about these bookings.
    pub(crate) fn about(pnrs: impl IntoIterator<Item = Pnr>) -> Self {
        Self {
            pnrs: pnrs.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Reads the statuses and the source topics to their ends.
    pub(crate) async fn read(self, topics: &Topics) -> Result<Self, Failure> {
        if self.pnrs.is_empty() {
            return Ok(self);
        }
        let sources = EventType::ALL.map(EventType::topic);
        let names = sources.into_iter().chain([NOTIFICATION_STATUS]);
        let names = names.map(str::to_owned).collect();
        topics
            .scan(names, self, |facts, record| facts.take(&record))
            .await
            .map_err(unreachable)
    }

    fn take(&mut self, record: &Record) {
        let value = record.value.as_deref().unwrap_or_default();
        if record.topic == NOTIFICATION_STATUS {
            // What is no status of ours says nothing.
            if let Ok(status) = serde_json::from_slice(value) {
                self.note_status(status);
            }
        } else if let Ok(event) = BookingEvent::decode(value) {
            let headers = ReadHeaders::from_pairs(record.header_pairs());
            self.note_event(event, headers.booking_version);
        }
    }

    /// A record of a source topic.
    pub(crate) fn note_event(&mut self, event: BookingEvent, version: Option<i64>) {
        if !self.pnrs.contains(&event.pnr_number) {
            return;
        }
        self.note_cancellation(event.event_type, &event.pnr_number);
        let published = Published { event, version };
        self.events
            .insert(published.event.event_id.clone(), published);
    }

    /// A record of `notification-status`.
    pub(crate) fn note_status(&mut self, status: NotificationStatus) {
        if !self.pnrs.contains(&status.pnr_number) {
            return;
        }
        self.note_cancellation(status.event_type, &status.pnr_number);
        match status.status {
            Step::Sent | Step::Delivered | Step::Read => self.note_told(status),
            Step::Retrying
            | Step::Failed
            | Step::Suppressed
            | Step::Expired
            | Step::DeadLettered => {}
        }
    }

    fn note_told(&mut self, status: NotificationStatus) {
        let told = (status.channel, status.event_id.clone());
        self.told.insert(told, status.status);
        if status.status == Step::Sent {
            let sent = Sent {
                event_id: status.event_id,
                event_type: status.event_type,
                at: status.occurred_at,
            };
            let to = (status.channel, status.pnr_number);
            self.sent.entry(to).or_default().push(sent);
        }
    }

    fn note_cancellation(&mut self, event_type: EventType, pnr: &Pnr) {
        if event_type == EventType::BookingCancelled {
            self.cancelled.insert(pnr.clone());
        }
    }

    /// How far this event came on this channel, if a provider took it.
    pub(crate) fn told(&self, channel: Channel, event: &EventId) -> Option<Step> {
        self.told.get(&(channel, event.clone())).copied()
    }

    /// Whether a cancellation of this booking is known.
    pub(crate) fn is_cancelled(&self, pnr: &Pnr) -> bool {
        self.cancelled.contains(pnr)
    }

    /// An event of the PNR that came after `place` and was sent on this channel.
    pub(crate) fn newer_sent(
        &self,
        channel: Channel,
        pnr: &Pnr,
        place: Place,
    ) -> Option<EventType> {
        let newer = |sent: &&Sent| self.place(sent).is_after(place);
        let found = self.sent(channel, pnr).iter().find(newer);
        found.map(|sent| sent.event_type)
    }

    /// What was sent last to this PNR on this channel.
    pub(crate) fn last_sent(&self, channel: Channel, pnr: &Pnr) -> Option<&Sent> {
        self.sent(channel, pnr).iter().max_by_key(|sent| sent.at)
    }

    /// An event, if its source topic still has it.
    pub(crate) fn event(&self, id: &EventId) -> Option<&BookingEvent> {
        self.events.get(id).map(|published| &published.event)
    }

    fn sent(&self, channel: Channel, pnr: &Pnr) -> &[Sent] {
        self.sent
            .get(&(channel, pnr.clone()))
            .map_or(&[], Vec::as_slice)
    }

    fn place(&self, sent: &Sent) -> Place {
        let published = self.events.get(&sent.event_id);
        let time = published.map(|one| one.event.event_timestamp.to_utc().timestamp());
        Place {
            event_type: Some(sent.event_type),
            version: published.and_then(|one| one.version),
            time_seconds: time,
        }
    }
}
