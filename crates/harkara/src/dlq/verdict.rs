//! What would become of a dead letter that is replayed now.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use events::{BookingEvent, EventType, Step};

use crate::dlq::facts::Facts;
use crate::dlq::letter::{Coordinates, Letter};
use crate::dlq::shelf::{Entry, State};
use crate::privacy::Privacy;

/// What would become of a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The passenger would be told.
    WouldSend,
    /// It needs no second message.
    Duplicate(Duplicate),
    /// It is no longer true, or no longer news.
    Stale(Stale),
    /// It is older than this.
    Expired(Duration),
    /// It fails as before: why.
    StillInvalid(String),
}

/// Why a dead letter needs no second message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Duplicate {
    /// The channel told the event.
    Told(Step),
    /// It is in the replay topic.
    Replayed,
    /// Another dead letter of the event is newer.
    Older(Coordinates),
}

/// What made a dead letter old news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stale {
    /// The booking was cancelled.
    Cancelled,
    /// A later event was told.
    Overtaken(EventType),
}

/// Whether an operator insists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Insistence {
    /// Only what would be sent.
    Judged,
    /// Also what is a duplicate or stale.
    Forced,
}

/// What verdicts are measured by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) now: DateTime<Utc>,
    pub(crate) max_age: Duration,
}

/// Judges a dead letter by what is known.
pub(crate) fn judge(entry: &Entry, facts: &Facts, terms: Terms) -> Verdict {
    let event = match readable(&entry.letter) {
        Ok(event) => event,
        Err(problem) => return Verdict::StillInvalid(problem),
    };
    if let Some(duplicate) = duplicate(entry, event, facts) {
        return Verdict::Duplicate(duplicate);
    }
    if let Some(stale) = stale(&entry.letter, event, facts) {
        return Verdict::Stale(stale);
    }
    if is_expired(&entry.letter, terms) {
        return Verdict::Expired(terms.max_age);
    }
    Verdict::WouldSend
}

/// The event, if the channel can tell it today.
fn readable(letter: &Letter) -> Result<&BookingEvent, String> {
    letter
        .headers
        .check_schema()
        .map_err(|error| error.to_string())?;
    let event = letter.event.as_ref().map_err(ToString::to_string)?;
    match EventType::of_topic(&letter.source) {
        Some(expected) if expected != event.event_type => {
            let (stray, source) = (event.event_type, &letter.source);
            return Err(format!("field eventType: a {stray} on topic {source}"));
        }
        Some(_) | None => {}
    }
    let message = Privacy::Revealed.message(letter.story.channel, event);
    message.map_err(|error| error.to_string())?;
    Ok(event)
}

fn duplicate(entry: &Entry, event: &BookingEvent, facts: &Facts) -> Option<Duplicate> {
    if entry.state == State::Replayed {
        return Some(Duplicate::Replayed);
    }
    if let Some(newer) = &entry.newer {
        return Some(Duplicate::Older(newer.clone()));
    }
    let told = facts.told(entry.letter.story.channel, &event.event_id);
    told.map(Duplicate::Told)
}

/// A receipt is news however late.
fn stale(letter: &Letter, event: &BookingEvent, facts: &Facts) -> Option<Stale> {
    let pnr = &event.pnr_number;
    match event.event_type {
        EventType::PaymentCompleted => return None,
        EventType::BookingConfirmed if facts.is_cancelled(pnr) => return Some(Stale::Cancelled),
        EventType::BookingConfirmed | EventType::BookingCancelled => {}
    }
    let newer = facts.newer_sent(letter.story.channel, pnr, letter.place());
    newer.map(Stale::Overtaken)
}

fn is_expired(letter: &Letter, terms: Terms) -> bool {
    let written = letter.story.source_timestamp;
    let written = written.and_then(DateTime::from_timestamp_millis);
    let age = written.and_then(|written| (terms.now - written).to_std().ok());
    age.is_some_and(|age| age > terms.max_age)
}

impl Verdict {
    /// The word in tables.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::WouldSend => "would send",
            Self::Duplicate(_) => "duplicate",
            Self::Stale(_) => "stale",
            Self::Expired(_) => "expired",
            Self::StillInvalid(_) => "still invalid",
        }
    }

    /// Whether a dead letter is replayed. One that another stands for, or that cannot be told, never is; nor is an old one: the notifier would end it for good, and no later replay could tell it.
    pub(crate) const fn allows(&self, insistence: Insistence) -> bool {
        match self {
            Self::WouldSend => true,
            Self::Duplicate(Duplicate::Told(_)) | Self::Stale(_) => {
                matches!(insistence, Insistence::Forced)
            }
            Self::Duplicate(Duplicate::Replayed | Duplicate::Older(_))
            | Self::Expired(_)
            | Self::StillInvalid(_) => false,
        }
    }
}

/// Why, in words.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WouldSend => Ok(()),
            Self::Duplicate(Duplicate::Told(step)) => write!(f, "the event is {step}"),
            Self::Duplicate(Duplicate::Replayed) => f.write_str("replayed already"),
            Self::Duplicate(Duplicate::Older(newer)) => write!(f, "{newer} is newer"),
            Self::Stale(Stale::Cancelled) => f.write_str("the booking is cancelled"),
            Self::Stale(Stale::Overtaken(event)) => write!(f, "a later {event} is SENT"),
            Self::Expired(age) => {
                write!(
                    f,
                    "older than {}, see --max-age",
                    humantime::format_duration(*age)
                )
            }
            Self::StillInvalid(problem) => f.write_str(problem),
        }
    }
}

#[cfg(test)]
mod tests;
