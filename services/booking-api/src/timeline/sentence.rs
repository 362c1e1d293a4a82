//! What happened, in words for someone who does not know the programs.

use std::fmt;

use chrono::TimeDelta;
use events::{Channel, EventType, PaymentStatus, Step};

use crate::notification::NotificationStep;
use crate::timeline::ToldChange;
use crate::timeline::span::Span;

/// A change of the booking that an event tells of.
pub(super) fn change(event: EventType, reason: Option<&str>) -> String {
    match event {
        EventType::BookingConfirmed => "The seat was booked and confirmed.".to_owned(),
        EventType::PaymentCompleted => payment(PaymentStatus::Completed),
        EventType::BookingCancelled => {
            format!("The booking was cancelled{}.", because(reason))
        }
    }
}

/// The payment became this.
pub(super) fn payment(status: PaymentStatus) -> String {
    let became = match status {
        PaymentStatus::Pending => "was begun again",
        PaymentStatus::Completed => "was completed",
        PaymentStatus::Failed => "failed",
        PaymentStatus::Refunded => "was refunded",
        PaymentStatus::PartiallyRefunded => "was refunded in part",
    };
    format!("The payment {became}.")
}

/// An event on its way to Kafka.
pub(super) fn publication(change: &ToldChange) -> String {
    let ToldChange {
        event_type, topic, ..
    } = change;
    let Some(place) = change.published else {
        return format!(
            "{event_type} is not published yet: it waits until Kafka takes it on topic {topic}."
        );
    };
    format!(
        "{event_type} was published to topic {topic} (partition {}, offset {}){}.",
        place.partition,
        place.offset,
        after_event(Some(place.at - change.at), "the change")
    )
}

/// A step of a notification, so long after its event.
pub(super) struct Sentence<'a> {
    pub(super) step: &'a NotificationStep,
    pub(super) since: Option<TimeDelta>,
}

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let step = self.step;
        write!(f, "{} for {} ", name(step.channel), step.event_type)?;
        let (tries, why) = (attempts(step.attempt), because(step.reason.as_deref()));
        match step.step {
            Step::Sent => self.sent(f, &tries)?,
            Step::Delivered => write!(f, "reached the recipient{}", self.after())?,
            Step::Read => write!(f, "was opened by the recipient{}", self.after())?,
            Step::Retrying if step.attempt == 0 => write!(f, "waits to be sent{why}")?,
            Step::Retrying => write!(f, "waits to be tried again{tries}{why}")?,
            Step::Failed => write!(
                f,
                "failed for good{tries} and is about to be set aside{why}"
            )?,
            Step::Suppressed => write!(f, "was not sent{why}")?,
            Step::Expired => write!(f, "was not sent because it was too old{why}")?,
            Step::DeadLettered => write!(
                f,
                "was given up{tries} and set aside for an operator, who can have it sent again{why}"
            )?,
        }
        f.write_str(".")
    }
}

impl Sentence<'_> {
    fn sent(&self, f: &mut fmt::Formatter<'_>, tries: &str) -> fmt::Result {
        let provider = self.step.provider.as_deref().unwrap_or("the provider");
        write!(f, "was accepted by {provider}")?;
        if let Some(id) = &self.step.provider_message_id {
            write!(f, " as {id}")?;
        }
        let (tries, after) = (tries, self.after());
        let comma = if tries.is_empty() || after.is_empty() {
            ""
        } else {
            ","
        };
        write!(f, "{tries}{comma}{after}")
    }

    fn after(&self) -> String {
        after_event(self.since, "the event")
    }
}

const fn name(channel: Channel) -> &'static str {
    match channel {
        Channel::Email => "E-mail",
        Channel::Sms => "SMS",
        Channel::Whatsapp => "WhatsApp message",
    }
}

fn attempts(count: u32) -> String {
    match count {
        0 => String::new(),
        1 => " after 1 attempt".to_owned(),
        more => format!(" after {more} attempts"),
    }
}

fn after_event(since: Option<TimeDelta>, what: &str) -> String {
    let span = since.and_then(Span::of);
    span.map_or_else(String::new, |span| format!(" {span} after {what}"))
}

/// The reason as it was written, without the full stop that ends the sentence anyway.
fn because(reason: Option<&str>) -> String {
    let reason = reason.map(|reason| reason.trim().trim_end_matches('.'));
    let told = reason.filter(|reason| !reason.is_empty());
    told.map_or_else(String::new, |reason| format!(": {reason}"))
}
